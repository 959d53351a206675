// What the families by slots have in common: which slots a layer has, and where the banks and coefficients go.
import { type Matrix, matrix } from "../linalg/matrix.js";
import type { Candidate, Factors, LayerShape } from "./factors.js";
import type { FitProblem } from "./fit-problem.js";
import {
  firstState,
  fitSlots,
  inSpan,
  normalised,
  outOf,
  type SlotFit,
  type SlotState,
  type Steps,
  stateOf,
} from "./fit-slots.js";
import { type SlotStart, slotStart } from "./slot-start.js";
import { type Slots, slotsOf } from "./slots.js";

export interface SlotFamily {
  slots(shape: LayerShape, splits: number): number;
  /** A bank for each slot. */
  readonly own: boolean;
  /** Where the values of the slots lie in [c, kh, kw]; in order where it is not given. */
  order?(shape: LayerShape): Int32Array;
  /** The second rank limits the outputs, which a last 1x1 then makes. */
  readonly outerRank?: boolean;
  /** The start is nearly the best already. */
  readonly near?: boolean;
  put(problem: FitProblem, candidate: Candidate, fit: Required<SlotFit>): Factors;
}

export interface FamilyOptions {
  readonly steps?: number;
  /** Of one candidate: factors to begin with. */
  readonly from?: Factors;
}

/**
 * Fits the candidates of one family and one number of splits; without `steps` by as many as the layer's size allows.
 */
export type FamilyFit = (
  problem: FitProblem,
  candidates: readonly Candidate[],
  options?: FamilyOptions,
) => readonly Factors[];

/** Steps of a candidate from the start, by which it is near its best. */
const usual = 6;
/** Of a candidate whose factors are near already. */
const again: Steps = { most: 4, gain: 1e-3 };
/** From the start: of many candidates, whose errors are compared, and of very large layers while it is worth it. */
const stepsOf = (size: number, candidates: number): Steps =>
  size > veryLarge ? { most: 4, gain: 0.01 } : { most: usual, gain: candidates > 2 ? 0.005 : 0 };

/** Layers with more values in a patch take the way through the ranks. */
const large = 300;
/** From here on the last per cents of an error are not worth the time: all ranks lie within the span of the largest. */
const veryLarge = 600;
/** Of the largest rank, by whether a step takes seconds, and of the ranks within its span. */
const firstOfSpan = (size: number): Steps => ({ most: size > 2400 ? 1 : 2, gain: 0.05 });
const withinSpan: Steps = { most: 3, gain: 0.02 };

/** Steps of the way through the ranks: of a next rank within the span of the one before, and then with all freedom. */
interface Path {
  readonly within: Steps;
  readonly after: Steps;
}

export function slotFamily(family: SlotFamily): FamilyFit {
  return (problem, candidates, { steps, from } = {}) => {
    const { shape } = problem;
    const slots = slotsOf(problem, family.slots(shape, candidates[0]!.splits ?? 1), family.own, family.order?.(shape));
    const put = (candidate: Candidate, fit: SlotFit) =>
      family.put(problem, candidate, { ...normalised(fit), outer: fit.outer ?? identity(shape.n) });
    const outerRank = ({ ranks }: Candidate) => (family.outerRank ? ranks[1]! : shape.n);
    try {
      const start = slotStart(slots);
      const size = slots.target.cols;
      if (from !== undefined && candidates.length === 1) {
        const state = stateOf(slots, banksOf(slots, from, candidates[0]!.ranks[0]!));
        const near = steps === undefined ? again : { most: steps, gain: 0 };
        return [put(candidates[0]!, fitSlots(slots, start, state, outerRank(candidates[0]!), near).fit)];
      }
      if (steps === undefined && size > large && candidates.length > 2) {
        if (size > veryLarge) return inOneSpan(slots, start, candidates, outerRank, put);
        const path = { within: { most: family.near ? 1 : 3, gain: 0.01 }, after: { most: usual, gain: 0.01 } };
        return throughRanks(slots, start, candidates, outerRank, path, put);
      }
      const all = steps === undefined ? stepsOf(size, candidates.length) : { most: steps, gain: 0 };
      return candidates.map((candidate) => {
        const first = firstState(slots, start, candidate.ranks[0]!);
        return put(candidate, fitSlots(slots, start, first, outerRank(candidate), all).fit);
      });
    } finally {
      release(slots);
    }
  };
}

/** All candidates within the span of the largest rank: one problem of that size for all of them. */
function inOneSpan(
  slots: Slots,
  start: SlotStart,
  candidates: readonly Candidate[],
  outerRank: (candidate: Candidate) => number,
  put: (candidate: Candidate, fit: SlotFit) => Factors,
): readonly Factors[] {
  const most = Math.max(...candidates.map(({ ranks }) => ranks[0]!));
  const steps = firstOfSpan(slots.target.cols);
  const { fit, state } = fitSlots(slots, start, firstState(slots, start, most), slots.target.rows, steps);
  const inner = inSpan(slots, state, fit);
  try {
    const first = slotStart(inner);
    return candidates.map((candidate) => {
      const rank = candidate.ranks[0]!;
      const outer = outerRank(candidate);
      const whole = rank === most && outer >= slots.target.rows;
      if (whole) return put(candidate, fit);
      const found = fitSlots(inner, first, firstState(inner, first, rank), outer, withinSpan).fit;
      const banks = found.banks.map((bank, q) => slots.algebra.multiply(bank, state.banks[q]!));
      return put(candidate, { ...found, banks });
    });
  } finally {
    release(inner);
  }
}

/**
 * From the largest rank down: each next one begins as the best within the span of the one before, which is a small
 * problem, and then takes steps with all freedom while they are worth it: one or two where six from the start are as
 * good.
 */
function throughRanks(
  slots: Slots,
  start: SlotStart,
  candidates: readonly Candidate[],
  outerRank: (candidate: Candidate) => number,
  { within, after }: Path,
  put: (candidate: Candidate, fit: SlotFit) => Factors,
): readonly Factors[] {
  const out: Factors[] = new Array(candidates.length);
  const order = [...candidates.keys()].sort((i, j) => candidates[j]!.ranks[0]! - candidates[i]!.ranks[0]!);
  let before: Reached | undefined;
  for (const i of order) {
    const rank = candidates[i]!.ranks[0]!;
    const outer = outerRank(candidates[i]!);
    const { state, fit } = before
      ? narrowed(slots, before, rank, outer, within)
      : { state: firstState(slots, start, rank) };
    before = fitSlots(slots, start, state, outer, after, fit);
    out[i] = put(candidates[i]!, before.fit);
  }
  return out;
}

interface Reached {
  readonly state: SlotState;
  readonly fit: SlotFit;
}

/** The best of a rank within the span of what was reached for at least that rank. */
function narrowed(
  slots: Slots,
  { state, fit }: Reached,
  rank: number,
  outerRank: number,
  steps: Steps,
): Partial<Reached> & { state: SlotState } {
  if (rank === state.banks[0]!.rows) return { state };
  const inner = inSpan(slots, state, fit);
  try {
    const start = slotStart(inner);
    const found = fitSlots(inner, start, firstState(inner, start, rank), outerRank, steps);
    const back = outOf(slots, state, found.state);
    return { state: back, fit: { ...found.fit, banks: back.banks } };
  } finally {
    release(inner);
  }
}

/** The banks of factors of this family: their first stage. */
function banksOf({ slots, width, own }: Slots, { stages }: Factors, rank: number): readonly Matrix[] {
  const { weight } = stages[0]!;
  const size = rank * width;
  return Array.from({ length: own ? slots : 1 }, (_, q) => matrix(rank, width, weight.slice(q * size, (q + 1) * size)));
}

function release({ blocks }: Slots): void {
  for (const block of blocks) block.release();
}

/** [k, S r] -> [k, r S]: the slots, which are kernel elements, last. */
export function interleaved({ rows, cols, data }: Matrix, slots: number): Float64Array {
  const r = cols / slots;
  const out = new Float64Array(data.length);
  for (let i = 0; i < rows; i++)
    for (let q = 0; q < slots; q++)
      for (let a = 0; a < r; a++) out[(i * r + a) * slots + q] = data[i * cols + q * r + a]!;
  return out;
}

function identity(size: number): Matrix {
  const out = matrix(size, size);
  for (let i = 0; i < size; i++) out.data[i * (size + 1)] = 1;
  return out;
}

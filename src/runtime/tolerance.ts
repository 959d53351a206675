// How far a model that claims to compute the same may be from the original, output by output and input by input: what
// rounding does to a network of its size, and a small multiple of what the runtime's own rewriting of the original did
// to that very output.
import type { DataType, TensorData } from "../graph/types.js";
import { isFloat } from "../graph/values.js";
import type { Dependence } from "./dependence.js";
import { type Differences, differences, sameShape } from "./differences.js";
import { median } from "./latency.js";
import { unit } from "./rounding.js";

/** What is allowed for one output and one input. */
export interface Tolerance {
  /** Largest and root mean square difference; both hold. */
  readonly max: number;
  readonly rms: number;
  /**
   * Of whole numbers and flags: the share of elements that may differ. Of floats behind a step (a rounding to integers,
   * a comparison): the share that may be further away than `near`, where `max` and `rms` do not hold.
   */
  readonly share: number;
  readonly near: number;
  /** What the runtime's own rewriting, or roundings of the weights, changed. */
  readonly noise: { readonly max: number; readonly rms: number };
  /** What the output must at least be changed by other inputs, for a comparison to say something. */
  readonly moves: number;
}

/** How an output can be compared. */
export interface OutputRule {
  readonly name: string;
  readonly type: DataType;
  /**
   * "constant": the same, within rounding, whatever was fed. "random", "unstable": not compared, for the stated reason.
   */
  readonly state: "compared" | "constant" | "random" | "unstable";
  readonly reason?: string;
  readonly stepwise: boolean;
  /** By the inputs' order; empty where the output is not compared. */
  readonly tolerances: readonly Tolerance[];
}

/**
 * The noise may be met again with another sign and a longer tail; a rewriting that is wrong differs by orders of
 * magnitude.
 */
const noiseMultiple = 4;
/**
 * Noise that rests on few elements says little about the next: the quotient of two mean squares of n numbers each stays
 * below 9 for n = 10 and below 140 for n = 3 in 999 of 1000 cases (F distribution), of their roots below 3 and 12.
 */
const fewElements = 6;
/**
 * The largest of many rounding errors is some four times their root mean square or more; `roundingOf` allows for the
 * latter.
 */
const tail = 4;
/** Whole numbers: one of a thousand elements may lie so near a threshold that rounding decides. */
const nearThreshold = 1e-3;
/** Where more elements than this are moved by noise alone, counting those that jumped says nothing. */
const fewJumps = 0.05;
/** An output moves where inputs change it by this many times what rounding does. */
const moves = 10;
/** Of constants nothing tells the scale: numbers near 1 are assumed. */
const constantFloor = 2 ** -20;

/** How another run's output differs; undefined where its size is another. */
export type Noise = Differences | undefined;

/** One output of the original: its values for each input, and how those of other runs of the same differ. */
export interface Observed {
  readonly name: string;
  readonly values: readonly TensorData[];
  /**
   * The same at another optimisation level, and with weights one rounding away: several for each input, counted beyond
   * `nearsOf`.
   */
  readonly again: readonly (readonly Noise[])[];
  /** The first input once more in the same session. */
  readonly repeated: Noise;
}

/** What differs, or undefined where the sizes do. */
export const noiseOf = (other: TensorData, value: TensorData, near = 0): Noise =>
  sameShape(other, value) ? differences(other, value, near) : undefined;

/** For each input: how far an element may be away by rounding alone. */
export function nearsOf(
  name: string,
  values: readonly TensorData[],
  { bounded }: Pick<Dependence, "bounded">,
  rounding: number,
): readonly number[] {
  const type = values[0]!.type;
  const relative = isFloat(type) ? rounding : 0;
  const scales = values.map((value) => differences(value, value).scale.max);
  const largest = Math.max(...scales);
  // Where an output is 0 for one input, the others tell its scale.
  return scales.map((max) => floorOf(type, bounded.has(name)) + tail * relative * (max > 0 ? max : largest));
}

/**
 * Decides how the output is compared. `still`: whatever draws at random was held still, so that such outputs have
 * tolerances too.
 */
export function ruleFor(observed: Observed, dependence: Dependence, rounding: number, still = false): OutputRule {
  const { name, values, again, repeated } = observed;
  const type = values[0]!.type;
  const stepwise = dependence.stepwise.has(name);
  const base = { name, type, stepwise, tolerances: [] };
  const random = dependence.randomOutputs.get(name);
  const drawn = { ...base, state: "random", reason: `it depends on ${random}` } as const;
  if (random !== undefined && !still) return drawn;
  const seen = again.map((all) => all.filter((one) => one !== undefined));
  if (seen.some((all, i) => all.length < again[i]!.length))
    return { ...base, state: "unstable", reason: "its size changes with the runtime's own rounding" };
  const floor = floorOf(type, dependence.bounded.has(name));
  const relative = isFloat(type) ? rounding : 0;
  const nears = nearsOf(name, values, dependence, rounding);
  const tolerances = tolerancesOf(values, seen, { floor, relative, stepwise, nears });
  if (tolerances === undefined)
    return { ...base, state: "unstable", reason: "its values become infinite or NaN by rounding" };
  if (changesByItself(repeated, tolerances[0]!))
    return { ...base, state: "unstable", reason: "two runs of the original on the same inputs differ" };
  if (random !== undefined) return { ...drawn, tolerances };
  if (!isMoved(values, tolerances))
    return { ...base, state: "constant", reason: constantReason(values[0]!), tolerances: tolerances.map(forConstant) };
  return { ...base, state: "compared", tolerances };
}

/**
 * The error of a function bounded by 1, which is computed as a difference of numbers near 1, in float32 (half precision
 * is widened for it); 0 where nothing bounds the output.
 */
const floorOf = (type: DataType, bounded: boolean): number => (bounded && isFloat(type) ? 4 * unit.float32 : 0);

interface Allowance {
  readonly floor: number;
  readonly relative: number;
  readonly stepwise: boolean;
  readonly nears: readonly number[];
}

function tolerancesOf(
  values: readonly TensorData[],
  seen: readonly (readonly Differences[])[],
  { floor, relative, stepwise, nears }: Allowance,
): readonly Tolerance[] | undefined {
  const scales = values.map((value) => differences(value, value).scale);
  const largest = Math.max(...scales.map(({ max }) => max));
  if (seen.flat().some(({ notFinite }) => notFinite > 0)) return undefined;
  const own = seen.map((all) => worst(all));
  // A step may not have been crossed for one input and be crossed next time: what is usual for the inputs holds for
  // each.
  const usual = (of: (one: (typeof own)[number], i: number) => number): number => median(own.map(of));
  return own.map((noise, i) => {
    const scale = scales[i]!;
    const max = stepwise
      ? Math.max(noise.max, usual((one, j) => one.max / (scales[j]!.max || 1)) * scale.max)
      : noise.max;
    const rms = stepwise
      ? Math.max(noise.rms, usual((one, j) => one.rms / (scales[j]!.rms || 1)) * scale.rms)
      : noise.rms;
    const share = relative === 0 ? Math.max(...own.map((one) => one.share)) : noise.share;
    const rounding = floor + relative * (scale.rms > 0 ? scale.rms : largest);
    return {
      max: nears[i]! + noise.multiple * max,
      rms: rounding + noise.multiple * rms,
      share: share > fewJumps && relative > 0 ? 0 : noiseMultiple * share + nearThreshold,
      near: nears[i]!,
      noise: { max: noise.max, rms: noise.rms },
      moves: moves * (rounding + noiseMultiple * noise.rms),
    };
  });
}

function worst(all: readonly Differences[]) {
  const loudest = all.reduce<Differences | undefined>(
    (most, one) => (most === undefined || one.rms > most.rms ? one : most),
    undefined,
  );
  return {
    max: Math.max(0, ...all.map(({ max }) => max)),
    rms: loudest?.rms ?? 0,
    multiple: noiseMultiple * (1 + fewElements / (loudest?.effective || 1)),
    share: Math.max(0, ...all.map(({ beyond, count }) => (count === 0 ? 0 : beyond / count))),
  };
}

const changesByItself = (repeated: Noise, { max }: Tolerance): boolean =>
  repeated === undefined || repeated.max > max || repeated.notFinite > 0;

/**
 * Whether inputs change the output by clearly more than what is allowed; a single input is compared with the output's
 * mean.
 */
function isMoved(values: readonly TensorData[], tolerances: readonly Tolerance[]): boolean {
  if (values.length === 1) return differences(values[0]!, values[0]!).scale.spread > tolerances[0]!.moves;
  return values.some((value, i) =>
    values.some((other, j) => {
      if (i === j) return false;
      if (!sameShape(value, other)) return true;
      return differences(value, other).rms > Math.max(tolerances[i]!.moves, tolerances[j]!.moves);
    }),
  );
}

function constantReason(value: TensorData): string {
  const { scale, count } = differences(value, value);
  if (count === 0) return "it is empty";
  const same = scale.spread <= constantFloor * Math.max(1, scale.max);
  return same ? "it is one number everywhere, whatever is fed" : "it is the same whatever is fed";
}

const forConstant = (tolerance: Tolerance): Tolerance => ({
  ...tolerance,
  max: Math.max(tolerance.max, constantFloor),
  rms: Math.max(tolerance.rms, constantFloor),
});

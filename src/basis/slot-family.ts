// What the families by slots have in common: which slots a layer has, and where the banks and coefficients go.
import { type Matrix, matrix } from "../linalg/matrix.js";
import type { Candidate, Factors, LayerShape } from "./factors.js";
import type { FitProblem } from "./fit-problem.js";
import { fitSlots, type SlotFit } from "./fit-slots.js";
import { slotStart } from "./slot-start.js";
import { slotsOf } from "./slots.js";

export interface SlotFamily {
  slots(shape: LayerShape, splits: number): number;
  /** A bank for each slot. */
  readonly own: boolean;
  /** Where the values of the slots lie in [c, kh, kw]; in order where it is not given. */
  order?(shape: LayerShape): Int32Array;
  /** The second rank limits the outputs, which a last 1x1 then makes. */
  readonly outerRank?: boolean;
  put(problem: FitProblem, candidate: Candidate, fit: Required<SlotFit>): Factors;
}

/** The fits of one family; to be released when all are made. */
export interface Fitting {
  fit(candidate: Candidate): Factors;
  release(): void;
}

export function slotFamily(family: SlotFamily): (problem: FitProblem, splits: number, steps: number) => Fitting {
  return (problem, splits, steps) => {
    const { shape } = problem;
    const slots = slotsOf(problem, family.slots(shape, splits), family.own, family.order?.(shape));
    const start = slotStart(slots);
    return {
      fit(candidate) {
        const [rank, outerRank = shape.n] = candidate.ranks;
        const found = fitSlots(slots, start, rank!, family.outerRank ? outerRank : shape.n, steps);
        return family.put(problem, candidate, { ...found, outer: found.outer ?? identity(shape.n) });
      },
      release() {
        for (const block of slots.blocks) block.release();
      },
    };
  };
}

/** [k, S r] -> [k, r S]: the slots, which are kernel elements, last. */
export function interleaved({ rows, cols, data }: Matrix, slots: number): Float64Array {
  const r = cols / slots;
  const out = new Float64Array(data.length);
  for (let i = 0; i < rows; i++)
    for (let q = 0; q < slots; q++) for (let a = 0; a < r; a++) out[(i * r + a) * slots + q] = data[i * cols + q * r + a]!;
  return out;
}

function identity(size: number): Matrix {
  const out = matrix(size, size);
  for (let i = 0; i < size; i++) out.data[i * (size + 1)] = 1;
  return out;
}

// What planning decides before it is described: a choice for each group, or the reason for none.

import type { SkippedLayer } from "../basis/convolution.js";
import { tails } from "../basis/spectrum.js";
import type { Spectrum } from "../linalg/low-rank.js";
import type { Choice, LayerGroup } from "./choices.js";
import type { Layer } from "./layers.js";

export interface Planned {
  readonly group: LayerGroup;
  readonly choice: Choice;
  /** Relative squared error. */
  readonly loss: number;
  readonly notes: ReadonlyMap<Layer, string>;
  readonly spectrum: Spectrum;
}

export interface Decision {
  readonly planned: readonly Planned[];
  readonly skipped: readonly SkippedLayer[];
  readonly why?: string | undefined;
}

/** The share of the squared singular values that a basis of this size loses. */
export function relative(squares: Float64Array, basisSize: number): number {
  const lost = tails(squares);
  return basisSize >= squares.length ? 0 : lost[basisSize]! / (lost[0]! || 1);
}

// What a plan may be asked for.
import type { SliceEnd } from "../basis/split.js";
import type { Dim } from "../graph/types.js";
import type { LinearAlgebra, Spectrum } from "../linalg/low-rank.js";
import type { Latencies } from "./latencies.js";
import type { Share } from "./sharing.js";

export type Splitting = number | "auto" | "channels";

export interface PlanOptions {
  /**
   * s for every layer; a number that does not divide a layer's channels is moved to the nearest divisor. `channels`: one for
   * each input channel. `auto`: Eq. 7, or what a budget finds best.
   */
  readonly splits?: Splitting;
  /** m for every layer. Without it a budget decides. */
  readonly basis?: number;
  /** F: fraction of the model's weights (or multiply-accumulates) to keep. Default, without `basis`: 0.5 of the weights. */
  readonly keepParams?: number;
  readonly keepMacs?: number;
  readonly share?: Share;
  /** Sets that share a basis, by patterns of layer names, besides or instead of those that `share` finds. */
  readonly shareNamed?: Readonly<Record<string, readonly string[]>>;
  /** Layers of growing width read slices of one basis instead of splits (DenseNet). */
  readonly slice?: SliceEnd;
  /** Patterns (with * and ?) of the layers to compress, and of those to leave alone. */
  readonly only?: readonly string[];
  readonly skip?: readonly string[];
  /** Splits and basis sizes for layers (or groups) whose name a pattern matches, stronger than `splits` and `basis`. */
  readonly layers?: Readonly<Record<string, { readonly splits?: number; readonly basis?: number }>>;
  /** Shapes that fix free axes; multiply-accumulates hold at these. */
  readonly inputs?: ReadonlyMap<string, readonly Dim[]>;
  readonly linear?: LinearAlgebra;
  /** What F is a fraction of: the counts of the file that was given, where the graph is that file after passes. Default: of the graph. */
  readonly original?: { readonly weights: number; readonly macs: number };
  /** Measured times: then a budget in multiply-accumulates takes only what is not slower, and layouts are chosen by them. */
  readonly latencies?: Latencies;
  /** Squared singular values that were computed before, by group and split; what is computed is added. */
  readonly spectra?: Map<string, Spectrum>;
  /** Milliseconds that a plan must save at the least, as `latencies` has them. */
  readonly save?: number;
}

// What a plan may be asked for, and what it may be given beside.
import { z } from "zod";
import type { LinearAlgebra, Spectrum } from "../linalg/low-rank.js";
import type { Candidates } from "./basis-candidates.js";
import type { Latencies } from "./latencies.js";
import { count, type OptionsOf, optional, selectionFields, sliceEnd } from "./options.js";
import { shares } from "./sharing.js";

const splitting = z.union([count, z.literal("auto"), z.literal("channels")]);
export type Splitting = z.output<typeof splitting>;

export const fraction = z.number().gt(0).max(1);
/** Shapes by the names of inputs, as a recipe gives them. */
export const shapes = z.record(z.string(), z.array(z.union([count, z.string(), z.null()])));

export const planFields = {
  ...optional({
    /**
     * s. A number that does not divide a layer's channels is moved to the nearest divisor; `auto`: Eq. 7, or what a
     * budget finds best.
     */
    splits: splitting.describe("splits of every layer: a number, channels, or auto"),
    /** m */
    basis: count.describe("basis filters of every layer, instead of a budget"),
    keepParams: fraction.describe("keep this fraction of the model's weights; default 0.5"),
    keepMacs: fraction.describe("keep this fraction of the model's multiply-accumulates"),
    share: z.enum(shares).describe("which layers share a basis"),
    /** Besides or instead of those that `share` finds. */
    shareNamed: z
      .record(z.string(), z.array(z.string()))
      .describe("layers that share a basis, by patterns of their names"),
    /** Layers of growing width, as DenseNet's, have one split each then. */
    slice: sliceEnd.describe("narrower layers read a slice of a shared basis"),
    /** Of layers, or of groups; stronger than `splits` and `basis`. */
    layers: z
      .record(z.string(), z.strictObject({ splits: count.optional(), basis: count.optional() }))
      .describe("splits and basis filters of the layers that a pattern matches"),
    /** Multiply-accumulates hold at these. */
    inputs: shapes
      .transform((given) => new Map(Object.entries(given)))
      .describe("shapes that fix free axes of the inputs"),
  }),
  ...selectionFields,
};

export interface PlanOptions extends OptionsOf<typeof planFields> {
  readonly linear?: LinearAlgebra;
  /**
   * What F is a fraction of: the counts of the file that was given, where the graph is that file after passes.
   * Default: of the graph.
   */
  readonly original?: { readonly weights: number; readonly macs: number };
  /**
   * Measured times: then a budget in multiply-accumulates takes only what is not slower, and layouts are chosen by
   * them.
   */
  readonly latencies?: Latencies;
  /** Squared singular values that were computed before, by group and split; what is computed is added. */
  readonly spectra?: Map<string, Spectrum>;
  /** Milliseconds that a plan must save at the least, as `latencies` has them. */
  readonly save?: number;
  /** What a budget chooses from. Default: bases of every size. */
  readonly candidates?: Candidates;
}

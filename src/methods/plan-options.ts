// What a plan may be asked for, and what it may be given beside.
import * as z from "zod/mini";
import type { LinearAlgebra, Spectrum } from "../linalg/low-rank.js";
import type { Candidates } from "./basis-candidates.js";
import type { Latencies } from "./latencies.js";
import { about, count, type OptionsOf, optional, selectionFields, sliceEnd } from "./options.js";
import { shares } from "./sharing.js";

const splitting = z.union([count, z.literal("auto"), z.literal("channels")]);
export type Splitting = z.output<typeof splitting>;

export const fraction = z.number().check(z.gt(0), z.lte(1));
/** Shapes by the names of inputs, as a recipe gives them. */
export const shapes = z.record(z.string(), z.array(z.union([count, z.string(), z.null()])));

export const planFields = {
  ...optional({
    /**
     * s. A number that does not divide a layer's channels is moved to the nearest divisor; `auto`: Eq. 7, or what a
     * budget finds best.
     */
    splits: about("splits of every layer: a number, channels, or auto", splitting),
    /** m */
    basis: about("basis filters of every layer, instead of a budget", count),
    keepParams: about("keep this fraction of the model's weights; default 0.5", fraction),
    keepMacs: about("keep this fraction of the model's multiply-accumulates", fraction),
    share: about("which layers share a basis", z.enum(shares)),
    /** Besides or instead of those that `share` finds. */
    shareNamed: about(
      "layers that share a basis, by patterns of their names",
      z.record(z.string(), z.array(z.string())),
    ),
    /** Layers of growing width, as DenseNet's, have one split each then. */
    slice: about("narrower layers read a slice of a shared basis", sliceEnd),
    /** Of layers, or of groups; stronger than `splits` and `basis`. */
    layers: about(
      "splits and basis filters of the layers that a pattern matches",
      z.record(z.string(), z.strictObject({ splits: z.optional(count), basis: z.optional(count) })),
    ),
    /** Multiply-accumulates hold at these. */
    inputs: about(
      "shapes that fix free axes of the inputs",
      z.pipe(
        shapes,
        z.transform((given: z.output<typeof shapes>) => new Map(Object.entries(given))),
      ),
    ),
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

// The contract of a method of compression. What a method leaves in the graph are nodes: cost, record, undo, layouts,
// report and training know a compressed layer by these (compressed-layers.ts) and not by the method.
import type { Graph, PassResult } from "../graph/types.js";
import type { Candidates } from "./basis-candidates.js";
import type { CompressedLayer } from "./compressed-layers.js";
import type { Layer } from "./layers.js";
import type { Fields, OptionsOf } from "./options.js";
import type { Plan } from "./plan.js";

/** Filters W [n, c, h, w], row-major. */
export type Reconstructed = { readonly values: Float64Array } | { readonly reason: string };

export interface Method<Name extends string = string, F extends Fields = Fields> {
  /** As --method and recipes take it. */
  readonly name: Name;
  /** One line for the list of methods. */
  readonly summary: string;
  /** What of it is remembered from its paper, or our own, rather than read there or in its authors' code. */
  readonly remembered?: string;
  /**
   * `weights`: made from a trained network's filters. `architecture`: replaces them by new ones that have to be
   * trained.
   */
  readonly from: "weights" | "architecture";
  readonly options: F;
  /**
   * The options that a plan is made by: those that were given, with what the method fixes. @throws FilterBasisError
   * where these contradict each other
   */
  planning?<O extends OptionsOf<F>>(options: O): O;
  /** What a budget may choose from for a group of layers. */
  readonly candidates?: Candidates;
  /** Where no option is a budget: options from the largest network to the smallest. */
  readonly sizes?: readonly OptionsOf<F>[];
  /**
   * Rewrites the graph as the options say, or carries out a plan that was made for it. Every layer is among the
   * outcomes.
   */
  apply(graph: Graph, options: OptionsOf<F>, plan?: Plan): PassResult;
  /** The filters that a layer which the method made amounts to; absent where there are none. */
  reconstruct?(graph: Graph, layer: CompressedLayer): Reconstructed;
  /** Options with which a layer of this shape stays what it is, but for rounding; absent where there are none. */
  fullRank?(layer: Pick<Layer, "outChannels" | "inChannels" | "kernelElements" | "kernel">): OptionsOf<F>;
}

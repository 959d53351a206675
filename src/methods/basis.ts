// Method basis: every planned convolution becomes a convolution with a small basis and a 1 x 1 with the coefficients,
// both made from its own filters by truncated SVD.
import * as z from "zod/mini";
import { type Factors, initialise, splitMatrix } from "../basis/initialise.js";
import { type Layout, layouts } from "../basis/layouts.js";
import { type ActivationMoments, fitToOutputs, outputSpectrum, sharedMoments } from "../basis/moments.js";
import { initialiseSliced } from "../basis/sliced.js";
import { sliceStart } from "../basis/split.js";
import { makeBasisConv } from "../graph/basis-conv.js";
import { type GraphIndex, indexOf } from "../graph/graph-index.js";
import type { Graph, Node, Outcome, Pass, PassResult, TensorData } from "../graph/types.js";
import { numbers } from "../graph/values.js";
import { pureLinearAlgebra } from "../linalg/low-rank.js";
import { stackRows } from "../linalg/matrix.js";
import { filtersOf, type Layer } from "./layers.js";
import { about, type OptionsOf, optional } from "./options.js";
import { type GroupPlan, type Plan, type PlanOptions, planCompression } from "./plan.js";
import { planFields } from "./plan-options.js";
import { type Store, storeFor } from "./store.js";

export const basisFields = {
  ...planFields,
  /** Of layers for which the plan has none; any can be changed afterwards (see layout.ts). Default: batch-folded. */
  ...optional({ layout: about("how layers are written", z.enum(layouts)) }),
};

export interface BasisOptions extends PlanOptions, OptionsOf<typeof basisFields> {
  /** The name under which the record files it. */
  readonly method?: string;
  /**
   * What each layer's filters see on data, by layer name: then basis and coefficients keep the layer's outputs
   * rather than its filters; what is planned stays the same. A layer without an entry, and one that reads a slice of
   * its basis, keeps to its filters.
   */
  readonly moments?: ReadonlyMap<string, ActivationMoments>;
}

/** The pass: plans, then rewrites. Every layer is among the outcomes, applied or skipped with its reason. */
export function basis(options: BasisOptions = {}): Pass {
  return (graph) => applyPlan(graph, planCompression(graph, options), options);
}

/**
 * Carries out a plan made for this graph.
 * @example
 * ```ts
 * import { applyPlan, loadModel, planCompression } from "filterbasis";
 *
 * const graph = await loadModel("model.onnx");
 * const plan = planCompression(graph, { keepParams: 0.4, share: "block" });
 * const { graph: compressed } = applyPlan(graph, plan);
 * console.log(plan.after.weights / plan.before.weights, compressed.nodes.length);
 * ```
 */
export function applyPlan(graph: Graph, plan: Plan, options: BasisOptions = {}): PassResult {
  const { method = "basis" } = options;
  const writer: Writer = {
    store: storeFor(graph),
    constant: indexOf(graph).stored,
    method,
    layout: options.layout ?? "batch-folded",
  };
  const replacements = new Map<Node, readonly Node[]>();
  const outcomes: Outcome[] = [];
  for (const planned of plan.groups) {
    for (const { node, name, compressed, reason } of writeGroup(planned, factorise(planned, options), writer)) {
      replacements.set(node, [compressed]);
      outcomes.push({ pass: method, layer: name, applied: true, reason });
    }
  }
  outcomes.push(
    ...plan.skipped.map(({ name, reason }): Outcome => ({ pass: method, layer: name, applied: false, reason })),
  );
  return { graph: writer.store.replace(graph, replacements), outcomes };
}

interface Writer {
  readonly store: Store;
  readonly constant: GraphIndex["stored"];
  readonly method: string;
  readonly layout: Layout;
}

interface Written {
  readonly node: Node;
  readonly name: string;
  readonly compressed: Node;
  /** What was done, in a sentence. */
  readonly reason: string;
}

/** The nodes over one basis: of a layer, or of all that share it. */
function writeGroup(
  planned: GroupPlan,
  factors: Factors,
  { store, constant, method, layout }: Writer,
): readonly Written[] {
  const { group, choice } = planned;
  const { channels, basisSize } = choice;
  const stem = group.shared ? group.name : stemOf(group.layers[0]!);
  const stored = new Map<string, string>(); // one for each pair of types, which nearly always is one
  const basisFor = ({ kernel, ...layer }: Layer) => {
    const key = `${layer.weight.type} ${layer.type}`;
    const known =
      stored.get(key) ?? store.put(`${stem}.basis`, typesOf(layer), [basisSize, channels, ...kernel], factors.basis);
    stored.set(key, known);
    return known;
  };
  return planned.layers.flatMap(({ layer, splits, note, timed }, index) => {
    const { outChannels, inChannels, kernel } = layer;
    const basis = basisFor(layer);
    const dims = [outChannels, splits * basisSize, ...kernel.map(() => 1)];
    const coefficients = store.put(`${stemOf(layer)}.coefficients`, typesOf(layer), dims, factors.coefficients[index]!);
    const error = Math.sqrt(factors.squaredErrors[index]! / (factors.squaredNorms[index]! || 1));
    const start = sliceStart(channels, inChannels, group.slice ?? "first");
    const shift = factors.shifts?.[index];
    const common = {
      ...{ basis, coefficients, basisBias: "", splits, basisSize, outChannels, inChannels, kernel },
      slice: group.slice && inChannels < channels ? ([start, start + inChannels] as const) : null,
      layout: timed?.layout ?? layout,
      provenance: { method, error, ...(group.shared ? { shared: group.name } : {}), weight: layer.weightName },
    };
    return layer.nodes.map(({ node, name }): Written => {
      const values = shiftedBias(constant(node.inputs[2] ?? "")?.tensor, shift);
      const bias = values
        ? store.put(`${stemOf(layer)}.bias`, typesOf(layer), [values.length], values)
        : (node.inputs[2] ?? "");
      const own = {
        name: node.name,
        input: node.inputs[0]!,
        output: node.outputs[0]!,
        bias,
        attributes: node.attributes,
      };
      return {
        node,
        name,
        compressed: makeBasisConv({ ...common, ...own }),
        reason: sentence(planned, splits, error, note),
      };
    });
  });
}

/** Parameters are stored as the layer's weight is. */
const typesOf = ({ weight, type }: Pick<Layer, "weight" | "type">) => ({ stored: weight.type, read: type });

/** A bias with what the basis loses of a constant input added, where both are known. */
function shiftedBias(bias: TensorData | undefined, shift: Float64Array | undefined): Float64Array | undefined {
  return bias && shift && Float64Array.from(numbers(bias), (value, n) => value + shift[n]!);
}

function factorise(
  { group, choice, layers, spectrum }: GroupPlan,
  { moments, linear = pureLinearAlgebra }: BasisOptions,
): Factors {
  const filters = layers.map(({ layer, splits }) => filtersOf(layer, splits));
  if (group.slice)
    return initialiseSliced(filters, choice.basisSize, {
      end: group.slice,
      linear,
      ...(spectrum && { known: spectrum }),
    });
  const seen = group.layers.map(({ name }) => moments?.get(name)).filter((found) => found !== undefined);
  if (seen.length < filters.length) return initialise(filters, choice.basisSize, spectrum, linear);
  const block = sharedMoments(seen, group.layers[0]!.kernelElements, choice.channels);
  const ofOutputs = outputSpectrum(stackRows(filters.map(splitMatrix)), block, linear);
  return fitToOutputs(initialise(filters, choice.basisSize, ofOutputs, linear), filters, seen, linear);
}

/** The weight's name without ".weight": what parameters of the layer are named after. */
function stemOf({ weightName, name }: Layer): string {
  return weightName.endsWith(".weight") ? weightName.slice(0, -".weight".length) : name;
}

function sentence(
  { group, choice, weightsBefore, weightsAfter }: GroupPlan,
  splits: number,
  error: number,
  note: string | undefined,
): string {
  const weights = `${group.shared ? `${group.name} together ` : ""}${weightsBefore} -> ${weightsAfter} weights`;
  const grows = weightsAfter > weightsBefore ? "; warning: it grows" : "";
  const parts = `${splits} ${splits === 1 ? "split" : "splits"}, ${choice.basisSize} basis filters${group.shared ? ` shared as ${group.name}` : ""}`;
  return `${parts}, ${weights}${grows}, relative error ${error.toPrecision(3)}${note ? `; ${note}` : ""}`;
}

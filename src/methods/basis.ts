// Method basis: every planned convolution becomes a convolution with a small basis and a 1 x 1 with the coefficients,
// both made from its own filters by truncated SVD.
import { type Factors, initialise, splitMatrix } from "../basis/initialise.js";
import type { Layout } from "../basis/layouts.js";
import { type ActivationMoments, fitToOutputs, outputSpectrum, sharedMoments } from "../basis/moments.js";
import { initialiseSliced } from "../basis/sliced.js";
import { sliceStart } from "../basis/split.js";
import { int, makeNode } from "../graph/attributes.js";
import { makeBasisConv } from "../graph/basis-conv.js";
import { freshNames, replaceNodes } from "../graph/edit.js";
import { indexOf } from "../graph/graph-index.js";
import type { Graph, Node, Outcome, Pass, TensorData } from "../graph/types.js";
import { dataTypes } from "../graph/types.js";
import { numbers, tensorOf } from "../graph/values.js";
import { type LinearAlgebra, pureLinearAlgebra } from "../linalg/low-rank.js";
import { stackRows } from "../linalg/matrix.js";
import { dropUnread } from "../passes/remove-unread.js";
import { filtersOf, type Layer } from "./layers.js";
import { type GroupPlan, type Plan, type PlanOptions, planCompression } from "./plan.js";

export interface BasisOptions extends PlanOptions {
  /** The layout of layers for which the plan has none; any can be changed afterwards (see layout.ts). Default: batch-folded. */
  readonly layout?: Layout;
  /** The name under which the record files it. */
  readonly method?: string;
  /**
   * What each layer's filters see on data, by layer name: then basis and coefficients keep the layer's outputs rather than its filters; what is
   * planned stays the same. A layer without an entry, and one that reads a slice of its basis, keeps to its filters.
   */
  readonly moments?: ReadonlyMap<string, ActivationMoments>;
}

/** The pass: plans, then rewrites. Every layer is among the outcomes, applied or skipped with its reason. */
export function basis(options: BasisOptions = {}): Pass {
  return (graph) => applyPlan(graph, planCompression(graph, options), options);
}

/** Carries out a plan made for this graph. */
export function applyPlan(
  graph: Graph,
  plan: Plan,
  { layout: stated = "batch-folded", method = "basis", moments, linear }: BasisOptions = {},
) {
  const fresh = freshNames(graph);
  const replacements = new Map<Node, readonly Node[]>();
  const initializers = new Map<string, TensorData>();
  const casts: Node[] = [];
  const outcomes: Outcome[] = [];
  const constant = indexOf(graph).stored;
  /** Stores a tensor as the layer's weight is stored; returns the name of the value to read. */
  const store = (stem: string, layer: Layer, dims: readonly number[], values: Float64Array) => {
    const name = fresh(stem);
    initializers.set(name, tensorOf(layer.weight.type, dims, values));
    if (layer.type === layer.weight.type) return name;
    const value = fresh(`${stem}.cast`);
    casts.push(makeNode("Cast", [name], [value], { to: int(dataTypes.indexOf(layer.type) + 1) }));
    return value;
  };
  /** The node's bias, with what the basis loses of a constant input added, where that is known. */
  const shiftedBias = (node: Node, layer: Layer, shift: Float64Array | undefined): string => {
    const name = node.inputs[2] ?? "";
    const bias = shift && name !== "" ? constant(name)?.tensor : undefined;
    if (shift === undefined || bias === undefined) return name;
    const values = Float64Array.from(numbers(bias), (value, n) => value + shift[n]!);
    return store(`${stemOf(layer)}.bias`, layer, [values.length], values);
  };
  for (const planned of plan.groups) {
    const { group, choice } = planned;
    const { channels, basisSize } = choice;
    const factors = factorise(planned, moments, linear);
    const [first] = group.layers as [Layer, ...Layer[]];
    const stem = group.shared ? group.name : stemOf(first);
    const stored = new Map<string, string>(); // one for each pair of types, which nearly always is one
    const basisFor = (layer: Layer) => {
      const key = `${layer.weight.type} ${layer.type}`;
      const known = stored.get(key) ?? store(`${stem}.basis`, layer, [basisSize, channels, ...layer.kernel], factors.basis);
      stored.set(key, known);
      return known;
    };
    for (const [index, { layer, splits, note, timed }] of planned.layers.entries()) {
      const layout = timed?.layout ?? stated;
      const b = basisFor(layer);
      const a = store(
        `${stemOf(layer)}.coefficients`,
        layer,
        [layer.outChannels, splits * basisSize, ...layer.kernel.map(() => 1)],
        factors.coefficients[index]!,
      );
      const error = Math.sqrt(factors.squaredErrors[index]! / (factors.squaredNorms[index]! || 1));
      const start = sliceStart(channels, layer.inChannels, group.slice ?? "first");
      const slice = group.slice && layer.inChannels < channels ? ([start, start + layer.inChannels] as const) : null;
      const shift = factors.shifts?.[index];
      for (const { node, name } of layer.nodes) {
        const compressed = makeBasisConv({
          name: node.name,
          input: node.inputs[0]!,
          output: node.outputs[0]!,
          basis: b,
          coefficients: a,
          bias: shiftedBias(node, layer, shift),
          basisBias: "",
          splits,
          basisSize,
          outChannels: layer.outChannels,
          inChannels: layer.inChannels,
          kernel: layer.kernel,
          slice,
          attributes: node.attributes,
          layout,
          provenance: { method, error, ...(group.shared ? { shared: group.name } : {}), weight: layer.weightName },
        });
        replacements.set(node, [compressed]);
        outcomes.push({ pass: method, layer: name, applied: true, reason: sentence(planned, splits, error, note) });
      }
    }
  }
  outcomes.push(...plan.skipped.map(({ name, reason }): Outcome => ({ pass: method, layer: name, applied: false, reason })));
  const rewritten = replaceNodes(graph, replacements, initializers);
  const cleaned = dropUnread(
    { ...rewritten, nodes: [...casts, ...rewritten.nodes] },
    plan.groups.flatMap(({ group }) => group.layers.flatMap(({ nodes }) => nodes.flatMap(({ node }) => node.inputs.slice(1)))),
  );
  return { graph: cleaned, outcomes };
}

function factorise(
  { group, choice, layers, spectrum }: GroupPlan,
  moments: BasisOptions["moments"],
  linear: LinearAlgebra = pureLinearAlgebra,
): Factors {
  const filters = layers.map(({ layer, splits }) => filtersOf(layer, splits));
  if (group.slice) return initialiseSliced(filters, choice.basisSize, { end: group.slice, known: spectrum, linear });
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

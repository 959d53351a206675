// Folding batch normalisation into the layer before it, or after it where that is exact.
//
//   BN(z) = k z + t  per channel,  k = scale / sqrt(variance + epsilon),  t = shift - mean k
//   behind a layer  z = W x + b:   W' = k W (each output channel),  b' = k b + t
//   before a layer  y = W z + b:   W' = W k (each input channel),   b' = b + sum W t, if no zero padding comes between (or t = 0)
import { readFloat, readInt, siteName } from "../attributes.js";
import { constantReader } from "../constants.js";
import { consumers, producers, reads, replaceNodes, withoutInitializers } from "../edit.js";
import type { Graph, Node, Outcome, Pass, TensorData } from "../types.js";
import { isFloat, numbers } from "../values.js";
import { type Folded, foldAfter, foldBefore, type Refusal } from "./fold-into-layer.js";

const name = "fold-batch-norm";

/**
 * Folds every BatchNormalization that runs in inference mode with constant statistics into the Conv, ConvTranspose or Gemm whose output only
 * it reads, or else into the Conv or Gemm that alone reads its output, where that is exact. Weights keep their element type (computed in
 * double, rounded once) and their names, unless other nodes read them too. Refusals say why.
 */
export const foldBatchNorm: Pass = (graph) => {
  const outcomes: Outcome[] = [];
  let current = graph;
  for (const node of graph.nodes) {
    if (node.op !== "BatchNormalization" || node.domain !== "") continue;
    const result = foldOne(current, node);
    outcomes.push({ pass: name, site: siteName(node), done: "graph" in result, because: result.because });
    if ("graph" in result) current = result.graph;
  }
  return { graph: current, outcomes };
};

function foldOne(graph: Graph, node: Node): { readonly graph: Graph; readonly because: string } | Refusal {
  const affine = affineOf(graph, node);
  if ("because" in affine) return affine;
  const made = producers(graph);
  const readers = consumers(graph);
  const outputs = new Set(graph.outputs.map((output) => output.name));
  const [from, to] = [node.inputs[0]!, node.outputs[0]!];
  const before = made.get(from);
  const alone = (value: string) => readers.get(value)?.length === 1 && !outputs.has(value);
  const context = { graph, readers, constant: constantReader(graph) };

  const backward: Folded | Refusal =
    before === undefined
      ? { because: "its input is not made by a node" }
      : alone(from)
        ? foldBefore(context, before, affine)
        : { because: `the output of ${siteName(before)} is read elsewhere too` };
  if ("layer" in backward) {
    const layer = { ...backward.layer, outputs: [to] };
    return {
      graph: rebuilt(graph, before!, layer, node, backward),
      because: `it was folded into ${siteName(before!)} before it`,
    };
  }
  const after = readers.get(to)?.[0];
  const forward: Folded | Refusal =
    after === undefined || !alone(to)
      ? { because: "its output is not read by one layer alone" }
      : foldAfter(context, after, to, affine);
  if ("layer" in forward) {
    const layer = { ...forward.layer, inputs: forward.layer.inputs.map((input) => (input === to ? from : input)) };
    return { graph: rebuilt(graph, after!, layer, node, forward), because: `it was folded into ${siteName(after!)} after it` };
  }
  return { because: `${backward.because}, and ${forward.because}` };
}

/** The graph with the layer replaced, the normalisation gone, and constants that nothing reads any more dropped. */
function rebuilt(graph: Graph, old: Node, layer: Node, normalisation: Node, { added }: Folded): Graph {
  const replaced = replaceNodes(
    graph,
    new Map([
      [old, [layer]],
      [normalisation, []],
    ]),
    added,
  );
  const still = new Set(replaced.outputs.map((output) => output.name));
  for (const node of replaced.nodes) for (const value of reads(node)) still.add(value);
  const stale = [...old.inputs, ...normalisation.inputs].filter((value) => replaced.initializers.has(value) && !still.has(value));
  const values = new Map(replaced.values);
  for (const value of [...old.outputs, ...normalisation.inputs])
    if (!layer.outputs.includes(value) && !layer.inputs.includes(value)) values.delete(value);
  return { ...withoutInitializers(replaced, new Set(stale)), values };
}

/** k and t of each channel. */
export interface Affine {
  readonly k: Float64Array;
  readonly t: Float64Array;
}

function affineOf(graph: Graph, node: Node): Affine | Refusal {
  const read = new Set(graph.outputs.map((output) => output.name));
  for (const other of graph.nodes) for (const value of reads(other)) read.add(value);
  if (readInt(node, "training_mode", 0) !== 0) return { because: "it runs in training mode" };
  if (node.outputs.slice(1).some((output) => output !== "" && read.has(output)))
    return { because: "its batch statistics are read" };
  if (readInt(node, "spatial", 1) === 0) return { because: "it normalises every pixel by itself (spatial = 0)" };
  const constant = constantReader(graph);
  const tensors = [1, 2, 3, 4].map((index) => constant(node.inputs[index] ?? ""));
  if (tensors.some((tensor) => tensor === undefined)) return { because: "its scale, shift or statistics are not constant" };
  if (tensors.some((tensor) => !isFloat(tensor!.type))) return { because: "its statistics are not floating-point" };
  const [scale, shift, mean, variance] = (tensors as TensorData[]).map(numbers) as [
    Float64Array,
    Float64Array,
    Float64Array,
    Float64Array,
  ];
  const epsilon = readFloat(node, "epsilon", Math.fround(1e-5));
  const k = scale.map((value, channel) => value / Math.sqrt(variance[channel]! + epsilon));
  const t = shift.map((value, channel) => value - mean[channel]! * k[channel]!);
  if (![...k, ...t].every(Number.isFinite)) return { because: "its statistics give values that are not finite" };
  return { k, t };
}

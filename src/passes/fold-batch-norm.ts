// Folding batch normalisation into the layer before it, or after it where that is exact.
//
//   BN(z) = k z + t  per channel,  k = scale / sqrt(variance + epsilon),  t = shift - mean k
//   behind a layer  z = W x + b:   W' = k W (each output channel),  b' = k b + t
//   before a layer  y = W z + b:   W' = W k (each input channel),   b' = b + sum W t, if no zero padding comes between (or t = 0)
import { readFloat, readInt, siteName } from "../graph/attributes.js";
import type { Node, Outcome, Pass, TensorData } from "../graph/types.js";
import { isFloat, numbers } from "../graph/values.js";
import { type Folded, foldAfter, foldBefore, type Refusal } from "./fold-into-layer.js";
import { Rewriting } from "./rewriting.js";

const name = "fold-batch-norm";

/**
 * Folds every BatchNormalization that runs in inference mode with constant statistics into the Conv, ConvTranspose or Gemm whose output only
 * it reads, or else into the Conv or Gemm that alone reads its output, where that is exact. Weights keep their element type (computed in
 * double, rounded once) and their names, unless other nodes read them too. Refusals say why.
 */
export const foldBatchNorm: Pass = (graph) => {
  const outcomes: Outcome[] = [];
  const work = new Rewriting(graph);
  for (const node of graph.nodes) {
    if (node.op !== "BatchNormalization" || node.domain !== "") continue;
    const result = foldOne(work, node);
    outcomes.push({ pass: name, site: siteName(node), done: "done" in result, because: result.because });
  }
  return { graph: work.result(), outcomes };
};

function foldOne(work: Rewriting, node: Node): { readonly done: true; readonly because: string } | Refusal {
  const affine = affineOf(work, node);
  if ("because" in affine) return affine;
  const [from, to] = [node.inputs[0]!, node.outputs[0]!];
  const before = work.made.get(from);
  const backward: Folded | Refusal =
    before === undefined
      ? { because: "its input is not made by a node" }
      : work.readByOne(from)
        ? foldBefore(work, before, affine)
        : { because: `the output of ${siteName(before)} is read elsewhere too` };
  if ("layer" in backward) {
    work.replace(before!, { ...backward.layer, outputs: [to] }, node, backward.added);
    return { done: true, because: `it was folded into ${siteName(before!)} before it` };
  }
  const after = work.readers.get(to)?.[0];
  const forward: Folded | Refusal =
    after === undefined || !work.readByOne(to)
      ? { because: "its output is not read by one layer alone" }
      : foldAfter(work, after, to, affine);
  if ("layer" in forward) {
    const inputs = forward.layer.inputs.map((input) => (input === to ? from : input));
    work.replace(after!, { ...forward.layer, inputs }, node, forward.added);
    return { done: true, because: `it was folded into ${siteName(after!)} after it` };
  }
  return { because: `${backward.because}, and ${forward.because}` };
}

/** k and t of each channel. */
export interface Affine {
  readonly k: Float64Array;
  readonly t: Float64Array;
}

function affineOf({ readers, outputs, constant }: Rewriting, node: Node): Affine | Refusal {
  const isRead = (value: string) => outputs.has(value) || (readers.get(value) ?? []).length > 0;
  if (readInt(node, "training_mode", 0) !== 0) return { because: "it runs in training mode" };
  if (node.outputs.slice(1).some((output) => output !== "" && isRead(output)))
    return { because: "its batch statistics are read" };
  if (readInt(node, "spatial", 1) === 0) return { because: "it normalises every pixel by itself (spatial = 0)" };
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

// Folding batch normalisation into the layer before it, or after it where that is exact.
//
//   BN(z) = k z + t  per channel,  k = scale / sqrt(variance + epsilon),  t = shift - mean k
//   behind a layer  z = W x + b:   W' = k W (each output channel),  b' = k b + t
//   before a layer  y = W z + b:   W' = W k (each input channel),   b' = b + sum W t, if no zero padding comes between (or t = 0)
//
// A weight that several layers read is folded only where all of them are followed by the same k: otherwise it would be
// stored once for each.
import { nodeName, readFloat, readInt } from "../graph/attributes.js";
import type { Node, Outcome, Pass, TensorData } from "../graph/types.js";
import { isFloat, numbers } from "../graph/values.js";
import { trainingMode } from "../ops/normalisation.js";
import type { Skipped } from "../ops/rules/affine.js";
import { type Fold, storeFolds } from "./fold-groups.js";
import { foldAfter, foldBefore, weightPlaces } from "./fold-into-layer.js";
import { Rewriting } from "./rewriting.js";

const name = "fold-batch-norm";

/**
 * Folds every BatchNormalization that runs in inference mode with constant statistics into the Conv, ConvTranspose or
 * Gemm whose output only it reads, or else into the Conv or Gemm that alone reads its output, where that is exact and
 * the model does not grow. Weights keep their element type (computed in double, rounded once) and, where they are
 * initializers, their names. Refusals say why.
 */
export const foldBatchNorm: Pass = (graph) => {
  const work = new Rewriting(graph);
  const done = new Map<Node, string>();
  const outcomes: Outcome[] = [];
  const report = (node: Node, reason: string, folded: boolean) =>
    outcomes.push({ pass: name, layer: nodeName(node), applied: folded, reason });
  for (const node of graph.nodes) {
    if (!isNorm(node)) continue;
    const earlier = done.get(node);
    const result = earlier === undefined ? foldOne(work, node) : new Map<Node, string>();
    if ("reason" in result) report(node, result.reason, false);
    else {
      for (const [norm, reason] of result) done.set(norm, reason);
      report(node, done.get(node)!, true);
    }
  }
  return { graph: work.result(), outcomes };
};

const isNorm = (node: Node | undefined): node is Node => node?.op === "BatchNormalization" && node.domain === "";

/** The normalisations that were folded, with what was done. */
type Done = ReadonlyMap<Node, string>;

function foldOne(work: Rewriting, node: Node): Done | Skipped {
  const affine = affineOf(work, node);
  if ("reason" in affine) return affine;
  const backward = foldBackward(work, node, affine);
  if (!("reason" in backward)) return backward;
  const forward = foldForward(work, node, affine);
  return "reason" in forward ? { reason: `${backward.reason}, and ${forward.reason}` } : forward;
}

function foldBackward(work: Rewriting, node: Node, affine: Affine): Done | Skipped {
  const [from] = node.inputs as [string];
  const layer = work.made.get(from);
  if (layer === undefined) return { reason: "its input is not made by a node" };
  if (!work.readByOne(from)) return { reason: `the output of ${nodeName(layer)} is read elsewhere too` };
  const alone = foldBefore(work.constant, layer, affine);
  if ("reason" in alone) return alone;
  const folds: Fold[] = [];
  for (const { layer: each, norm, affine: own } of group(work, layer, node, affine) ?? []) {
    const folded = each === layer ? alone : foldBefore(work.constant, each, own);
    if ("reason" in folded) return folded;
    folds.push({ old: each, norm, folded, inputs: each.inputs.slice(0, 1), outputs: norm.outputs.slice(0, 1) });
  }
  if (folds.length === 0) return sharedWeight(work, layer);
  return (
    storeFolds(work, folds) ??
    new Map(folds.map(({ old, norm }) => [norm, `it was folded into ${nodeName(old)} before it`]))
  );
}

function foldForward(work: Rewriting, node: Node, affine: Affine): Done | Skipped {
  const [from, to] = [node.inputs[0]!, node.outputs[0]!];
  const [layer] = work.readers.get(to) ?? [];
  if (layer === undefined || !work.readByOne(to)) return { reason: "its output is not read by one layer alone" };
  const folded = foldAfter(work.constant, layer, to, affine);
  if ("reason" in folded) return folded;
  if (partners(work, layer)?.length !== 1) return sharedWeight(work, layer);
  const fold: Fold = { old: layer, norm: node, folded, inputs: [from], outputs: layer.outputs };
  return storeFolds(work, [fold]) ?? new Map([[node, `it was folded into ${nodeName(layer)} after it`]]);
}

/**
 * The nodes that read a layer's weight, the layer itself among them; undefined where an output of the graph reads it.
 */
function partners(work: Rewriting, layer: Node): readonly Node[] | undefined {
  const weight = layer.inputs[weightPlaces(layer)[0]] ?? "";
  return work.constant(weight) === undefined ? [layer] : work.endReaders(work.rootOf(weight));
}

function sharedWeight(work: Rewriting, layer: Node): Skipped {
  const others = partners(work, layer)?.filter((node) => node !== layer);
  const by = others === undefined ? "an output of the graph" : others.map(nodeName).slice(0, 3).join(", ");
  const more = others !== undefined && others.length > 3 ? ` and ${others.length - 3} more` : "";
  return {
    reason: `the weight of ${nodeName(layer)} is also read by ${by}${more}, and would be stored more than once`,
  };
}

interface Member {
  readonly layer: Node;
  readonly norm: Node;
  readonly affine: Affine;
}

/**
 * All layers that read the weight, each followed by a normalisation that scales alike; undefined where one of them is
 * not.
 */
function group(work: Rewriting, layer: Node, norm: Node, affine: Affine): readonly Member[] | undefined {
  const members: Member[] = [];
  for (const partner of partners(work, layer) ?? []) {
    const own = partner === layer ? { layer, norm, affine } : followed(work, partner);
    if (own === undefined || !alike(own, { layer, norm, affine })) return undefined;
    members.push(own);
  }
  return members;
}

function followed(work: Rewriting, layer: Node): Member | undefined {
  const [output = ""] = layer.outputs;
  const [norm] = work.readers.get(output) ?? [];
  if (!isNorm(norm) || norm.inputs[0] !== output || !work.readByOne(output)) return undefined;
  const affine = affineOf(work, norm);
  return "reason" in affine ? undefined : { layer, norm, affine };
}

function alike(a: Member, b: Member): boolean {
  return (
    a.layer.op === b.layer.op &&
    a.layer.domain === b.layer.domain &&
    weightPlaces(a.layer)[0] === weightPlaces(b.layer)[0] &&
    readInt(a.layer, "group", 1) === readInt(b.layer, "group", 1) &&
    readInt(a.layer, "transB", 0) === readInt(b.layer, "transB", 0) &&
    a.affine.k.length === b.affine.k.length &&
    a.affine.k.every((value, channel) => value === b.affine.k[channel])
  );
}

/** k and t of each channel. */
export interface Affine {
  readonly k: Float64Array;
  readonly t: Float64Array;
}

function affineOf({ readers, outputs, constant, opset }: Rewriting, node: Node): Affine | Skipped {
  const isRead = (value: string) => outputs.has(value) || (readers.get(value)?.size ?? 0) > 0;
  const training = trainingMode(node, opset);
  if (training !== undefined) return { reason: training };
  if (node.outputs.slice(1).some((output) => output !== "" && isRead(output)))
    return { reason: "its batch statistics are read" };
  if (readInt(node, "spatial", 1) === 0) return { reason: "it normalises every pixel by itself (spatial = 0)" };
  const tensors = [1, 2, 3, 4].map((index) => constant(node.inputs[index] ?? ""));
  if (tensors.some((tensor) => tensor === undefined))
    return { reason: "its scale, shift or statistics are not constant" };
  if (tensors.some((tensor) => !isFloat(tensor!.type))) return { reason: "its statistics are not floating-point" };
  const [scale, shift, mean, variance] = (tensors as TensorData[]).map(numbers) as [
    Float64Array,
    Float64Array,
    Float64Array,
    Float64Array,
  ];
  const epsilon = readFloat(node, "epsilon", Math.fround(1e-5));
  const k = scale.map((value, channel) => value / Math.sqrt(variance[channel]! + epsilon));
  const t = shift.map((value, channel) => value - mean[channel]! * k[channel]!);
  if (![...k, ...t].every(Number.isFinite)) return { reason: "its statistics give values that are not finite" };
  return { k, t };
}

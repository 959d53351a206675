// A Conv node as the method sees it, or the reason why its filters cannot be written over a basis.
import { FilterBasisError } from "../errors/error.js";
import { nodeName, readInt } from "../graph/attributes.js";
import type { Stored } from "../graph/graph-index.js";
import type { DataType, Node, TensorData } from "../graph/types.js";
import { quantisedCure } from "../passes/constant/weights.js";
import type { FilterShape } from "./split.js";

export interface Convolution extends FilterShape {
  readonly node: Node;
  /** The node's name, or its first output where it has none. */
  readonly name: string;
  /** The kernel's sizes: [h, w], or one or three of them. */
  readonly kernel: readonly number[];
  /** The value at the root of the weight: nodes with one root share their filters. */
  readonly weightName: string;
  /** The filters as stored. */
  readonly weight: TensorData;
  /** The type that the node computes in; differs from the weight's where a Cast stands between. */
  readonly type: DataType;
}

/** Why a node is skipped: a clause that completes "because ...". */
export interface SkippedLayer {
  readonly name: string;
  readonly reason: string;
}

/** Node types that carry weights but are no plain convolutions, and why they are skipped. */
const others: Readonly<Record<string, string>> = {
  ConvTranspose: "it is a transposed convolution, which scatters its inputs instead of gathering them with filters",
  Gemm: "it is a fully connected layer, not a convolution",
  MatMul: "it is a matrix product, not a convolution",
  ConvInteger: `it is a quantised convolution: ${quantisedCure}`,
  QLinearConv: `it is a quantised convolution: ${quantisedCure}`,
  MatMulInteger: `it is a quantised matrix product: ${quantisedCure}`,
  QLinearMatMul: `it is a quantised matrix product: ${quantisedCure}`,
  DeformConv: "it is a deformable convolution, whose filters are sampled at places computed from the input",
};

/** Types whose filters are decomposed. */
const decomposable: readonly DataType[] = ["float32", "float16", "float64", "bfloat16"];

export const isSkipped = (found: object): found is SkippedLayer => "reason" in found;

/**
 * Reads a node; undefined where it has no weights at all and nothing has to be said about it. Grouped, depthwise,
 * quantised, transposed and dynamic convolutions and fully connected layers are skipped.
 * @throws FilterBasisError `invalid-graph` for a weight whose shape cannot be a convolution's. `computed` says of a
 * weight that is not stored why it is not
 */
export function readConvolution(
  node: Node,
  constant: (name: string) => Stored | undefined,
  computed: (name: string) => string | undefined = () => undefined,
): Convolution | SkippedLayer | undefined {
  const name = nodeName(node);
  const skip = (reason: string): SkippedLayer => ({ name, reason });
  if (node.domain !== "") {
    return /conv/i.test(node.op)
      ? skip(`it is a ${node.op} of the domain ${node.domain}, whose meaning is not known here`)
      : undefined;
  }
  if (node.op !== "Conv") {
    const reason = others[node.op];
    const weighted =
      node.op !== "MatMul" && node.op !== "Gemm" ? true : node.inputs.slice(0, 2).some((input) => constant(input));
    return reason !== undefined && weighted ? skip(reason) : undefined;
  }
  const found = constant(node.inputs[1] ?? "");
  if (!found) return skip(`its weight ${computed(node.inputs[1] ?? "") ?? "is computed while the model runs"}`);
  const { tensor: weight, root: weightName, type } = found;
  if (!decomposable.includes(weight.type) || !decomposable.includes(type))
    return skip(`its weight is of type ${weight.type}`);
  const [outChannels, perGroup, ...kernel] = weight.dims;
  if (outChannels === undefined || perGroup === undefined || kernel.length === 0) {
    throw new FilterBasisError("invalid-graph", "the weight of a convolution needs at least three axes", {
      node: name,
      op: "Conv",
      got: `[${weight.dims.join(", ")}]`,
    });
  }
  const groups = readInt(node, "group", 1);
  if (groups !== 1) {
    if (perGroup === 1) return skip(`it is a depthwise convolution: each of its ${groups} groups sees one channel`);
    return skip(`it is a grouped convolution of ${groups} groups`);
  }
  if (weight.dims.some((dim) => dim === 0)) return skip("its weight is empty");
  const kernelElements = kernel.reduce((product, size) => product * size, 1);
  return { node, name, outChannels, inChannels: perGroup, kernel, kernelElements, weightName, weight, type };
}

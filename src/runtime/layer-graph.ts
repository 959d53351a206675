// One compressed layer by itself, in any form, as a graph that ONNX Runtime can time.
import { type Form, formNodes } from "../basis/forms.js";
import { elements, float32Tensor, int, ints, makeNode } from "../graph/attributes.js";
import { freshNames } from "../graph/edit.js";
import type { Graph, TensorData } from "../graph/types.js";
import { Random } from "../linalg/random.js";
import { attributesFromJson, type SiteRecord } from "../methods/record.js";

/** One layer, its input [N, c, h, w], between two 1 x 1 depthwise convolutions, which cost next to nothing but keep ONNX Runtime's blocked layout. */
export function layerGraph(site: SiteRecord, form: Form, dims: readonly number[], opset: number): Graph {
  const { splits, basisSize, shape, basisBias } = site;
  const [outChannels, inChannels, ...kernel] = shape as [number, number, ...number[]];
  const random = new Random(1);
  const initializers = new Map<string, TensorData>();
  const constant = (name: string, size: readonly number[]): string => {
    const values = Float32Array.from({ length: elements(size) }, () => random.next() - 0.5);
    initializers.set(name, float32Tensor(size, values));
    return name;
  };
  const ones = kernel.map(() => 1);
  const neighbour = (name: string, channels: number, input: string, output: string) =>
    makeNode("Conv", [input, constant(name, [channels, 1, ...ones])], [output], {
      group: int(channels),
      kernel_shape: ints(ones),
    });
  const middle = {
    name: "site",
    input: "before",
    output: "after",
    basis: constant("B", [basisSize, inChannels / splits, ...kernel]),
    coefficients: constant("A", [outChannels, splits * basisSize, ...ones]),
    bias: constant("bias", [outChannels]),
    basisBias: basisBias === undefined ? "" : constant("basis.bias", [basisSize]),
    splits,
    basisSize,
    outChannels,
    inChannels,
    kernel,
    slice: null,
    attributes: attributesFromJson(site.attributes),
  };
  const graph: Graph = {
    name: "layer",
    nodes: [],
    initializers,
    inputs: [{ name: "x", tensor: { type: "float32", dims } }],
    outputs: [{ name: "y", tensor: { type: "float32", dims: [null, outChannels, ...kernel.map(() => null)] } }],
    values: new Map(),
    opsets: new Map([["", opset]]),
    irVersion: 8,
    metadata: new Map(),
  };
  const first = neighbour("first", inChannels, "x", "before");
  const last = [makeNode("Relu", ["after"], ["active"]), neighbour("last", outChannels, "active", "y")];
  const nodes = [first, ...formNodes(middle, form, { fresh: freshNames(graph, ["before", "after", "active"]), opset }), ...last];
  return { ...graph, nodes };
}

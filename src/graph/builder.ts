// A small helper that builds graphs layer by layer. Nodes and values are named by the path of the module in the
// authors' code ("features.1.0.body.3"), parameters as in its state dict ("features.1.0.body.3.weight"), so that their
// weight files fit.
import { float, float32Tensor, int, int64Tensor, ints, makeNode, string, tensor } from "./attributes.js";
import type { Initialise, Role } from "./initialise.js";
import type { Attribute, Dim, Graph, Node, TensorData, Value } from "./types.js";

/** The opset and file version that new networks are written in. */
export const opset = 17;
const irVersion = 8;

export interface ConvOptions {
  readonly inChannels: number;
  readonly outChannels: number;
  /** Side of the square kernel. */
  readonly kernel?: number;
  readonly stride?: number;
  /** Default: half the kernel, rounded down. */
  readonly padding?: number;
  readonly groups?: number;
  readonly bias?: boolean;
}

/** What of a layer its parameters are drawn from. */
export interface LayerFans {
  readonly path: string;
  readonly fanIn: number;
  readonly channelsIn: number;
  readonly channelsOut: number;
}

/** The attributes of a square convolution. */
export function convAttributes(
  kernel: number,
  stride = 1,
  padding = kernel >> 1,
  groups = 1,
): Record<string, Attribute> {
  return {
    dilations: ints([1, 1]),
    group: int(groups),
    kernel_shape: ints([kernel, kernel]),
    pads: ints([padding, padding, padding, padding]),
    strides: ints([stride, stride]),
  };
}

/** Collects nodes and parameters; every method takes and returns names of values. `finish` gives the graph. */
export class GraphBuilder {
  readonly #name: string;
  readonly #initialise: Initialise;
  readonly #nodes: Node[] = [];
  readonly #initializers = new Map<string, TensorData>();
  readonly #inputs: Value[] = [];

  constructor(name: string, initialise: Initialise) {
    this.#name = name;
    this.#initialise = initialise;
  }

  /** The nodes so far, in order. */
  get nodes(): readonly Node[] {
    return this.#nodes;
  }

  /** The parameters and constants so far. */
  get initializers(): ReadonlyMap<string, TensorData> {
    return this.#initializers;
  }

  input(name: string, dims: readonly Dim[]): string {
    this.#inputs.push({ name, tensor: { type: "float32", dims } });
    return name;
  }

  /** A constant; one that exists already under this name is kept (that is how parameters are shared). */
  constant(name: string, make: () => TensorData): string {
    if (!this.#initializers.has(name)) this.#initializers.set(name, make());
    return name;
  }

  /** A node that was made elsewhere. */
  push(node: Node): string {
    this.#nodes.push(node);
    return node.outputs[0] ?? "";
  }

  node(
    op: string,
    inputs: readonly string[],
    path: string,
    attributes: Record<string, Attribute> = {},
    output = path,
  ): string {
    this.#nodes.push(makeNode(op, inputs, [output], attributes, { name: path }));
    return output;
  }

  /** A square convolution [n, C / groups, k, k]. */
  conv(x: string, path: string, o: ConvOptions, output = path): string {
    const { inChannels, outChannels, kernel = 3, stride = 1, padding = kernel >> 1, groups = 1, bias = true } = o;
    const area = kernel * kernel;
    const layer: LayerFans = {
      path,
      fanIn: (inChannels / groups) * area,
      channelsIn: inChannels * area,
      channelsOut: outChannels * area,
    };
    const weight = this.parameter(layer, "weight", "conv", [outChannels, inChannels / groups, kernel, kernel]);
    const shift = bias ? [this.parameter(layer, "bias", "conv-bias", [outChannels])] : [];
    return this.node("Conv", [x, weight, ...shift], path, convAttributes(kernel, stride, padding, groups), output);
  }

  /**
   * Batch normalisation with PyTorch's settings: epsilon 1e-5, momentum 0.1 (ONNX counts the part that is kept: 0.9).
   */
  norm(x: string, path: string, channels: number, output = path): string {
    const layer: LayerFans = { path, fanIn: channels, channelsIn: channels, channelsOut: channels };
    const parts = [
      this.parameter(layer, "weight", "norm-scale", [channels]),
      this.parameter(layer, "bias", "norm-shift", [channels]),
      this.parameter(layer, "running_mean", "running-mean", [channels]),
      this.parameter(layer, "running_var", "running-variance", [channels]),
    ];
    return this.node("BatchNormalization", [x, ...parts], path, { epsilon: float(1e-5), momentum: float(0.9) }, output);
  }

  relu(x: string, path: string, output = path): string {
    return this.node("Relu", [x], path, {}, output);
  }

  /** A parametric ReLU with one slope, which may be shared: `slope` is its parameter's path. */
  prelu(x: string, path: string, slope = path): string {
    const layer: LayerFans = { path: slope, fanIn: 1, channelsIn: 1, channelsOut: 1 };
    return this.node("PRelu", [x, this.parameter(layer, "weight", "slope", [1])], path);
  }

  /** Square pooling without padding; the stride is the window. */
  pool(x: string, path: string, kind: "max" | "average", size: number): string {
    return this.node(kind === "max" ? "MaxPool" : "AveragePool", [x], path, {
      kernel_shape: ints([size, size]),
      strides: ints([size, size]),
    });
  }

  /** Zero channels before and after: [N, C, H, W] -> [N, before + C + after, H, W]. */
  padChannels(x: string, path: string, before: number, after: number): string {
    const pads = this.constant(`${path}.pads`, () => int64Tensor([8], [0, before, 0, 0, 0, after, 0, 0]));
    return this.node("Pad", [x, pads], path, { mode: string("constant") });
  }

  add(x: string, y: string, path: string, output = path): string {
    return this.node("Add", [x, y], path, {}, output);
  }

  /** The value times a fixed number: a Constant node, since every float initializer is a parameter that is trained. */
  scale(x: string, path: string, factor: number): string {
    const value = tensor(float32Tensor([], Float32Array.of(factor)));
    const by = this.node("Constant", [], `${path}.factor`, { value });
    return this.node("Mul", [x, by], path);
  }

  concat(xs: readonly string[], path: string): string {
    return this.node("Concat", xs, path, { axis: int(1) });
  }

  /** [N, C r r, H, W] -> [N, C, H r, W r] in PyTorch's order of channels. */
  pixelShuffle(x: string, path: string, factor: number): string {
    return this.node("DepthToSpace", [x], path, { blocksize: int(factor), mode: string("CRD") });
  }

  /** [N, C, H, W] -> [N, C H W] -> [N, n]. */
  classifier(x: string, path: string, inFeatures: number, outFeatures: number, output: string): string {
    const flat = this.node("Flatten", [x], `${path}.flatten`, { axis: int(1) });
    const layer: LayerFans = { path, fanIn: inFeatures, channelsIn: inFeatures, channelsOut: outFeatures };
    const weight = this.parameter(layer, "weight", "linear", [outFeatures, inFeatures]);
    const bias = this.parameter(layer, "bias", "linear-bias", [outFeatures]);
    return this.node("Gemm", [flat, weight, bias], path, { transB: int(1) }, output);
  }

  finish(output: string, dims: readonly Dim[]): Graph {
    return {
      name: this.#name,
      nodes: this.#nodes,
      initializers: this.#initializers,
      inputs: this.#inputs,
      outputs: [{ name: output, tensor: { type: "float32", dims } }],
      values: new Map(),
      opsets: new Map([["", opset]]),
      irVersion,
      metadata: new Map(),
    };
  }

  /** The parameter `path.part` of a layer, filled by the builder's initialiser. */
  parameter({ path, ...fans }: LayerFans, part: string, role: Role, dims: readonly number[]): string {
    const name = `${path}.${part}`;
    return this.constant(name, () => this.#initialise({ name, role, dims, ...fans }));
  }
}

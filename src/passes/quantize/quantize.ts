// Static quantisation to eight bits: layers, and what stands between them, read and make values that are rounded by
// QuantizeLinear and widened by DequantizeLinear. ONNX Runtime runs such nodes in integers; everything else sees
// floats.
import { elements, int, makeNode, nodeName } from "../../graph/attributes.js";
import { freshNames } from "../../graph/edit.js";
import { type GraphIndex, indexOf } from "../../graph/graph-index.js";
import type { Graph, Node, Outcome, Pass, TensorData } from "../../graph/types.js";
import { numbers, tensorOf } from "../../graph/values.js";
import { dropUnread } from "../remove-unread.js";
import { biasShift } from "./bias-shift.js";
import type { RoundedRows } from "./ordered-rounding.js";
import { type Regions, regionsOf } from "./regions.js";
import { activationsOf, upperLimit, weightOf } from "./rules.js";
import {
  type EightBits,
  type QuantizedWeight,
  quantizeBias,
  quantizeWeight,
  type Range,
  type Step,
  scalesForBias,
  stepOf,
  type WeightFormatName,
  weightFormats,
} from "./steps.js";

const name = "quantize";
/** The first opset whose DequantizeLinear has a scale for each channel. */
export const leastOpset = 13;

export interface QuantizeOptions {
  /** Of every value that `regionsOf` rounds, as it is looked up there. */
  readonly ranges: ReadonlyMap<string, Range>;
  /** Names of layers that stay float, with the reason of each. */
  readonly float?: ReadonlyMap<string, string>;
  readonly weights?: WeightFormatName;
  readonly activations?: EightBits;
  /**
   * Mean of every channel of what layers read: biases are corrected by what the rounding of weights adds on average.
   */
  readonly means?: ReadonlyMap<string, ArrayLike<number>>;
  /** Weights that are rounded already, by their names; the others are rounded to nearest. */
  readonly rounded?: ReadonlyMap<string, RoundedRows>;
}

/**
 * The pass. A value without a range leaves its nodes float, with the reason; a graph below opset 13 is left as it is
 * (see `raiseOpset`).
 */
export function quantize(options: QuantizeOptions): Pass {
  return (graph) => {
    const opset = graph.opsets.get("") ?? 1;
    if (opset < leastOpset) {
      const reason = `the model is written for opset ${opset}: eight bits need ${leastOpset}`;
      return { graph, outcomes: [{ pass: name, layer: "model", applied: false, reason }] };
    }
    const regions = rangedRegions(graph, options);
    const outcomes = [...regions.float].map(
      ([node, reason]): Outcome => ({ pass: name, layer: nodeName(node), applied: false, reason }),
    );
    if (regions.nodes.size === 0) return { graph, outcomes };
    const writer = new Writer(graph, regions, options);
    const nodes = [...writer.inputs(), ...graph.nodes.flatMap((node) => writer.write(node))];
    for (const layer of writer.layers)
      outcomes.push({ pass: name, layer, applied: true, reason: "it runs in eight bits" });
    const initializers = new Map([...graph.initializers, ...writer.made]);
    const inputs = graph.inputs.filter(({ name: input }) => !writer.made.has(input));
    return { graph: dropUnread({ ...graph, nodes, initializers, inputs }, writer.replaced), outcomes };
  };
}

/** Layers around values whose range was not measured stay float. */
function rangedRegions(graph: Graph, { ranges, float = new Map() }: QuantizeOptions): Regions {
  const stays = new Map(float);
  for (;;) {
    const regions = regionsOf(graph, stays);
    const { consumers, producers } = indexOf(graph);
    const before = stays.size;
    for (const [value, source] of regions.rounded) {
      if (ranges.has(source)) continue;
      for (const node of [...(consumers.get(value) ?? []), producers.get(value)])
        if (node !== undefined && regions.nodes.has(node) && !stays.has(nodeName(node)))
          stays.set(nodeName(node), `the range of ${value} was not measured`);
    }
    if (stays.size === before) return regions;
  }
}

interface LayerParts {
  readonly weight: string;
  readonly scales: Float32Array;
  readonly rounded: QuantizedWeight;
}

class Writer {
  readonly made = new Map<string, TensorData>();
  readonly replaced = new Set<string>();
  readonly layers: string[] = [];
  readonly #graph: Graph;
  readonly #index: GraphIndex;
  readonly #regions: Regions;
  readonly #options: QuantizeOptions;
  readonly #fresh: (stem: string) => string;
  readonly #clampOf: ReadonlyMap<Node, Node>;
  /** The widened form of values that floats make too. */
  readonly #widened = new Map<string, string>();
  readonly #steps = new Map<string, { readonly step: Step; readonly scale: string; readonly zero: string }>();
  readonly #weights = new Map<string, LayerParts>();
  /** What values lack on average because their layer left its correction to the next. */
  readonly #missing = new Map<string, Float64Array>();

  constructor(graph: Graph, regions: Regions, options: QuantizeOptions) {
    this.#graph = graph;
    this.#index = indexOf(graph);
    this.#regions = regions;
    this.#options = options;
    this.#fresh = freshNames(graph);
    this.#clampOf = new Map([...regions.absorbed].map(([clamp, node]) => [node, clamp]));
  }

  /** The pairs behind inputs of the graph. */
  inputs(): readonly Node[] {
    return this.#graph.inputs.flatMap(({ name: input }) => this.#pairBehind(input));
  }

  /** What stands in the place of a node, with the pairs behind its outputs. */
  write(node: Node): readonly Node[] {
    if (this.#regions.absorbed.has(node)) return [];
    if (!this.#regions.nodes.has(node)) return [node, ...node.outputs.flatMap((output) => this.#pairBehind(output))];
    const before: Node[] = [];
    const read = new Set(activationsOf(node));
    const inputs = node.inputs.map((value) => (read.has(value) ? (this.#widened.get(value) ?? value) : value));
    if (weightOf(node, this.#index) !== undefined && isLayer(node)) this.#layer(node, inputs, before);
    const after: Node[] = [];
    const outputs = node.outputs.map((output) => {
      if (output === "") return output;
      const value = this.#clampOf.get(node)?.outputs[0] ?? output;
      if (!this.#regions.rounded.has(value)) return output;
      const raw = this.#fresh(`${value}_float`);
      after.push(...this.#pair(value, raw, value));
      return raw;
    });
    return [...before, { ...node, inputs, outputs }, ...after];
  }

  #pairBehind(value: string): readonly Node[] {
    if (value === "" || !this.#regions.rounded.has(value)) return [];
    const widened = this.#fresh(`${value}_rounded`);
    this.#widened.set(value, widened);
    return this.#pair(value, value, widened);
  }

  #pair(value: string, from: string, to: string): readonly Node[] {
    const { scale, zero } = this.#stepOf(value);
    const integers = this.#fresh(`${value}_q`);
    return [
      makeNode("QuantizeLinear", [from, scale, zero], [integers]),
      makeNode("DequantizeLinear", [integers, scale, zero], [to]),
    ];
  }

  #stepOf(value: string) {
    const source = this.#regions.rounded.get(value)!;
    const known = this.#steps.get(source);
    if (known !== undefined) return known;
    const step = stepOf(this.#rangeOf(source), this.#options.activations ?? "uint8");
    const made = { step, scale: this.#fresh(`${source}_scale`), zero: this.#fresh(`${source}_zero`) };
    this.made.set(made.scale, tensorOf("float32", [], [step.scale]));
    this.made.set(made.zero, tensorOf(step.type, [], [step.zero]));
    this.#steps.set(source, made);
    return made;
  }

  /** Behind an absorbed Clip nothing is beyond its limits. */
  #rangeOf(source: string): Range {
    const { low, high } = this.#options.ranges.get(source)!;
    const clamp = this.#index.producers.get(source);
    if (clamp === undefined || !this.#regions.absorbed.has(clamp)) return { low, high };
    return { low: 0, high: Math.min(high, upperLimit(clamp, this.#index) ?? high) };
  }

  #layer(node: Node, inputs: string[], before: Node[]): void {
    const { step } = this.#stepOf(node.inputs[0]!);
    const biasName = node.inputs[2] ?? "";
    const bias = biasName === "" ? undefined : numbers(this.#index.constant(biasName)!);
    const parts = this.#weight(node, before);
    inputs[1] = parts.weight;
    this.layers.push(nodeName(node));
    const shift = this.#shift(node, parts.rounded.values);
    if (bias === undefined && (shift === undefined || this.#passesOn(node, shift))) return;
    const values = Float64Array.from(parts.scales, (_, o) => (bias?.[o] ?? 0) + (shift?.[o] ?? 0));
    const scales = Float32Array.from(parts.scales, (scale) => Math.fround(scale * step.scale));
    const stem = biasName || `${nodeName(node)}_bias`;
    const [integers, scale, widened] = [`${stem}_q`, `${stem}_scale`, `${stem}_dq`].map(this.#fresh) as [
      string,
      string,
      string,
    ];
    this.made.set(integers, tensorOf("int32", [values.length], quantizeBias(values, scales)));
    this.made.set(scale, tensorOf("float32", [values.length], scales));
    before.push(makeNode("DequantizeLinear", [integers, scale], [widened], { axis: int(0) }));
    if (biasName !== "") this.replaced.add(biasName);
    inputs[2] = widened;
  }

  /** What its bias has to gain, with what the layer before it left to it. */
  #shift(node: Node, rounded: ArrayLike<number>): Float64Array | undefined {
    const [value = ""] = node.inputs;
    const [means, missing] = [this.#options.means?.get(value), this.#missing.get(value)];
    if (node.op === "MatMul" || (means ?? missing) === undefined) return undefined;
    return biasShift(node, weightOf(node, this.#index)!.tensor, rounded, means ?? [], missing);
  }

  /** A convolution without a bias leaves its correction to the one behind it: a chain of factors stays what it is. */
  #passesOn(node: Node, shift: Float64Array): boolean {
    const [value = ""] = node.outputs;
    const next = node.op === "Conv" ? this.#index.soleReader(value) : undefined;
    if (next?.op !== "Conv" || next.inputs[0] !== value || !this.#regions.nodes.has(next)) return false;
    this.#missing.set(value, shift);
    return true;
  }

  /** The rounded weight, once for all layers that read it. */
  #weight(node: Node, before: Node[]): LayerParts {
    const { value, tensor, axis } = weightOf(node, this.#index)!;
    const key = `${axis} ${value}`;
    const known = this.#weights.get(key);
    if (known !== undefined) return known;
    const format = weightFormats[this.#options.weights ?? "int8"];
    const [least, given] = [this.#leastScales(value, axis), this.#options.rounded?.get(value)];
    const rounded = quantizeWeight(numbers(tensor), tensor.dims, axis, format, least, given);
    const { scales } = rounded;
    const [integers, scale, widened] = [`${value}_q`, `${value}_scale`, `${value}_dq`].map(this.#fresh) as [
      string,
      string,
      string,
    ];
    this.made.set(integers, rounded.integers);
    this.made.set(scale, tensorOf("float32", [scales.length], scales));
    const inputs = [integers, scale];
    // ONNX Runtime's matrix products in integers want the zero points stated.
    if (format.zero !== 0 || node.op !== "Conv") {
      const zeros = this.#fresh(`${value}_zero`);
      this.made.set(zeros, tensorOf(format.type, [scales.length], new Array<number>(scales.length).fill(format.zero)));
      inputs.push(zeros);
    }
    before.push(makeNode("DequantizeLinear", inputs, [widened], { axis: int(axis) }));
    this.replaced.add(value);
    const parts = { weight: widened, scales, rounded };
    this.#weights.set(key, parts);
    return parts;
  }

  /** So that the bias of every layer that reads the weight fits. */
  #leastScales(value: string, axis: number): Float64Array | undefined {
    let least: Float64Array | undefined;
    for (const node of this.#index.consumers.get(value) ?? []) {
      if (!this.#regions.nodes.has(node) || !isLayer(node) || weightOf(node, this.#index)?.axis !== axis) continue;
      const bias = node.inputs[2] ? this.#index.constant(node.inputs[2]) : undefined;
      if (bias === undefined || elements(bias.dims) === 0) continue;
      const own = scalesForBias(numbers(bias), this.#stepOf(node.inputs[0]!).step.scale);
      least = least === undefined ? own : least.map((scale, i) => Math.max(scale, own[i]!));
    }
    return least;
  }
}

const isLayer = ({ op }: Node): boolean => op === "Conv" || op === "Gemm" || op === "MatMul";

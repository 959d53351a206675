// What ONNX Runtime computes in eight bits between QuantizeLinear and DequantizeLinear, operator by operator.
// Everything that is not here runs in floats.
import { readFloat, readInt, readString } from "../../graph/attributes.js";
import type { GraphIndex } from "../../graph/graph-index.js";
import type { Node, TensorData } from "../../graph/types.js";
import { numbers, tensorOf } from "../../graph/values.js";

/**
 * layer: it has weights, and saves time by itself. light: it computes in eight bits where its neighbours do. moves: so
 * too, and its result has the step of its first input, for it only chooses or moves elements.
 */
export type IntegerKind = "layer" | "light" | "moves";

export interface IntegerRule {
  readonly kind: IntegerKind;
  /** Inputs that are activations; all where nothing is said. */
  readonly activations?: (node: Node) => readonly string[];
  /** Its result may stay a float: nothing is rounded where nothing in eight bits reads it. */
  readonly floatResult?: true;
  /** Why a node of this operator runs in floats all the same. */
  readonly against?: (node: Node, index: GraphIndex) => string | undefined;
}

const first = ({ inputs }: Node): readonly string[] => inputs.slice(0, 1);
const light: IntegerRule = { kind: "light" };
const moves: IntegerRule = { kind: "moves", activations: first };

/** By operator of the standard domain. */
const integerRules: Readonly<Record<string, IntegerRule>> = {
  Conv: { kind: "layer", activations: first, against: againstConv },
  Gemm: { kind: "layer", activations: first, against: againstGemm, floatResult: true },
  MatMul: { kind: "layer", activations: first, against: againstMatMul, floatResult: true },
  Add: { kind: "light", against: againstConstants },
  Mul: { kind: "light", against: againstConstants },
  Concat: { kind: "light", against: againstConstants },
  AveragePool: {
    ...light,
    against: (node) => (readInt(node, "ceil_mode", 0) !== 0 ? "it rounds sizes up" : undefined),
  },
  GlobalAveragePool: light,
  LeakyRelu: light,
  Sigmoid: light,
  MaxPool: { ...moves, against: (node) => (node.outputs.length > 1 ? "it gives indices too" : undefined) },
  Resize: { ...moves, against: againstResize },
  Reshape: moves,
  Flatten: moves,
  Squeeze: moves,
  Unsqueeze: moves,
  Transpose: moves,
  Slice: moves,
  Pad: { ...moves, against: againstPad },
  Split: moves,
};

/** Operators of one input whose result is 0 at 0 and below: rounding to unsigned integers does that by itself. */
export function clampsAtZero(node: Node, index: GraphIndex): boolean {
  if (node.domain !== "") return false;
  if (node.op === "Relu") return true;
  if (node.op !== "Clip") return false;
  return limitOf(node, 1, "min", index) === 0;
}

/** The upper limit of a Clip; none of a Relu. Undefined where it is computed. */
export function upperLimit(node: Node, index: GraphIndex): number | undefined {
  return node.op === "Clip" ? limitOf(node, 2, "max", index) : Number.POSITIVE_INFINITY;
}

function limitOf(node: Node, at: number, name: "min" | "max", index: GraphIndex): number | undefined {
  const stated = readFloat(node, name, undefined);
  if (stated !== undefined) return stated;
  const value = node.inputs[at] ?? "";
  if (value === "") return name === "max" ? Number.POSITIVE_INFINITY : Number.NEGATIVE_INFINITY;
  const constant = index.constant(value);
  return constant === undefined ? undefined : numbers(constant)[0];
}

/** The stored weight of a layer, and along which axis its filters lie. */
export interface LayerWeight {
  readonly value: string;
  readonly tensor: TensorData;
  readonly axis: number;
}

export function weightOf(node: Node, index: GraphIndex): LayerWeight | undefined {
  const value = node.inputs[1] ?? "";
  const tensor = index.constant(value);
  if (tensor === undefined) return undefined;
  const axis = node.op === "Conv" || (node.op === "Gemm" && readInt(node, "transB", 0) !== 0) ? 0 : 1;
  return { value, tensor, axis };
}

function againstWeight(node: Node, index: GraphIndex): string | undefined {
  const tensor = index.constant(node.inputs[1] ?? "");
  if (tensor === undefined) return "its weight is computed while the model runs";
  if (tensor.type !== "float32") return `its weight is of type ${tensor.type}`;
  if (tensor.dims.some((size) => size === 0)) return "its weight is empty";
  if (!numbers(tensor).every(Number.isFinite)) return "its weight is not finite";
  return undefined;
}

function againstConv(node: Node, index: GraphIndex): string | undefined {
  const reason = againstWeight(node, index) ?? againstBias(node, index);
  if (reason !== undefined) return reason;
  const { dims } = index.constant(node.inputs[1]!)!;
  if (dims.length < 3 || dims.length > 4) return `its kernel has ${dims.length - 2} axes`;
  return undefined;
}

function againstBias(node: Node, index: GraphIndex): string | undefined {
  const value = node.inputs[2] ?? "";
  if (value === "") return undefined;
  const bias = index.constant(value);
  if (bias === undefined) return "its bias is computed while the model runs";
  const weight = weightOf(node, index)!;
  const outputs = weight.tensor.dims[weight.axis];
  if (bias.type !== "float32") return `its bias is of type ${bias.type}`;
  if (bias.dims.length !== 1 || bias.dims[0] !== outputs) return "its bias is not one number for each output";
  return numbers(bias).every(Number.isFinite) ? undefined : "its bias is not finite";
}

function againstGemm(node: Node, index: GraphIndex): string | undefined {
  if (readFloat(node, "alpha", 1) !== 1 || readFloat(node, "beta", 1) !== 1) return "it scales its result";
  if (readInt(node, "transA", 0) !== 0) return "it transposes its input";
  const reason = againstMatMul(node, index) ?? againstBias(node, index);
  return reason;
}

function againstMatMul(node: Node, index: GraphIndex): string | undefined {
  const reason = againstWeight(node, index);
  if (reason !== undefined) return index.constant(node.inputs[0] ?? "") ? "its weight is on the left" : reason;
  return index.constant(node.inputs[1]!)!.dims.length === 2 ? undefined : "its weight is no matrix";
}

function againstConstants(node: Node, index: GraphIndex): string | undefined {
  return node.inputs.some((value) => index.constant(value) !== undefined) ? "it takes a constant" : undefined;
}

/** What is filled in must be 0, which every step stands for. */
function againstPad(node: Node, index: GraphIndex): string | undefined {
  if (readString(node, "mode", "constant") !== "constant") return undefined;
  const value = node.inputs[2] ?? "";
  const fill = value === "" ? 0 : numbers(index.constant(value) ?? tensorOf("float32", [1], [1]))[0];
  return fill === 0 ? undefined : "it fills in something else than 0";
}

function againstResize(node: Node): string | undefined {
  return readString(node, "mode", "nearest") === "nearest" ? undefined : "it interpolates";
}

/** The rule of a node; undefined where its operator has none. */
export const ruleOf = (node: Node): IntegerRule | undefined =>
  node.domain === "" && Object.hasOwn(integerRules, node.op) ? integerRules[node.op] : undefined;

export const activationsOf = (node: Node): readonly string[] =>
  (ruleOf(node)?.activations ?? ((one: Node) => one.inputs))(node);

// What an operator makes of elements that are known before anything runs: sizes that shape inference follows (numbers,
// or expressions over symbols), constants of any size, small tensors of the interpreter.
import { elements } from "../../graph/attributes.js";
import type { DataType, Dim, TensorData } from "../../graph/types.js";
import { floatToHalf, halfToFloat, isFloat, numbers, tensorOf, toBfloat } from "../../graph/values.js";
import type { Call, Known } from "./call.js";
import { cellsOf, type Elements } from "./elements.js";

/** A tensor's type and shape in numbers. */
export interface Sized {
  readonly type: DataType;
  readonly dims: readonly number[];
}

/** A tensor whose elements are known, row-major. */
export interface Filled extends Sized {
  readonly elements: Elements;
}

export interface ValueCall {
  readonly call: Call;
  /** Undefined where an input is left out or not known. */
  readonly inputs: readonly (Filled | undefined)[];
  readonly outputs: readonly Sized[];
}

export interface ValueRule {
  /** The elements of each output, before they are rounded to its type; undefined where they cannot be told. */
  readonly of: (call: ValueCall) => readonly Elements[] | undefined;
  /**
   * moves: elements of any type, which only change places. computes: numbers. converts: numbers of any type to those of
   * another.
   */
  readonly kind: "moves" | "computes" | "converts";
  /** Shape inference follows it: exporters compute sizes with it. */
  readonly sizes: boolean;
}

export const moves = (of: ValueRule["of"]): ValueRule => ({ of, kind: "moves", sizes: true });

const isSized = (known: Known): known is Known & Sized =>
  known.type !== undefined && known.dims?.every((dim) => typeof dim === "number") === true;

/**
 * The elements of small tensors on their way: of sizes and the like. Undefined for results of more than `limit`
 * elements.
 */
export function follow(
  rule: ValueRule | undefined,
  call: Call,
  known: readonly Known[],
  limit: number,
): readonly (readonly Dim[])[] | undefined {
  if (!rule?.sizes) return undefined;
  const outputs = known.filter(isSized);
  if (outputs.length === 0 || outputs.length !== known.length || outputs.some(({ dims }) => elements(dims) > limit))
    return undefined;
  const inputs = call.inputs.map((one): Filled | undefined =>
    isSized(one) && one.elements !== undefined ? { ...one, elements: one.elements } : undefined,
  );
  return complete(rule.of({ call, inputs, outputs }), outputs)?.map((values, at) => {
    const { type } = outputs[at]!;
    const own = Array.from(values);
    return rule.kind === "moves" ? own : own.map((value) => (typeof value === "number" ? rounded(value, type) : value));
  });
}

/**
 * The outputs of a call whose inputs are constants of any size: computed in double, rounded once. Undefined where they
 * cannot be computed here.
 */
export function evaluateConstant(
  rule: ValueRule | undefined,
  call: Call,
  tensors: readonly (TensorData | undefined)[],
  known: readonly Known[],
): readonly TensorData[] | undefined {
  const outputs = known.filter(isSized);
  if (rule === undefined || outputs.length !== call.node.outputs.length || call.node.outputs.includes(""))
    return undefined;
  if (outputs.some(({ dims }) => elements(dims) > largest)) return undefined;
  if (rule.kind !== "moves" && !areNumbers(rule.kind, tensors, outputs)) return undefined;
  const inputs = tensors.map((tensor): Filled | undefined => {
    const own = tensor && (rule.kind === "moves" ? cellsOf(tensor) : numbers(tensor));
    return own && { type: tensor.type, dims: tensor.dims, elements: own };
  });
  return complete(rule.of({ call, inputs, outputs }), outputs)?.map((values, at) => {
    const { type, dims } = outputs[at]!;
    return rule.kind === "moves" ? { type, dims, data: bytesOf(values) } : tensorOf(type, dims, single(type, values));
  });
}

/** Elements beyond which a constant is left to be computed at load. */
const largest = 2 ** 28;

/** All outputs, where each is as large as its shape says. */
function complete(made: readonly Elements[] | undefined, outputs: readonly Sized[]): readonly Elements[] | undefined {
  return made?.every((values, at) => values.length === elements(outputs[at]!.dims)) ? made : undefined;
}

function areNumbers(
  kind: ValueRule["kind"],
  tensors: readonly (TensorData | undefined)[],
  outputs: readonly Sized[],
): boolean {
  if (kind === "computes") return tensors.every((tensor) => tensor === undefined || isFloat(tensor.type));
  const numeric = (type: DataType): boolean => isFloat(type) || /^(u?int(8|16|32|64)|bool)$/.test(type);
  return (
    outputs.every(({ type }) => isFloat(type)) &&
    tensors.every((tensor) => tensor === undefined || numeric(tensor.type))
  );
}

/** Half precision is computed in single and then rounded, as runtimes do. */
const single = (type: DataType, values: Elements): ArrayLike<number> =>
  type === "float16" || type === "bfloat16"
    ? Float32Array.from(values as ArrayLike<number>)
    : (values as ArrayLike<number>);

function bytesOf(values: Elements): Uint8Array {
  const { buffer, byteOffset, byteLength } = values as unknown as Uint8Array;
  return new Uint8Array(buffer, byteOffset, byteLength);
}

/**
 * A number as the element type stores it; null where an integer has no value (division by zero) or leaves the range of
 * its type.
 */
export function rounded(value: number, type: DataType): Dim {
  if (type === "float32") return Math.fround(value);
  if (type === "float64") return value;
  if (type === "float16") return halfToFloat(floatToHalf(Math.fround(value)));
  if (type === "bfloat16") return toBfloat(value);
  if (type === "bool") return value === 0 ? 0 : 1;
  const integer = Math.trunc(value);
  const limits = ranges[type];
  if (limits === undefined || !Number.isFinite(value)) return null;
  return integer >= limits[0] && integer <= limits[1] ? integer : null;
}

/** What each integer type holds; beyond that the runtime wraps around, which nothing here relies on. */
const ranges: Partial<Record<DataType, readonly [number, number]>> = {
  int8: [-128, 127],
  int16: [-32768, 32767],
  int32: [-(2 ** 31), 2 ** 31 - 1],
  int64: [-(2 ** 63), 2 ** 63],
  uint8: [0, 255],
  uint16: [0, 65535],
  uint32: [0, 2 ** 32 - 1],
  uint64: [0, 2 ** 64],
};

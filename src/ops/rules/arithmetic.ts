// Arithmetic on followed elements: numbers as the runtime computes them in the element type, expressions where they stay exact.
import { add, floorDivide, multiply, subtract } from "../../graph/dims.js";
import type { DataType, Dim } from "../../graph/types.js";
import { floatToBfloat, floatToHalf, halfToFloat, isFloat } from "../../graph/values.js";

type Binary = (a: number, b: number, type: DataType) => number;
type Symbolic = (a: Dim, b: Dim, type: DataType) => Dim;

const truth = (value: boolean): number => (value ? 1 : 0);
const never: Symbolic = () => null;
const ifEqual: Symbolic = (a, b) => (a === b ? a : null);

/** Each operator on two elements: on numbers, and where a symbol is among them. */
const binaries: Readonly<Record<string, readonly [Binary, Symbolic]>> = {
  Add: [(a, b) => a + b, add],
  Sum: [(a, b) => a + b, add],
  Sub: [(a, b) => a - b, subtract],
  Mul: [(a, b) => a * b, multiply],
  Div: [
    (a, b, type) => (isFloat(type) ? a / b : Math.trunc(a / b)),
    (a, b, type) => (isFloat(type) && b !== 1 ? null : floorDivide(a, b)),
  ],
  Mod: [(a, b, type) => (isFloat(type) ? a % b : a - Math.floor(a / b) * b), never],
  Pow: [(a, b) => a ** b, never],
  Min: [(a, b) => Math.min(a, b), ifEqual],
  Max: [(a, b) => Math.max(a, b), ifEqual],
  Equal: [(a, b) => truth(a === b), (a, b) => (a !== null && a === b ? 1 : differ(a, b) ? 0 : null)],
  Less: [(a, b) => truth(a < b), never],
  LessOrEqual: [(a, b) => truth(a <= b), never],
  Greater: [(a, b) => truth(a > b), never],
  GreaterOrEqual: [(a, b) => truth(a >= b), never],
  And: [(a, b) => truth(a !== 0 && b !== 0), never],
  Or: [(a, b) => truth(a !== 0 || b !== 0), never],
  Xor: [(a, b) => truth((a !== 0) !== (b !== 0)), never],
};

/** A size is never negative, so that a symbol alone is known to differ from -1. */
const differ = (a: Dim, b: Dim): boolean =>
  (typeof a === "number" && a < 0 && typeof b === "string") || (typeof b === "number" && b < 0 && typeof a === "string");

/** Each operator on one element; a symbol stands for an integer that is not negative. */
const unaries: Readonly<Record<string, readonly [(a: number) => number, (a: string) => Dim]>> = {
  Neg: [(a) => -a, (a) => subtract(0, a)],
  Abs: [Math.abs, () => null],
  Floor: [Math.floor, (a) => a],
  Ceil: [Math.ceil, (a) => a],
  Round: [roundEven, (a) => a],
  Sqrt: [Math.sqrt, () => null],
  Sign: [Math.sign, () => null],
  Reciprocal: [(a) => 1 / a, () => null],
  Not: [(a) => truth(a === 0), () => null],
  Relu: [(a) => Math.max(a, 0), () => null],
};

const reductions: Readonly<Record<string, string>> = { ReduceSum: "Add", ReduceProd: "Mul", ReduceMax: "Max", ReduceMin: "Min" };

/** The elementwise function of an operator with several inputs; undefined where it has none here. */
export function elementwise(op: string, type: DataType, resultType: DataType): ((values: readonly Dim[]) => Dim) | undefined {
  const unary = unaries[op];
  if (unary !== undefined) {
    return ([a]) => (typeof a === "number" ? rounded(unary[0](a), resultType) : typeof a === "string" ? unary[1](a) : null);
  }
  const binary = binaries[op];
  if (binary === undefined) return undefined;
  return (values) => values.slice(1).reduce<Dim>((a, b) => apply(binary, a, b, type, resultType), values[0] ?? null);
}

/** The function that joins two elements in a Reduce operator. */
export function reduction(op: string, type: DataType): ((a: Dim, b: Dim) => Dim) | undefined {
  const binary = binaries[reductions[op] ?? ""];
  return binary && ((a, b) => apply(binary, a, b, type, type));
}

function apply([onNumbers, onSymbols]: readonly [Binary, Symbolic], a: Dim, b: Dim, type: DataType, resultType: DataType): Dim {
  if (a === null || b === null) return null;
  if (typeof a === "number" && typeof b === "number") return rounded(onNumbers(a, b, type), resultType);
  return onSymbols(a, b, type);
}

/** A number as the element type stores it; null where an integer has no value (division by zero) or leaves the safe range. */
export function rounded(value: number, type: DataType): Dim {
  if (type === "float32") return Math.fround(value);
  if (type === "float64") return value;
  if (type === "float16") return halfToFloat(floatToHalf(value));
  if (type === "bfloat16") return bfloat(value);
  if (type === "bool") return value === 0 ? 0 : 1;
  const whole = Math.trunc(value);
  const limits = ranges[type];
  if (limits === undefined || !Number.isFinite(value)) return null;
  return whole >= limits[0] && whole <= limits[1] ? whole : null;
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

function bfloat(value: number): number {
  const bits = new Uint32Array([floatToBfloat(value) << 16]);
  return new Float32Array(bits.buffer)[0]!;
}

function roundEven(value: number): number {
  const below = Math.floor(value);
  const rest = value - below;
  if (rest !== 0.5) return rest < 0.5 ? below : below + 1;
  return below % 2 === 0 ? below : below + 1;
}

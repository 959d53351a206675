// The option --value: numbers for inputs that are settings, such as a sampling rate or a flag.
import { FilterBasisError } from "../errors/error.js";
import { elements } from "../graph/attributes.js";
import { feeds } from "../graph/edit.js";
import type { DataType, Graph, TensorData, Value } from "../graph/types.js";
import { tensorOf } from "../graph/values.js";
import { freeSizes } from "../ops/sizes/free-sizes.js";
import { readInputShapes } from "./input-shapes.js";

/** The definition of the option, for a command's `args`. */
export const valueOption = {
  type: "string",
  description: "values of a small input, as sr=16000 or sizes=1,2; may be repeated",
  valueHint: "NAME=V",
} as const;

/** What the user says of a model's inputs; `findInputs` takes it as its options. */
export interface StatedInputs {
  readonly shapes: ReadonlyMap<string, readonly number[]>;
  readonly values: ReadonlyMap<string, TensorData>;
}

/**
 * Reads every value given for --input and --value.
 * @throws FilterBasisError those of `readInputShapes` and `readInputValues`
 */
export function readStatedInputs(graph: Graph, repeated: (option: string) => readonly string[]): StatedInputs {
  const shapes = readInputShapes(graph, repeated("input"));
  return { shapes, values: readInputValues(graph, repeated("value"), shapes) };
}

/**
 * Reads every value given for --value: one number or several with commas. Their shape is that of the model or of
 * `shapes`; an axis that both leave open gets as many as there are numbers.
 * @throws FilterBasisError `usage` for an input that the model does not have, a text that is no number of its type, and
 * two values for one input; `shape-mismatch` for another count than the shape has; `unsupported` for types that have no
 * numbers
 */
export function readInputValues(
  graph: Graph,
  texts: readonly string[],
  shapes: ReadonlyMap<string, readonly number[]>,
): ReadonlyMap<string, TensorData> {
  const inputs = feeds(graph).filter(({ tensor }) => tensor !== undefined);
  const values = new Map<string, TensorData>();
  const known = new Map(shapes);
  for (const text of texts) {
    const at = text.lastIndexOf("=");
    const input = inputs.find(({ name }) => at > 0 && name === text.slice(0, at));
    if (input === undefined || values.has(input.name)) {
      throw new FilterBasisError(
        "usage",
        input ? "--value gives an input two values" : "--value must name one of the model's inputs",
        {
          expected: inputs.map(({ name }) => `${name}=V`).join(" or ") || "no --value: the model has no inputs",
          got: text,
        },
      );
    }
    const words = text
      .slice(at + 1)
      .split(",")
      .map((word) => word.trim());
    const dims = shapeFor(graph, input, words.length, known);
    values.set(input.name, tensorFrom(input, dims, words));
    known.set(input.name, dims);
  }
  freeSizes(graph, known); // refuses a symbol with two sizes
  return values;
}

/** The shape of an input that is given so many numbers. */
function shapeFor(
  graph: Graph,
  { name }: Value,
  count: number,
  shapes: ReadonlyMap<string, readonly number[]>,
): readonly number[] {
  const dims = freeSizes(graph, shapes).dims.get(name);
  if (dims === undefined) return count === 1 ? [] : [count];
  const last = dims.findLastIndex((dim) => typeof dim === "string");
  const others = elements(dims.map((dim, axis) => (typeof dim === "number" && axis !== last ? dim : 1)));
  const filled = dims.map((dim, axis) => (typeof dim === "number" ? dim : axis === last ? count / others : 1));
  if (filled.every(Number.isInteger) && elements(filled) === count) return filled;
  throw new FilterBasisError("shape-mismatch", "--value gives another count of numbers than the input has", {
    tensor: name,
    expected:
      last < 0
        ? `${elements(dims as number[])} for [${dims.join(", ")}]`
        : `a multiple of ${others} for [${dims.join(", ")}]`,
    got: String(count),
  });
}

const ranges: Partial<Readonly<Record<DataType, readonly [low: bigint, high: bigint]>>> = {
  int8: [-(2n ** 7n), 2n ** 7n - 1n],
  int16: [-(2n ** 15n), 2n ** 15n - 1n],
  int32: [-(2n ** 31n), 2n ** 31n - 1n],
  int64: [-(2n ** 63n), 2n ** 63n - 1n],
  uint8: [0n, 2n ** 8n - 1n],
  uint16: [0n, 2n ** 16n - 1n],
  uint32: [0n, 2n ** 32n - 1n],
  uint64: [0n, 2n ** 64n - 1n],
  bool: [0n, 1n],
};

/** The largest magnitude of each float type. */
const limits: Partial<Readonly<Record<DataType, number>>> = {
  float16: 65504,
  bfloat16: 3.3895313892515355e38,
  float32: 3.4028234663852886e38,
  float64: Number.MAX_VALUE,
};

function tensorFrom({ name, tensor }: Value, dims: readonly number[], words: readonly string[]): TensorData {
  const { type } = tensor!;
  const refuse = (word: string, expected: string) =>
    new FilterBasisError("usage", "--value is no number of the input's type", { tensor: name, expected, got: word });
  const range = ranges[type];
  if (range !== undefined) {
    const [low, high] = range;
    const flags: Readonly<Record<string, string>> = type === "bool" ? { true: "1", false: "0" } : {};
    const numbers = words.map((word) => {
      const text = flags[word] ?? word;
      const number = /^[+-]?\d{1,20}$/.test(text) ? BigInt(text.replace(/^\+/, "")) : undefined;
      if (number !== undefined && number >= low && number <= high) return number;
      throw refuse(word, type === "bool" ? "true or false" : `${type}: a whole number from ${low} to ${high}`);
    });
    if (type === "int64") return { type, dims, data: new Uint8Array(BigInt64Array.from(numbers).buffer) };
    if (type === "uint64") return { type, dims, data: new Uint8Array(BigUint64Array.from(numbers).buffer) };
    return tensorOf(type, dims, numbers.map(Number));
  }
  const limit = limits[type];
  if (limit === undefined) {
    throw new FilterBasisError("unsupported", `--value cannot give values of type ${type}`, { tensor: name });
  }
  const numbers = words.map((word) => {
    const number = /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i.test(word) ? Number(word) : Number.NaN;
    if (Math.abs(number) <= limit) return number;
    throw refuse(word, `${type}: a number of at most ${limit}`);
  });
  return tensorOf(type, dims, numbers);
}

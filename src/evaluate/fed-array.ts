// An array of the data that goes into an input of a network, example by example.
import { FilterBasisError } from "../errors/error.js";
import { elementBytes, elements } from "../graph/attributes.js";
import type { TensorData, Value } from "../graph/types.js";
import { floats, isFloat, numbers, tensorOf } from "../graph/values.js";
import { isWhole } from "./named-inputs.js";

/** An array of the data and the input that it goes into. */
export interface FedArray {
  readonly port: Value;
  readonly array: TensorData;
  /** Rows of the array that go in at once; undefined where each of its examples is a whole input. */
  readonly rows: number | undefined;
}

/** How often the array fills its input. */
export const fills = ({ array, rows = 1 }: Pick<FedArray, "array" | "rows">): number => array.dims[0]! / rows;

/**
 * An array as an input takes it.
 * @param shape - at which the network runs; @param rows - that go in at once, where they go along the first axis
 * @throws FilterBasisError `data-mismatch`, `non-finite`
 */
export function fedArray(
  file: string,
  port: Value,
  array: TensorData,
  shape: readonly number[],
  rows: number,
): FedArray {
  const { name, tensor } = port;
  const whole = isWhole(array.dims, shape);
  const [wanted, given, skip] = [whole ? shape : shape.slice(1), array.dims.slice(1), whole ? 0 : 1];
  // one number for each example may be without an axis of its own
  const single = !whole && elements(shape) === 1 && given.length === 0;
  const fits = wanted.length === given.length && given.every((dim, at) => dim === wanted[at] || free(port, at + skip));
  if (!fits && !single)
    throw new FilterBasisError("data-mismatch", "the array does not fit the model's input", {
      file,
      tensor: name,
      expected: `[N, ${shape.slice(1).join(", ")}] or, for each example a whole input, [N, ${shape.join(", ")}]`,
      got: `[${array.dims.join(", ")}]`,
    });
  const to = tensor?.type ?? "float32";
  const values = isFloat(array.type) ? floats(array) : undefined;
  const wrong = values?.findIndex((value) => !Number.isFinite(value) || (!isFloat(to) && !Number.isInteger(value)));
  if (values !== undefined && wrong !== undefined && wrong >= 0) {
    const finite = Number.isFinite(values[wrong]);
    throw new FilterBasisError(
      finite ? "data-mismatch" : "non-finite",
      finite
        ? "the input takes whole numbers, and the array holds others"
        : "the array holds values that are not finite",
      { file, tensor: name, got: `${values[wrong]} at ${wrong}` },
    );
  }
  return {
    port,
    array: single ? { ...array, dims: [array.dims[0]!, ...shape.slice(1)] } : array,
    rows: whole ? undefined : rows,
  };
}

const free = ({ tensor }: Value, axis: number): boolean => typeof tensor?.dims?.[axis] !== "number";

/** The sizes of the input with the array in it, `count` times as many rows. */
export const fedDims = ({ array, rows }: Pick<FedArray, "array" | "rows">, count = 1): readonly number[] =>
  rows === undefined ? array.dims.slice(1) : [count * rows, ...array.dims.slice(1)];

/** What goes in at the given places of the array, each as often as it fills the input. */
export function fedValues(fed: FedArray, places: readonly number[]): TensorData {
  const { port, array, rows = 1 } = fed;
  const own = elementBytes[array.type] * rows * elements(array.dims.slice(1));
  const data = new Uint8Array(own * places.length);
  for (const [i, place] of places.entries()) data.set(array.data.subarray(place * own, (place + 1) * own), i * own);
  const taken: TensorData = { type: array.type, dims: fedDims(fed, places.length), data };
  const to = port.tensor?.type ?? "float32";
  return to === array.type ? taken : tensorOf(to, taken.dims, isFloat(array.type) ? floats(taken) : numbers(taken));
}

// TensorProto -> TensorData. Raw bytes stay views on the file; numbers in typed fields are decoded into one new array.
import { SparseTensorProtoSchema, TensorProto_DataLocation, TensorProtoSchema } from "onnx-buf";
import { FilterBasisError, isError } from "../../errors/error.js";
import { type DataType, dataTypes, type SparseTensorData, type TensorData } from "../../graph/types.js";
import { tensorBytes } from "../../ops/verify/tensor.js";
import { checkBytes } from "./check.js";
import { decode, numberOf, numbers } from "./decode.js";
import { isComplete, withSource } from "./origin.js";
import { typedData } from "./typed.js";
import { join, malformed, plainBytes } from "./wire.js";

/**
 * Gives the bytes of a tensor that lies in another file. `length` is undefined where the model does not say: to the
 * end.
 */
export type ReadExternal = (location: string, offset: number, length: number | undefined) => Uint8Array;

/** What reading carries along. */
export interface ReadContext {
  readonly external?: ReadExternal;
  /** Told of what breaks the rules and is read all the same. */
  readonly note?: (text: string) => void;
}

const field = (name: keyof (typeof TensorProtoSchema)["field"] & string): number => numberOf(TensorProtoSchema, name);
const head = numbers(TensorProtoSchema, "dims", "dataType", "name", "dataLocation", "externalData");
const bulk = numbers(TensorProtoSchema, "rawData", "stringData");
const typedFields = ["floatData", "int32Data", "int64Data", "doubleData", "uint64Data"] as const;

/** The fields that the graph speaks of; all others are carried. */
export const tensorFields = numbers(
  TensorProtoSchema,
  ...(["dims", "dataType", "name", "dataLocation", "externalData", "rawData", "stringData", ...typedFields] as const),
);

/**
 * One tensor and its name.
 * @throws FilterBasisError `malformed`, `unsupported`
 */
export function readTensorMessage(bytes: Uint8Array, context: ReadContext): { name: string; tensor: TensorData } {
  const { message, apart, has } = decode(TensorProtoSchema, bytes, head, bulk);
  const { name } = message;
  const fault = (what: string, expected?: string, got?: string): FilterBasisError =>
    new FilterBasisError("malformed", what, { tensor: name, ...(expected && { expected }), ...(got && { got }) });
  const type = dataTypes[message.dataType - 1];
  if (type === undefined) {
    if (message.dataType === 0) throw fault("has no element type");
    throw new FilterBasisError("unsupported", `element type ${message.dataType} is not known`, { tensor: name });
  }
  if (has(field("segment")))
    throw new FilterBasisError("unsupported", "tensors in segments are not supported", { tensor: name });
  const dims = readDims(message.dims, fault);

  const given = [...typedFields, "rawData" as const, "stringData" as const].filter((candidate) =>
    has(field(candidate)),
  );
  const isExternal = message.dataLocation === TensorProto_DataLocation.EXTERNAL;
  if (isExternal) {
    // Some exporters leave an empty raw_data beside the reference.
    if (given.some((candidate) => candidate !== "rawData" || apart(field("rawData")).some((raw) => raw.length > 0))) {
      throw fault("lies in another file and has data here too");
    }
    if (type === "string") throw fault("is of strings, which cannot lie in another file");
    const data = readExternal(message.externalData, tensorBytes(type, dims), name, context, fault);
    return { name, tensor: withSource({ type, dims, data }, bytes, { name, complete: false }) };
  }
  const source = given.length > 1 ? rawAmong(given, type, name, context) : given[0];
  if (given.length > 1 && source === undefined) throw fault("has data in more than one field", "one", given.join(", "));
  if (type === "string") {
    if (source !== undefined && source !== "stringData")
      throw fault("strings in the wrong field", "string_data", source);
    return {
      name,
      tensor: withSource({ type, dims, data: empty, strings: apart(field("stringData")) }, bytes, { name }),
    };
  }
  if (source === undefined) return { name, tensor: withSource({ type, dims, data: empty }, bytes, { name }) };
  if (source === "rawData")
    return { name, tensor: withSource({ type, dims, data: apart(field("rawData")).at(-1)! }, bytes, { name }) };
  if (source === "stringData") throw fault("numbers in the wrong field", "raw_data", source);
  const data = typedData(bytes, field(source), source, type, tensorBytes(type, dims));
  if (data === undefined) throw fault(`elements in the wrong field for ${type}`, undefined, source);
  return { name, tensor: withSource({ type, dims, data }, bytes, { name }) };
}

/**
 * Of data in several fields the raw ones count, as in ONNX Runtime: files whose tensors were edited with onnx's helpers
 * have such.
 */
function rawAmong<T extends string>(
  given: readonly T[],
  type: DataType,
  name: string,
  { note }: ReadContext,
): T | undefined {
  const raw = type === "string" ? undefined : given.find((field) => field === "rawData");
  if (raw !== undefined) note?.(`the tensor "${name}" has raw data and numbers in another field: the raw data count`);
  return raw;
}

/**
 * A tensor file: a TensorProto by itself, as ONNX's test data come.
 * @throws FilterBasisError `malformed`, `unsupported`, `too-large`
 */
export function readTensorProto(bytes: Uint8Array): TensorData & { readonly name: string } {
  const plain = plainBytes(bytes);
  if (!checkBytes(TensorProtoSchema, plain)) throw malformed("text that is not UTF-8");
  const { name, tensor } = readTensorMessage(plain, {});
  return { ...tensor, name };
}

/** One sparse tensor; it is named after its values. */
export function readSparseTensor(bytes: Uint8Array, context: ReadContext): { name: string; sparse: SparseTensorData } {
  const parts = numbers(SparseTensorProtoSchema, "values", "indices");
  const { message, apart } = decode(SparseTensorProtoSchema, bytes, numbers(SparseTensorProtoSchema, "dims"), parts);
  const given = (part: "values" | "indices"): ReturnType<typeof readTensorMessage> | undefined => {
    const found = apart(numberOf(SparseTensorProtoSchema, part));
    return found.length === 0 ? undefined : readTensorMessage(join(found), context);
  };
  const values = given("values");
  if (values === undefined) throw new FilterBasisError("malformed", "a sparse tensor has no values");
  // Where nothing is given, no places need be given either.
  const none: TensorData = { type: "int64", dims: [0], data: empty };
  const indices = given("indices") ?? { tensor: none };
  const fault = (what: string, expected?: string, got?: string): FilterBasisError =>
    new FilterBasisError("malformed", what, {
      tensor: values.name,
      ...(expected && { expected }),
      ...(got && { got }),
    });
  const complete = isComplete(values.tensor) && isComplete(indices.tensor);
  const made = { dims: readDims(message.dims, fault), values: values.tensor, indices: indices.tensor };
  return { name: values.name, sparse: withSource(made, bytes, { name: values.name, complete }) };
}

type Fault = (what: string, expected?: string, got?: string) => FilterBasisError;
const empty = new Uint8Array(0);

function readDims(dims: readonly bigint[], fault: Fault): number[] {
  return dims.map((dim) => {
    if (dim < 0n || dim > BigInt(Number.MAX_SAFE_INTEGER))
      throw fault("a size is out of range", "0 to 2^53 - 1", String(dim));
    return Number(dim);
  });
}

function readExternal(
  entries: readonly { readonly key: string; readonly value: string }[],
  size: number,
  tensor: string,
  { external }: ReadContext,
  fault: Fault,
): Uint8Array {
  const given = new Map<string, string>();
  for (const { key, value } of entries) {
    if (given.has(key)) throw fault("external data with a key twice", undefined, key);
    given.set(key, value);
  }
  const location = given.get("location");
  if (location === undefined || location === "") throw fault("external data without a location");
  const offset = readCount(given.get("offset"), "offset", fault) ?? 0;
  const length = readCount(given.get("length"), "length", fault);
  if (length !== undefined && length !== size) {
    throw fault("external data of the wrong length", `${size} bytes`, `${length} bytes`);
  }
  if (external === undefined) {
    throw new FilterBasisError("not-found", "lies in another file, and only bytes were given", {
      tensor,
      got: location,
      cures: ["open the model by its path, or give `external`"],
    });
  }
  const data = callExternal(external, location, offset, length ?? size, tensor);
  if (data.length !== size) throw fault("external data of the wrong length", `${size} bytes`, `${data.length} bytes`);
  return data;
}

function callExternal(
  external: ReadExternal,
  location: string,
  offset: number,
  length: number,
  tensor: string,
): Uint8Array {
  try {
    return external(location, offset, length);
  } catch (error) {
    throw isError(error) ? error.at({ tensor }) : error;
  }
}

function readCount(text: string | undefined, name: string, fault: Fault): number | undefined {
  if (text === undefined) return undefined;
  const value = Number(text);
  if (!/^[0-9]+$/.test(text) || !Number.isSafeInteger(value))
    throw fault(`external data with a bad ${name}`, "a whole number", text);
  return value;
}

// TensorData -> TensorProto. Bytes go into the message as they are, or into another file beside the model.
import { create, toBinary } from "@bufbuild/protobuf";
import { SparseTensorProtoSchema, TensorProto_DataLocation, TensorProtoSchema } from "onnx-buf";
import { dataTypes, type SparseTensorData, type TensorData } from "../../graph/types.js";
import { Message } from "./chunks.js";
import { numberOf, numbers } from "./decode.js";
import { sourceOf, unchangedBytes } from "./origin.js";
import { tensorFields } from "./tensor.js";
import { remainder } from "./wire.js";

/**
 * Takes a tensor's bytes for another file and says where they will lie there; undefined: the tensor stays in the model.
 */
export type PutExternal = (data: Uint8Array) => { readonly location: string; readonly offset: number } | undefined;

/** What writing carries along. */
export interface WriteContext {
  readonly external?: PutExternal;
}

const rawData = numberOf(TensorProtoSchema, "rawData");
const stringData = numberOf(TensorProtoSchema, "stringData");
const encoder = new TextEncoder();

/** One tensor under the given name; undefined where the name does not matter (attributes): the one it had, if any. */
export function writeTensor(tensor: TensorData, name: string | undefined, { external }: WriteContext): Message {
  const source = sourceOf(tensor);
  const before = source?.name;
  const same = unchangedBytes(tensor);
  const place = external?.(tensor.data);
  if (same !== undefined && place === undefined && (name === undefined || name === before))
    return new Message().add(same);
  const head = create(TensorProtoSchema, {
    dims: tensor.dims.map(BigInt),
    dataType: dataTypes.indexOf(tensor.type) + 1,
    ...(name || before ? { name: name || before || "" } : {}),
  });
  if (place !== undefined) {
    head.dataLocation = TensorProto_DataLocation.EXTERNAL;
    const entries = { location: place.location, offset: String(place.offset), length: String(tensor.data.length) };
    for (const [key, value] of Object.entries(entries))
      head.externalData.push({ $typeName: "onnx.StringStringEntryProto", key, value });
  }
  const message = new Message().add(toBinary(TensorProtoSchema, head));
  if (tensor.type === "string") for (const text of tensor.strings ?? []) message.field(stringData, text);
  else if (place === undefined) message.field(rawData, tensor.data);
  return message.add(...(source ? remainder(source.bytes, tensorFields) : []));
}

const sparseFields = numbers(SparseTensorProtoSchema, "values", "indices", "dims");

export function writeSparseTensor(sparse: SparseTensorData, name: string, context: WriteContext): Message {
  const same = unchangedBytes(sparse);
  const source = sourceOf(sparse);
  if (same !== undefined && context.external === undefined && source?.name === name) return new Message().add(same);
  return new Message()
    .field(numberOf(SparseTensorProtoSchema, "values"), writeTensor(sparse.values, name, context))
    .field(numberOf(SparseTensorProtoSchema, "indices"), writeTensor(sparse.indices, undefined, context))
    .add(toBinary(SparseTensorProtoSchema, create(SparseTensorProtoSchema, { dims: sparse.dims.map(BigInt) })))
    .add(...(source ? remainder(source.bytes, sparseFields) : []));
}

/** Text as protobuf has it. */
export function text(value: string): Uint8Array {
  return encoder.encode(value);
}

// ValueInfoProto <-> Value: names and types of inputs, outputs and intermediate values.
import { create, toBinary } from "@bufbuild/protobuf";
import { type TypeProto, TypeProtoSchema, ValueInfoProtoSchema } from "onnx-buf";
import { FilterBasisError } from "../../errors/error.js";
import { type Dim, dataTypes, type Value, type ValueType } from "../../graph/types.js";
import { Message } from "./chunks.js";
import { decode, numberOf, numbers, parse } from "./decode.js";
import { sourceOf, unchangedBytes, withSource } from "./origin.js";
import { join, remainder } from "./wire.js";

/** The fields that the graph speaks of; all others are carried. */
const fields = numbers(ValueInfoProtoSchema, "name", "type");
const head = numbers(ValueInfoProtoSchema, "name");
const apart = numbers(ValueInfoProtoSchema, "type");

export function readValue(bytes: Uint8Array): Value {
  const decoded = decode(ValueInfoProtoSchema, bytes, head, apart);
  const { name } = decoded.message;
  const types = decoded.apart(numberOf(ValueInfoProtoSchema, "type"));
  const type = types.length === 0 ? undefined : join(types);
  const tensor = type && tensorType(parse(TypeProtoSchema, type), name);
  return withSource({ name, ...(tensor && { tensor }) }, bytes, {
    ...(type && { type }),
    ...(tensor && { read: tensor }),
  });
}

export function writeValue(value: Value): Message {
  const same = unchangedBytes(value);
  if (same !== undefined) return new Message().add(same);
  const source = sourceOf(value);
  const message = new Message().add(toBinary(ValueInfoProtoSchema, create(ValueInfoProtoSchema, { name: value.name })));
  // A renamed value keeps its type's own remarks.
  const type =
    source !== undefined && source.read === value.tensor ? source.type : value.tensor && typeMessage(value.tensor);
  if (type !== undefined) message.field(numberOf(ValueInfoProtoSchema, "type"), type);
  return message.add(...(source ? remainder(source.bytes, fields) : []));
}

function typeMessage({ type, dims }: ValueType): Uint8Array {
  const dim = dims?.map((size) => ({
    value: dimCases(size),
  }));
  const value = { elemType: dataTypes.indexOf(type) + 1, ...(dim && { shape: { dim } }) };
  return toBinary(TypeProtoSchema, create(TypeProtoSchema, { value: { case: "tensorType", value } }));
}

function dimCases(
  size: Dim,
): { case: "dimValue"; value: bigint } | { case: "dimParam"; value: string } | { case: undefined } {
  if (typeof size === "number") return { case: "dimValue", value: BigInt(size) };
  return size === null ? { case: undefined } : { case: "dimParam", value: size };
}

function tensorType({ value }: TypeProto, name: string): ValueType | undefined {
  if (value.case !== "tensorType") return undefined;
  const { elemType, shape } = value.value;
  const type = dataTypes[elemType - 1];
  if (type === undefined) return undefined;
  if (shape === undefined) return { type };
  const dims = shape.dim.map(({ value: dim }): Dim => {
    if (dim.case === "dimParam") return dim.value === "" ? null : dim.value;
    if (dim.case === undefined) return null;
    // Some exporters write -1 for "not known"; ONNX Runtime takes any negative number so.
    if (dim.value < 0n) return null;
    if (dim.value >= 0n && dim.value <= BigInt(Number.MAX_SAFE_INTEGER)) return Number(dim.value);
    throw new FilterBasisError("malformed", "a size is out of range", {
      tensor: name,
      expected: "0 to 2^53 - 1",
      got: `${dim.value}`,
    });
  });
  return { type, dims };
}

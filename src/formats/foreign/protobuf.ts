// Protobuf messages that are no ONNX model, and those that are: told by the numbers and kinds of their first fields.
import type { KindName } from "./kinds.js";

interface Field {
  readonly no: number;
  /** 0 number, 1 eight bytes, 2 bytes, 5 four bytes. */
  readonly type: number;
  readonly value: number;
  readonly from: number;
  /** May lie beyond the bytes that are there. */
  readonly to: number;
}

/** The first fields of a message, as far as the bytes go; undefined where they are no message. */
function fieldsOf(bytes: Uint8Array, most = 64): readonly Field[] | undefined {
  const fields: Field[] = [];
  for (let at = 0; at < bytes.length && fields.length < most; ) {
    const tag = varint(bytes, at);
    if (tag === undefined) return fields;
    const [no, type] = [Math.floor(tag.value / 8), tag.value % 8];
    const read = type === 0 || type === 2 ? varint(bytes, tag.end) : { value: 0, end: tag.end };
    if (no < 1 || no > 0x1fffffff || ![0, 1, 2, 5].includes(type)) return undefined;
    if (read === undefined) return fields;
    const size = { 0: 0, 1: 8, 2: read.value, 5: 4 }[type as 0 | 1 | 2 | 5];
    fields.push({ no, type, value: read.value, from: read.end, to: read.end + size });
    at = read.end + size;
  }
  return fields;
}

function varint(bytes: Uint8Array, from: number): { readonly value: number; readonly end: number } | undefined {
  let value = 0;
  for (let at = from; at < Math.min(bytes.length, from + 10); at++) {
    const byte = bytes[at] as number;
    value += (byte & 127) * 128 ** (at - from);
    if (byte < 128) return { value, end: at + 1 };
  }
  return undefined;
}

/** onnx.proto: the fields of a ModelProto with their wire types. */
const modelTypes = new Map([
  [1, 0],
  [2, 2],
  [3, 2],
  [4, 2],
  [5, 0],
  [6, 2],
  [7, 2],
  [8, 2],
  [14, 2],
  [20, 2],
  [25, 2],
  [26, 2],
]);

export function byFields(bytes: Uint8Array): KindName | undefined {
  const fields = fieldsOf(bytes);
  const first = fields?.[0];
  if (fields === undefined || first === undefined) return undefined;
  const has = (no: number, type: number): Field | undefined =>
    fields.find((field) => field.no === no && field.type === type);
  if (has(7, 2) !== undefined && fields.every(({ no, type }) => modelTypes.get(no) === type)) return "onnx";
  if (first.no === 1 && first.type === 2) return byFirstMessage(bytes, fields, first);
  if (first.no !== 1 || first.type !== 0) return undefined;
  // Model { specificationVersion = 1, description = 2, the network itself = 200 and more }
  if (first.value < 64 && fields.some(({ no, type }) => no >= 200 && no <= 3000 && type === 2)) return "coreml";
  // SavedModel { saved_model_schema_version = 1, meta_graphs = 2 { meta_info_def = 1 } }
  if (
    first.value === 1 &&
    fields.slice(1).every(({ no, type }) => no === 2 && type === 2) &&
    bytes[fields[1]?.from ?? 0] === 0x0a
  ) {
    return "saved-model";
  }
  // TensorProto { dims = 1, data_type = 2 }
  const dims = fields.findIndex(({ no }) => no !== 1);
  return fields[dims]?.no === 2 && fields[dims].type === 0 && fields[dims].value < 64 ? "onnx-tensor" : undefined;
}

/** Messages whose first field is a message or a text. */
function byFirstMessage(bytes: Uint8Array, fields: readonly Field[], first: Field): KindName | undefined {
  if (fields.some(({ no, type }) => no === 100 && type === 2)) return "caffe"; // NetParameter { name = 1, layer = 100 }
  const inner = fieldsOf(bytes.subarray(first.from, first.to), 8) ?? [];
  const text = (field: Field | undefined): string =>
    field?.type === 2
      ? String.fromCharCode(
          ...bytes.subarray(first.from + field.from, first.from + Math.min(field.to, field.from + 64)),
        )
      : "";
  const [one, two] = inner;
  // GraphDef { node = 1 { name = 1, op = 2 } }
  if (one?.no === 1 && two?.no === 2 && /^[\w./-]+$/.test(text(one)) && /^[A-Z][A-Za-z0-9]+$/.test(text(two)))
    return "tf-graph";
  // ProgramDesc { blocks = 1 { idx = 1, parent_idx = 2 } }
  if (one?.no === 1 && one.type === 0 && one.value === 0 && two?.no === 2 && two.type === 0) return "paddle";
  // dims of a TensorProto may come packed
  return fields[1]?.no === 2 && fields[1].type === 0 ? "onnx-tensor" : undefined;
}

// Small ONNX files built field by field, right or wrong on purpose, for tests of the reader and the verifier.
import { create, type DescMessage, type MessageInitShape, type MessageShape, toBinary } from "@bufbuild/protobuf";
import {
  type AttributeProtoSchema,
  type FunctionProtoSchema,
  type GraphProtoSchema,
  AttributeProto_AttributeType as Kind,
  ModelProtoSchema,
  type NodeProtoSchema,
  type SparseTensorProtoSchema,
  type TensorProtoSchema,
  type ValueInfoProtoSchema,
} from "onnx-buf";
import { type DataType, dataTypes } from "../src/graph/types.js";

/** The fields of a message that one cares to give. */
type Init<S extends DescMessage> = Exclude<MessageInitShape<S>, MessageShape<S>>;

export type NodeInit = Init<typeof NodeProtoSchema>;
export type GraphInit = Init<typeof GraphProtoSchema>;
export type TensorInit = Init<typeof TensorProtoSchema>;
export type AttributeInit = Init<typeof AttributeProtoSchema>;
export type FunctionInit = Init<typeof FunctionProtoSchema>;
export type ModelInit = Init<typeof ModelProtoSchema>;
type ValueInit = Init<typeof ValueInfoProtoSchema>;

export const typeNumber = (type: DataType): number => dataTypes.indexOf(type) + 1;

export function value(
  name: string,
  type: DataType = "float32",
  dims: readonly (number | string)[] = [1, 2],
): ValueInit {
  const dim = dims.map((size) => ({
    value:
      typeof size === "number"
        ? { case: "dimValue" as const, value: BigInt(size) }
        : { case: "dimParam" as const, value: size },
  }));
  return { name, type: { value: { case: "tensorType", value: { elemType: typeNumber(type), shape: { dim } } } } };
}

export function node(
  opType: string,
  input: string[],
  output: string[],
  attribute: AttributeInit[] = [],
  more: NodeInit = {},
): NodeInit {
  return { opType, input, output, name: `the ${opType}`, attribute, ...more };
}

export const bodyAttribute = (name: string, g: GraphInit): AttributeInit => ({ name, type: Kind.GRAPH, g });

export function tensor(
  name: string,
  type: DataType,
  dims: readonly (number | bigint)[],
  more: TensorInit = {},
): TensorInit {
  return { name, dataType: typeNumber(type), dims: dims.map(BigInt), ...more };
}

/** [2, 3] float32 in float_data. */
export const sample = (name: string): TensorInit => tensor(name, "float32", [2, 3], { floatData: [1, 2, 3, 4, 5, 6] });

export function sparse(
  dims: number[],
  values: number[],
  indicesDims: number[],
  indices: number[],
  name = "spval",
): Init<typeof SparseTensorProtoSchema> {
  return {
    dims: dims.map(BigInt),
    values: tensor(name, "int64", [values.length], { int64Data: values.map(BigInt) }),
    indices: tensor("spind", "int64", indicesDims, { int64Data: indices.map(BigInt) }),
  };
}

/** X [1, 2] -> Relu -> Y [1, 2], with what is given instead. */
export function reluGraph(more: GraphInit = {}): GraphInit {
  return { name: "test", node: [node("Relu", ["X"], ["Y"])], input: [value("X")], output: [value("Y")], ...more };
}

export function modelBytes(graph: GraphInit, more: ModelInit = {}): Uint8Array<ArrayBuffer> {
  const opsetImport = [{ domain: "", version: 17n }];
  return toBinary(ModelProtoSchema, create(ModelProtoSchema, { irVersion: 8n, opsetImport, graph, ...more }));
}

/** Name, file, code of the error ("valid" where there is none), and what the message says. */
export type Row = readonly [string, Uint8Array, "valid" | "invalid-graph" | "malformed" | "unsupported", RegExp?];

export { Kind };

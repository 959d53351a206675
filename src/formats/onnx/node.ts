// NodeProto and AttributeProto -> Node and Attribute.
import {
  type AttributeProto,
  AttributeProtoSchema,
  AttributeProto_AttributeType as Kind,
  NodeProtoSchema,
} from "onnx-buf";
import { FilterBasisError } from "../../errors/error.js";
import type { Attribute, GraphBody, Node } from "../../graph/types.js";
import { decode, numberOf, numbers } from "./decode.js";
import { isComplete, withSource } from "./origin.js";
import { type ReadContext, readTensorMessage } from "./tensor.js";
import { join } from "./wire.js";

/**
 * Reads the body of an If, Loop or Scan; given, so that this file and the reader of graphs need not know each other.
 */
export type ReadBody = (bytes: Uint8Array, context: ReadContext) => GraphBody;

/** The fields that the graph speaks of; all others are carried. */
export const nodeFields = numbers(
  NodeProtoSchema,
  "input",
  "output",
  "name",
  "opType",
  "domain",
  "overload",
  "attribute",
);
const nodeHead = numbers(NodeProtoSchema, "input", "output", "name", "opType", "domain", "overload");
const nodeParts = numbers(NodeProtoSchema, "attribute");

const values = [
  "f",
  "i",
  "s",
  "t",
  "g",
  "sparseTensor",
  "tp",
  "floats",
  "ints",
  "strings",
  "tensors",
  "graphs",
] as const;
const valueFields = [...values, "sparseTensors", "typeProtos"] as const;
export const attributeFields = numbers(AttributeProtoSchema, "name", "refAttrName", "type", ...valueFields);
const attributeHead = numbers(AttributeProtoSchema, "name", "refAttrName", "type", "f", "i", "floats", "ints");
const attributeParts = numbers(AttributeProtoSchema, "s", "t", "g", "strings", "tensors", "graphs");
const number = (name: keyof (typeof AttributeProtoSchema)["field"] & string): number =>
  numberOf(AttributeProtoSchema, name);

/** Which field holds the value of which type of attribute. */
const fieldOfKind: Partial<Record<Kind, (typeof valueFields)[number]>> = {
  [Kind.FLOAT]: "f",
  [Kind.INT]: "i",
  [Kind.STRING]: "s",
  [Kind.TENSOR]: "t",
  [Kind.GRAPH]: "g",
  [Kind.SPARSE_TENSOR]: "sparseTensor",
  [Kind.TYPE_PROTO]: "tp",
  [Kind.FLOATS]: "floats",
  [Kind.INTS]: "ints",
  [Kind.STRINGS]: "strings",
  [Kind.TENSORS]: "tensors",
  [Kind.GRAPHS]: "graphs",
  [Kind.SPARSE_TENSORS]: "sparseTensors",
  [Kind.TYPE_PROTOS]: "typeProtos",
};

export function readNode(bytes: Uint8Array, context: ReadContext, readBody: ReadBody): Node {
  const { message, apart } = decode(NodeProtoSchema, bytes, nodeHead, nodeParts);
  const { input: inputs, output: outputs, name, opType: op, overload } = message;
  const site = name || outputs.find((output) => output !== "") || op;
  const { attributes, complete } = readAttributes(
    apart(numberOf(NodeProtoSchema, "attribute")),
    site,
    op,
    context,
    readBody,
  );
  const called = { op, domain: domainName(message.domain), ...(overload && { overload }) };
  return withSource({ ...called, name, inputs, outputs, attributes }, bytes, { complete });
}

/** "ai.onnx" is the long name of the standard domain. */
export function domainName(domain: string): string {
  return domain === "ai.onnx" ? "" : domain;
}

export function readAttributes(
  messages: readonly Uint8Array[],
  node: string,
  op: string,
  context: ReadContext,
  readBody: ReadBody,
): { attributes: Map<string, Attribute>; complete: boolean } {
  const attributes = new Map<string, Attribute>();
  let complete = true;
  for (const bytes of messages) {
    const { name, attribute, whole } = readAttribute(bytes, node, op, context, readBody);
    if (attributes.has(name))
      throw new FilterBasisError("invalid-graph", "an attribute is given twice", { node, op, field: name });
    attributes.set(name, attribute);
    complete &&= whole;
  }
  return { attributes, complete };
}

function readAttribute(
  bytes: Uint8Array,
  node: string,
  op: string,
  context: ReadContext,
  readBody: ReadBody,
): { name: string; attribute: Attribute; whole: boolean } {
  const { message, apart, has } = decode(AttributeProtoSchema, bytes, attributeHead, attributeParts);
  const { name, refAttrName } = message;
  const fault = (what: string, expected?: string, got?: string): FilterBasisError =>
    new FilterBasisError("invalid-graph", what, {
      node,
      op,
      field: name,
      ...(expected && { expected }),
      ...(got && { got }),
    });
  if (name === "") throw fault("an attribute has no name");
  const given = valueFields.filter((field) => has(number(field)));
  if (refAttrName !== "") {
    if (given.length > 0) throw fault("an attribute has a value and refers to one of the function's too");
    return { name, attribute: withSource({ kind: "reference", value: refAttrName }, bytes, { name }), whole: true };
  }
  if (given.length > 1) throw fault("an attribute has more than one value", "one", given.join(", "));
  const source = given[0];
  // Files from before IR version 2 say no type; a type newer than this program is not in the message either.
  const expected = fieldOfKind[message.type] ?? source;
  if (source !== undefined && expected !== source)
    throw fault("an attribute has the type of another field", expected, source);
  const rest = {
    message,
    one: (field: "s" | "t" | "g") => apart(number(field)),
    many: (field: Many) => apart(number(field)),
  };
  const attribute = expected === undefined ? undefined : readers[expected]?.(rest, context, readBody);
  if (attribute === undefined) return { name, attribute: withSource({ kind: "other" }, bytes, { name }), whole: true };
  const whole = isWhole(attribute);
  return { name, attribute: withSource(attribute, bytes, { name, complete: whole }), whole };
}

type Many = "strings" | "tensors" | "graphs";
interface Rest {
  readonly message: AttributeProto;
  one(field: "s" | "t" | "g"): readonly Uint8Array[];
  many(field: Many): readonly Uint8Array[];
}
type Reader = (rest: Rest, context: ReadContext, readBody: ReadBody) => Attribute | undefined;

/**
 * One entry for each field that the graph understands; a missing value is the default of its type, as protobuf has it.
 */
const readers: Partial<Record<(typeof valueFields)[number], Reader>> = {
  f: ({ message }) => ({ kind: "float", value: message.f }),
  i: ({ message }) => ({ kind: "int", value: message.i }),
  s: ({ one }) => ({ kind: "string", value: one("s").at(-1) ?? new Uint8Array(0) }),
  t: ({ one }, context) => ({ kind: "tensor", value: readTensorMessage(join(one("t")), context).tensor }),
  g: ({ one }, context, readBody) => ({ kind: "graph", value: readBody(join(one("g")), context) }),
  floats: ({ message }) => ({ kind: "floats", value: message.floats }),
  ints: ({ message }) => ({ kind: "ints", value: message.ints }),
  strings: ({ many }) => ({ kind: "strings", value: many("strings") }),
  tensors: ({ many }, context) => ({
    kind: "tensors",
    value: many("tensors").map((bytes) => readTensorMessage(bytes, context).tensor),
  }),
  graphs: ({ many }, context, readBody) => ({
    kind: "graphs",
    value: many("graphs").map((bytes) => readBody(bytes, context)),
  }),
};

function isWhole(attribute: Attribute): boolean {
  if (attribute.kind === "tensor" || attribute.kind === "graph") return isComplete(attribute.value);
  if (attribute.kind === "tensors" || attribute.kind === "graphs") return attribute.value.every(isComplete);
  return true;
}

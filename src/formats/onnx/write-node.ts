// Node and Attribute -> NodeProto and AttributeProto.
import { create, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import { AttributeProtoSchema, AttributeProto_AttributeType as Kind, NodeProtoSchema } from "onnx-buf";
import { FilterBasisError } from "../../errors/error.js";
import type { Attribute, GraphBody, Node } from "../../graph/types.js";
import { Message } from "./chunks.js";
import { numberOf } from "./decode.js";
import { attributeFields, nodeFields } from "./node.js";
import { sourceOf, unchangedBytes } from "./origin.js";
import { remainder } from "./wire.js";
import { text, type WriteContext, writeTensor } from "./write-tensor.js";

export type WriteBody = (body: GraphBody, context: WriteContext) => Message;

export function writeNode(node: Node, context: WriteContext, writeBody: WriteBody): Message {
  const same = context.external === undefined ? unchangedBytes(node) : undefined;
  if (same !== undefined) return new Message().add(same);
  const { inputs, outputs, name, op, domain, overload } = node;
  const head = create(NodeProtoSchema, {
    input: [...inputs],
    output: [...outputs],
    opType: op,
    ...(name && { name }),
    ...(domain && { domain }),
    ...(overload && { overload }),
  });
  const message = new Message().add(toBinary(NodeProtoSchema, head));
  const number = numberOf(NodeProtoSchema, "attribute");
  for (const [key, attribute] of node.attributes)
    message.field(number, writeAttribute(key, attribute, node, context, writeBody));
  const source = sourceOf(node);
  return message.add(...(source ? remainder(source.bytes, nodeFields) : []));
}

/** The attribute under the given name. */
export function writeAttribute(
  name: string,
  attribute: Attribute,
  node: { readonly op: string; readonly name: string },
  context: WriteContext,
  writeBody: WriteBody,
): Message {
  const source = "origin" in attribute ? sourceOf(attribute) : undefined;
  const same = context.external === undefined && "origin" in attribute ? unchangedBytes(attribute) : undefined;
  if (same !== undefined && source?.name === name) return new Message().add(same);
  if (attribute.kind === "other") {
    if (source === undefined) {
      const details = { node: node.name, op: node.op, field: name };
      throw new FilterBasisError("invalid-graph", "an attribute that is not understood has no bytes to write", details);
    }
    const rest = remainder(source.bytes, new Set([numberOf(AttributeProtoSchema, "name")]));
    return new Message().field(numberOf(AttributeProtoSchema, "name"), text(name)).add(...rest);
  }
  const message = attributeMessage(name, attribute, context, writeBody);
  return message.add(...(source ? remainder(source.bytes, attributeFields) : []));
}

const number = (name: keyof (typeof AttributeProtoSchema)["field"] & string): number =>
  numberOf(AttributeProtoSchema, name);

/** Only initializers go into other files: runtimes differ on attributes there. */
const inside: WriteContext = {};

function attributeMessage(
  name: string,
  attribute: Exclude<Attribute, { kind: "other" }>,
  context: WriteContext,
  writeBody: WriteBody,
): Message {
  const head = (fields: MessageInitShape<typeof AttributeProtoSchema>): Message =>
    new Message().add(toBinary(AttributeProtoSchema, create(AttributeProtoSchema, { name, ...fields })));
  switch (attribute.kind) {
    case "int":
      return head({ type: Kind.INT, i: attribute.value });
    case "ints":
      return head({ type: Kind.INTS, ints: [...attribute.value] });
    case "float":
      return head({ type: Kind.FLOAT, f: attribute.value });
    case "floats":
      return head({ type: Kind.FLOATS, floats: [...attribute.value] });
    case "string":
      return head({ type: Kind.STRING }).field(number("s"), attribute.value);
    case "strings":
      return attribute.value.reduce((all, each) => all.field(number("strings"), each), head({ type: Kind.STRINGS }));
    case "tensor":
      return head({ type: Kind.TENSOR }).field(number("t"), writeTensor(attribute.value, undefined, inside));
    case "tensors":
      return attribute.value.reduce(
        (all, each) => all.field(number("tensors"), writeTensor(each, undefined, inside)),
        head({ type: Kind.TENSORS }),
      );
    case "graph":
      return head({ type: Kind.GRAPH }).field(number("g"), writeBody(attribute.value, context));
    case "graphs":
      return attribute.value.reduce(
        (all, each) => all.field(number("graphs"), writeBody(each, context)),
        head({ type: Kind.GRAPHS }),
      );
    case "reference":
      return head({ refAttrName: attribute.value });
  }
}

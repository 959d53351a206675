// Graph -> ModelProto. Parts that are still what was read are written as the bytes that were read.
import { create, toBinary } from "@bufbuild/protobuf";
import {
  FunctionProtoSchema,
  GraphProtoSchema,
  ModelProtoSchema,
  OperatorSetIdProtoSchema,
  StringStringEntryProtoSchema,
} from "onnx-buf";
import type { Graph, GraphBody, LocalFunction } from "../../graph/types.js";
import { lowerBasisConv } from "../../passes/lower-basis-conv.js";
import { concat, largestModel, Message, tooLarge } from "./chunks.js";
import { numberOf, parse } from "./decode.js";
import { domainName } from "./node.js";
import { asWritten, type Source, sourceOf, unchangedBytes } from "./origin.js";
import { bodyFields, functionFields, modelFields } from "./read.js";
import { writeValue } from "./value.js";
import { payloads, remainder } from "./wire.js";
import { writeAttribute, writeNode } from "./write-node.js";
import { type PutExternal, type WriteContext, writeSparseTensor, writeTensor } from "./write-tensor.js";

/**
 * Writes a model.
 * @throws FilterBasisError `too-large` where it would pass 2 GB (then see `writeModelChunks` with `external`)
 * @example
 * ```ts
 * import { basis, buildNet, writeModel } from "filterbasis/browser";
 *
 * const { graph } = basis({ keepParams: 0.5 })(buildNet("resnet20"));
 * const url = URL.createObjectURL(new Blob([writeModel(graph)]));
 * console.log(url);
 * ```
 */
export function writeModel(graph: Graph): Uint8Array {
  const { chunks, length } = writeModelChunks(graph);
  return chunks.length === 1 ? (chunks[0] as Uint8Array) : concat(chunks, length);
}

/**
 * A model as runs of bytes, to be written one after the other; large tensors are not copied. `external` may take
 * tensors out.
 */
export function writeModelChunks(
  graph: Graph,
  external?: PutExternal,
): { readonly chunks: readonly Uint8Array[]; readonly length: number } {
  const message = modelMessage(graph, external === undefined ? {} : { external });
  if (message.length > largestModel) throw tooLarge(message.length);
  return { chunks: message.runs(), length: message.length };
}

function modelMessage(raised: Graph, context: WriteContext): Message {
  const given = lowerBasisConv(raised);
  const same = context.external === undefined ? unchangedBytes(given) : undefined;
  if (same !== undefined) return new Message().add(same);
  const graph = asWritten(given);
  const number = (name: keyof (typeof ModelProtoSchema)["field"] & string): number => numberOf(ModelProtoSchema, name);
  const source = sourceOf(graph);
  const producer = source === undefined ? { producerName: "filterbasis" } : {};
  const message = new Message().add(
    toBinary(ModelProtoSchema, create(ModelProtoSchema, { irVersion: BigInt(graph.irVersion), ...producer })),
  );
  message.field(number("graph"), bodyMessage(graph, source?.body, context));
  writeOpsets(message, number("opsetImport"), graph.opsets, source);
  const entries = source ? payloads(source.bytes, number("metadataProps")) : [];
  const read = new Map(entries.map((bytes) => [parse(StringStringEntryProtoSchema, bytes).key, bytes]));
  for (const [key, value] of graph.metadata) {
    const before = read.get(key);
    const kept =
      before !== undefined && parse(StringStringEntryProtoSchema, before).value === value ? before : undefined;
    const made = kept ?? toBinary(StringStringEntryProtoSchema, create(StringStringEntryProtoSchema, { key, value }));
    message.field(number("metadataProps"), made);
  }
  for (const local of graph.functions ?? []) message.field(number("functions"), writeFunction(local, context));
  return message.add(...(source ? remainder(source.bytes, modelFields) : []));
}

function writeBody(body: GraphBody, context: WriteContext): Message {
  const same = context.external === undefined ? unchangedBytes(body) : undefined;
  return same === undefined ? bodyMessage(body, sourceOf(body), context) : new Message().add(same);
}

function bodyMessage(body: GraphBody, source: Source | undefined, context: WriteContext): Message {
  const number = (name: keyof (typeof GraphProtoSchema)["field"] & string): number => numberOf(GraphProtoSchema, name);
  const message = new Message();
  for (const node of body.nodes) message.field(number("node"), writeNode(node, context, writeBody));
  message.add(toBinary(GraphProtoSchema, create(GraphProtoSchema, { name: body.name })));
  for (const [name, tensor] of body.initializers)
    message.field(number("initializer"), writeTensor(tensor, name, context));
  for (const [name, tensor] of body.sparseInitializers ?? []) {
    message.field(number("sparseInitializer"), writeSparseTensor(tensor, name, context));
  }
  for (const value of body.inputs) message.field(number("input"), writeValue(value));
  for (const value of body.outputs) message.field(number("output"), writeValue(value));
  for (const value of body.values.values()) message.field(number("valueInfo"), writeValue(value));
  return message.add(...(source ? remainder(source.bytes, bodyFields) : []));
}

function writeFunction(local: LocalFunction, context: WriteContext): Message {
  const same = context.external === undefined ? unchangedBytes(local) : undefined;
  if (same !== undefined) return new Message().add(same);
  const number = (name: keyof (typeof FunctionProtoSchema)["field"] & string): number =>
    numberOf(FunctionProtoSchema, name);
  const { name, overload, domain, inputs, outputs, attributes } = local;
  const source = sourceOf(local);
  const head = create(FunctionProtoSchema, {
    name,
    domain,
    ...(overload && { overload }),
    input: [...inputs],
    output: [...outputs],
    attribute: [...attributes],
  });
  const message = new Message().add(toBinary(FunctionProtoSchema, head));
  for (const [key, attribute] of local.defaults) {
    message.field(number("attributeProto"), writeAttribute(key, attribute, { op: name, name }, context, writeBody));
  }
  for (const node of local.nodes) message.field(number("node"), writeNode(node, context, writeBody));
  writeOpsets(message, number("opsetImport"), local.opsets, source);
  return message.add(...(source ? remainder(source.bytes, functionFields) : []));
}

/** Opset imports; those that are still what was read are written as read (the standard domain has two names). */
function writeOpsets(
  message: Message,
  no: number,
  opsets: ReadonlyMap<string, number>,
  source: Source | undefined,
): void {
  const read = new Map<string, Uint8Array>();
  for (const bytes of source ? payloads(source.bytes, no) : []) {
    const { domain, version } = parse(OperatorSetIdProtoSchema, bytes);
    if (opsets.get(domainName(domain)) === Number(version)) read.set(domainName(domain), bytes);
  }
  for (const [domain, version] of opsets) {
    const made = (): Uint8Array =>
      toBinary(OperatorSetIdProtoSchema, create(OperatorSetIdProtoSchema, { domain, version: BigInt(version) }));
    message.field(no, read.get(domain) ?? made());
  }
}

// ModelProto -> Graph. Everything that the graph does not speak of stays in the file's bytes, to which each part keeps
// a view.
import {
  FunctionProtoSchema,
  GraphProtoSchema,
  ModelProtoSchema,
  OperatorSetIdProtoSchema,
  StringStringEntryProtoSchema,
} from "onnx-buf";
import { FilterBasisError, isError } from "../../errors/error.js";
import { nodeName } from "../../graph/attributes.js";
import { orderGraph } from "../../graph/order.js";
import type { Graph, GraphBody, LocalFunction, Node, Value } from "../../graph/types.js";
import { functionKey, functionTitle } from "../../ops/verify/functions.js";
import { verifyGraph } from "../../ops/verify/verify.js";
import { raiseBasisConv } from "../../passes/raise-basis-conv.js";
import { checkBytes } from "./check.js";
import { decode, numberOf, numbers, parse } from "./decode.js";
import { withLatin1Text } from "./latin1.js";
import { domainName, readAttributes, readNode } from "./node.js";
import { isComplete, neededIrVersion, type Source, sourceOf, withSource } from "./origin.js";
import { type ReadContext, type ReadExternal, readSparseTensor, readTensorMessage } from "./tensor.js";
import { completeImports, eachOnce, lastConstants, lastOnes, namedValues } from "./tolerate.js";
import { readValue } from "./value.js";
import { join, plainBytes } from "./wire.js";

export interface ReadOptions {
  /** Named in errors. */
  readonly file?: string;
  /** Gives the bytes of tensors that lie in other files. */
  readonly external?: ReadExternal;
  /** Whether the graph is checked against ONNX's rules too (`verifyGraph`). */
  readonly verify?: boolean;
  /** The most memory, in bytes, that the parts read may take; 48 MiB and three times the file's size if not given. */
  readonly memory?: number;
  /**
   * Told, in a sentence each, of what the file breaks the rules in and ONNX Runtime opens all the same: nodes out of
   * order, names given twice.
   */
  readonly note?: (text: string) => void;
}

const modelParts = numbers(ModelProtoSchema, "graph", "opsetImport", "metadataProps", "functions");
const modelHead = numbers(ModelProtoSchema, "irVersion");
export const modelFields = new Set([...modelParts, ...modelHead]);

const bodyParts = numbers(GraphProtoSchema, "node", "initializer", "sparseInitializer", "input", "output", "valueInfo");
const bodyHead = numbers(GraphProtoSchema, "name");
export const bodyFields = new Set([...bodyParts, ...bodyHead]);

const functionParts = numbers(FunctionProtoSchema, "node", "attributeProto", "opsetImport");
const functionHead = numbers(FunctionProtoSchema, "name", "input", "output", "attribute", "domain", "overload");
export const functionFields = new Set([...functionParts, ...functionHead]);

/**
 * Reads an ONNX model (`ModelProto`). Tensors are views on `bytes`: do not change those while the graph is in use.
 * @throws FilterBasisError `malformed` (not an ONNX file, or a broken one), `invalid-graph`, `unsupported`,
 * `too-large`, `not-found` (a tensor lies in another file, and `external` was not given)
 *
 * Nodes are put in order where they are not, as ONNX Runtime does; layers that the model's record says are compressed
 * become one node each (`BasisConv`).
 * @example
 * ```ts
 * import { readFile } from "node:fs/promises";
 * import { printGraph, readModel } from "filterbasis";
 *
 * const graph = readModel(await readFile("model.onnx"));
 * console.log(printGraph(graph));
 * ```
 */
export function readModel(bytes: Uint8Array, { file, external, verify = true, memory, note }: ReadOptions = {}): Graph {
  try {
    const plain = utf8Bytes(plainBytes(bytes), memory, note);
    const read = readModelMessage(plain, { ...(external && { external }), ...(note && { note }) });
    const graph = orderGraph(read, (moved, where) => note?.(orderNote(moved, where)));
    if (verify) verifyGraph(graph);
    const raised = raiseBasisConv(graph);
    for (const { layer, applied, reason } of raised.outcomes)
      if (!applied) note?.(`what the metadata says of the compressed layer ${layer} is not used: ${reason}`);
    return raised.graph;
  } catch (error) {
    throw file !== undefined && isError(error) ? error.at({ file }) : error;
  }
}

/** The bytes, checked; a file with names that are not UTF-8 is copied. */
function utf8Bytes(bytes: Uint8Array, memory: number | undefined, note: ReadOptions["note"]): Uint8Array {
  if (checkBytes(ModelProtoSchema, bytes, memory)) return bytes;
  note?.("names in the file are not UTF-8: they are read as Latin-1");
  return withLatin1Text(ModelProtoSchema, bytes);
}

function orderNote(moved: readonly Node[], where: string): string {
  const [first] = moved.map((node) => `${nodeName(node)} (${node.op})`);
  const nodes = moved.length === 1 ? `${first} stood` : `${moved.length} nodes (the first is ${first}) stood`;
  return `the nodes of ${where} were not in order: ${nodes} behind nodes that read what they make, and moved up`;
}

function readModelMessage(bytes: Uint8Array, context: ReadContext): Graph {
  const { message, apart } = decode(ModelProtoSchema, bytes, modelHead, modelParts);
  const number = (name: keyof (typeof ModelProtoSchema)["field"] & string): number => numberOf(ModelProtoSchema, name);
  const graphs = apart(number("graph"));
  if (graphs.length === 0) throw new FilterBasisError("malformed", "this is not an ONNX model: it has no graph");
  const body = readBody(join(graphs), context);
  for (const input of body.inputs) {
    if (sourceOf(input)?.type !== undefined || body.initializers.has(input.name)) continue;
    throw new FilterBasisError("invalid-graph", "an input of the graph has no type", { tensor: input.name });
  }
  const read = apart(number("functions")).map((inner) => readFunction(inner, context));
  const functions = [...lastOnes(named(read, functionKey), "function", context, functionTitle).values()];
  const graph = {
    ...body,
    opsets: completeImports(readOpsets(apart(number("opsetImport")), context), body.nodes, functions, context),
    irVersion: readIrVersion(message.irVersion, context),
    metadata: readMetadata(apart(number("metadataProps")), context),
    ...(functions.length > 0 && { functions }),
  };
  // The graph inside the model has fields of its own to carry.
  const complete = isComplete(body) && functions.every(isComplete) && neededIrVersion(graph) === graph.irVersion;
  return withSource(graph, bytes, { complete, body: body.origin });
}

/** A graph's body: the main graph or that of an If, Loop or Scan. */
function readBody(bytes: Uint8Array, context: ReadContext): GraphBody & { readonly origin: Source } {
  const { message, apart } = decode(GraphProtoSchema, bytes, bodyHead, bodyParts);
  const number = (name: keyof (typeof GraphProtoSchema)["field"] & string): number => numberOf(GraphProtoSchema, name);
  const tensors = apart(number("initializer")).map((inner) => readTensorMessage(inner, context));
  const dense = lastOnes(
    tensors.map(({ name, tensor }) => [name, tensor] as const),
    "initializer",
    context,
  );
  const sparses = apart(number("sparseInitializer")).map((inner) => readSparseTensor(inner, context));
  const sparse = lastOnes(
    sparses.map((one) => [one.name, one.sparse] as const),
    "sparse initializer",
    context,
  );
  const made = apart(number("node")).map((inner) => readNode(inner, context, readBody));
  const { nodes, initializers } = lastConstants(made, dense, context);
  const values = apart(number("valueInfo"))
    .map(readValue)
    .filter(({ name }) => name !== "");
  const body = {
    name: message.name,
    nodes,
    initializers,
    inputs: namedValues(apart(number("input")).map(readValue), "an input", context),
    outputs: eachOnce(apart(number("output")).map(readValue), context),
    values: new Map(values.map((value): [string, Value] => [value.name, value])),
    ...(sparse.size > 0 && { sparseInitializers: sparse }),
  };
  const inputs = new Set(body.inputs.map(({ name }) => name));
  const listsConstants = initializers.size > 0 && [...initializers.keys()].every((name) => inputs.has(name));
  const complete = [...nodes, ...initializers.values(), ...sparse.values()].every(isComplete);
  return withSource(body, bytes, { complete, listsConstants });
}

function readFunction(bytes: Uint8Array, context: ReadContext): LocalFunction {
  const { message, apart } = decode(FunctionProtoSchema, bytes, functionHead, functionParts);
  const number = (name: keyof (typeof FunctionProtoSchema)["field"] & string): number =>
    numberOf(FunctionProtoSchema, name);
  const { name, overload, input: inputs, output: outputs, attribute: attributes } = message;
  const defaults = readAttributes(apart(number("attributeProto")), name, name, context, readBody);
  const nodes = apart(number("node")).map((inner) => readNode(inner, context, readBody));
  const opsets = readOpsets(apart(number("opsetImport")), context);
  const made = {
    name,
    overload,
    domain: domainName(message.domain),
    inputs,
    outputs,
    attributes,
    defaults: defaults.attributes,
    nodes,
    opsets,
  };
  return withSource(made, bytes, { complete: defaults.complete && nodes.every(isComplete) });
}

function readOpsets(messages: readonly Uint8Array[], { note }: ReadContext): ReadonlyMap<string, number> {
  const opsets = new Map<string, number>();
  for (const bytes of messages) {
    const { domain, version } = parse(OperatorSetIdProtoSchema, bytes);
    const name = domainName(domain);
    const number = smallInteger(version, "opset_import.version");
    const before = opsets.get(name);
    if (before !== undefined && before !== number)
      note?.(
        `the operators of "${name || "ai.onnx"}" are imported in versions ${before} and ${number}: the last one counts`,
      );
    opsets.set(name, number);
  }
  return opsets;
}

function readMetadata(messages: readonly Uint8Array[], context: ReadContext): ReadonlyMap<string, string> {
  const metadata = new Map<string, string>();
  for (const bytes of messages) {
    const { key, value } = parse(StringStringEntryProtoSchema, bytes);
    if (metadata.has(key)) context.note?.(`metadata_props has "${key}" more than once: the last one counts`);
    metadata.set(key, value);
  }
  return metadata;
}

/** The version as the file says it; a file that says none is read as one of the oldest that must name its operators. */
function readIrVersion(version: bigint, { note }: ReadContext): number {
  if (version >= 1n) return smallInteger(version, "ir_version");
  note?.(`the file says no IR version that could be (${version}): it is read as version 3`);
  return 3;
}

function smallInteger(value: bigint, field: string): number {
  if (value >= 0n && value <= 0x7fffffffn) return Number(value);
  throw new FilterBasisError("malformed", "a version is out of range", {
    field,
    expected: "0 to 2^31 - 1",
    got: String(value),
  });
}

const named = <T>(list: readonly T[], name: (element: T) => string): readonly (readonly [string, T])[] =>
  list.map((element) => [name(element), element]);

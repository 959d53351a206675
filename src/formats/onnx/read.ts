// ModelProto -> Graph. Everything that the graph does not speak of stays in the file's bytes, to which each part keeps a view.
import {
  FunctionProtoSchema,
  GraphProtoSchema,
  ModelProtoSchema,
  OperatorSetIdProtoSchema,
  StringStringEntryProtoSchema,
} from "onnx-buf";
import { FilterBasisError, isError } from "../../errors/error.js";
import type { Graph, GraphBody, LocalFunction, SparseTensorData, TensorData, Value } from "../../graph/types.js";
import { verifyGraph } from "../../graph/verify.js";
import { checkBytes } from "./check.js";
import { decode, numberOf, numbers, parse } from "./decode.js";
import { domainName, readAttributes, readNode } from "./node.js";
import { isComplete, neededIrVersion, type Source, sourceOf, withSource } from "./origin.js";
import { type ReadContext, type ReadExternal, readSparseTensor, readTensorMessage } from "./tensor.js";
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
 * @throws FilterBasisError `malformed` (not an ONNX file, or a broken one), `invalid-graph`, `unsupported`, `too-large`,
 * `not-found` (a tensor lies in another file, and `external` was not given)
 */
export function readModel(bytes: Uint8Array, { file, external, verify = true, memory }: ReadOptions = {}): Graph {
  try {
    const plain = plainBytes(bytes);
    checkBytes(ModelProtoSchema, plain, memory);
    const graph = readModelMessage(plain, external === undefined ? {} : { external });
    if (verify) verifyGraph(graph);
    return graph;
  } catch (error) {
    throw file !== undefined && isError(error) ? error.at({ file }) : error;
  }
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
  const functions = apart(number("functions")).map((inner) => readFunction(inner, context));
  const graph = {
    ...body,
    opsets: readOpsets(apart(number("opsetImport"))),
    irVersion: smallInteger(message.irVersion, "ir_version"),
    metadata: readMetadata(apart(number("metadataProps"))),
    ...(functions.length > 0 && { functions }),
  };
  // The graph inside the model has fields of its own to carry.
  const complete = isComplete(body) && functions.every(isComplete) && neededIrVersion(graph) === graph.irVersion;
  return withSource(graph, bytes, { complete, body: body.origin });
}

/** A graph's body: the main graph or that of an If, Loop or Scan. */
export function readBody(bytes: Uint8Array, context: ReadContext): GraphBody & { readonly origin: Source } {
  const { message, apart } = decode(GraphProtoSchema, bytes, bodyHead, bodyParts);
  const number = (name: keyof (typeof GraphProtoSchema)["field"] & string): number => numberOf(GraphProtoSchema, name);
  const nodes = apart(number("node")).map((inner) => readNode(inner, context, readBody));
  const initializers = new Map<string, TensorData>();
  const sparse = new Map<string, SparseTensorData>();
  const fresh = (name: string): string => {
    if (name === "") throw new FilterBasisError("invalid-graph", "an initializer has no name", { field: message.name });
    if (!initializers.has(name) && !sparse.has(name)) return name;
    throw new FilterBasisError("invalid-graph", "there are two initializers of this name", { tensor: name });
  };
  for (const inner of apart(number("initializer"))) {
    const { name, tensor } = readTensorMessage(inner, context);
    initializers.set(fresh(name), tensor);
  }
  for (const inner of apart(number("sparseInitializer"))) {
    const { name, sparse: tensor } = readSparseTensor(inner, context);
    sparse.set(fresh(name), tensor);
  }
  const values = apart(number("valueInfo")).map(readValue);
  const body = {
    name: message.name,
    nodes,
    initializers,
    inputs: apart(number("input")).map(readValue),
    outputs: apart(number("output")).map(readValue),
    values: new Map(values.map((value): [string, Value] => [value.name, value])),
    ...(sparse.size > 0 && { sparseInitializers: sparse }),
  };
  return withSource(body, bytes, { complete: [...nodes, ...initializers.values(), ...sparse.values()].every(isComplete) });
}

function readFunction(bytes: Uint8Array, context: ReadContext): LocalFunction {
  const { message, apart } = decode(FunctionProtoSchema, bytes, functionHead, functionParts);
  const number = (name: keyof (typeof FunctionProtoSchema)["field"] & string): number => numberOf(FunctionProtoSchema, name);
  const { name, overload, input: inputs, output: outputs, attribute: attributes } = message;
  const defaults = readAttributes(apart(number("attributeProto")), name, name, context, readBody);
  const nodes = apart(number("node")).map((inner) => readNode(inner, context, readBody));
  const opsets = readOpsets(apart(number("opsetImport")));
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

function readOpsets(messages: readonly Uint8Array[]): ReadonlyMap<string, number> {
  const opsets = new Map<string, number>();
  for (const bytes of messages) {
    const { domain, version } = parse(OperatorSetIdProtoSchema, bytes);
    const name = domainName(domain);
    const number = smallInteger(version, "opset_import.version");
    const before = opsets.get(name);
    if (before !== undefined && before !== number) {
      const got = `${before} and ${number}`;
      throw new FilterBasisError("invalid-graph", `the operators of domain "${name}" are imported in two versions`, { got });
    }
    opsets.set(name, number);
  }
  return opsets;
}

function readMetadata(messages: readonly Uint8Array[]): ReadonlyMap<string, string> {
  const metadata = new Map<string, string>();
  for (const bytes of messages) {
    const { key, value } = parse(StringStringEntryProtoSchema, bytes);
    if (metadata.has(key)) throw new FilterBasisError("invalid-graph", "metadata_props has a key twice", { field: key });
    metadata.set(key, value);
  }
  return metadata;
}

function smallInteger(value: bigint, field: string): number {
  if (value >= 0n && value <= 0x7fffffffn) return Number(value);
  throw new FilterBasisError("malformed", "a version is out of range", { field, expected: "0 to 2^31 - 1", got: String(value) });
}

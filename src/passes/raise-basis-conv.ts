// Ordinary ONNX nodes -> BasisConv, by the record in a file's metadata. A layer fits its record where its nodes are
// what the record's layout would be written as (names aside): so a model that another program has rewritten is still
// read, with its other layers raised.
import { isError } from "../errors/error.js";
import { type BasisConv, makeBasisConv } from "../graph/basis-conv.js";
import { withMetadata } from "../graph/edit.js";
import { indexOf } from "../graph/graph-index.js";
import type { DataType, Graph, Node, Outcome, PassResult } from "../graph/types.js";
import { layoutNodes } from "./basis-conv-nodes.js";
import {
  attributesFromJson,
  type CompressionRecord,
  type LayerRecord,
  parseRecord,
  recordKey,
} from "./compression-record.js";
import { rememberRead, withWritten } from "./lower-basis-conv.js";
import { type Match, matchNodes, type Open, type Place } from "./match-nodes.js";
import { dropUnread } from "./remove-unread.js";

const name = "raise-basis-conv";

/**
 * The pass. A layer that does not fit its record stays as it is, and its part of the record in the metadata. It never
 * fails.
 */
export function raiseBasisConv(graph: Graph): PassResult {
  const text = graph.metadata.get(recordKey);
  if (text === undefined) return { graph, outcomes: [] };
  const record = readOrReason(text);
  if ("reason" in record)
    return { graph, outcomes: [{ pass: name, layer: recordKey, applied: false, reason: record.reason }] };
  const search = searchIn(graph, record.layers);
  const raised = new Map<Node, Node>();
  const outcomes: Outcome[] = [];
  const left: LayerRecord[] = [];
  for (const entry of record.layers) {
    const found = findLayer(search, entry, raised);
    const reason =
      found === undefined ? "its nodes are not what the model's record says of it" : "it is one node again";
    outcomes.push({ pass: name, layer: entry.name || entry.output, applied: found !== undefined, reason });
    if (found === undefined) left.push(entry);
    else raised.set(found.end, nodeOf(search, entry, found, entry.method ?? record.method));
  }
  if (raised.size === 0) return { graph, outcomes };
  const replaced = { ...graph, nodes: graph.nodes.map((node) => raised.get(node) ?? node) };
  const cleaned = dropUnread(
    replaced,
    [...raised.keys()].flatMap(({ inputs }) => inputs),
  );
  const rest = left.length > 0 ? JSON.stringify({ ...record, layers: left }) : undefined;
  const result = withMetadata(cleaned, { [recordKey]: rest });
  rememberRead(result, graph);
  return { graph: result, outcomes };
}

function readOrReason(text: string): CompressionRecord | { readonly reason: string } {
  try {
    return parseRecord(text);
  } catch (error) {
    if (!isError(error)) throw error;
    return { reason: error.problem };
  }
}

interface Search extends Place {
  readonly graph: Graph;
  readonly opset: number;
  readonly root: (value: string) => string;
  /** The convolutions whose weight is, or is computed from, each named initializer. */
  readonly readers: ReadonlyMap<string, readonly Node[]>;
}

/** What may stand between an initializer and the weight that is made of it. */
const rebuilding = new Set(["Reshape", "MatMul", "Slice", "Tile", "Cast", "Identity", "Mul", "DequantizeLinear"]);

function searchIn(graph: Graph, entries: readonly LayerRecord[]): Search {
  const { producers: made, constant, root } = indexOf(graph);
  const wanted = new Set(entries.map(({ coefficients }) => coefficients));
  const readers = new Map<string, Node[]>();
  for (const node of graph.nodes) {
    if (node.op !== "Conv" || node.domain !== "") continue;
    const open = [node.inputs[1] ?? ""];
    const seen = new Set(open);
    for (let value = open.pop(); value !== undefined; value = open.pop()) {
      if (wanted.has(value)) readers.set(value, [...(readers.get(value) ?? []), node]);
      const maker = made.get(value);
      if (maker?.domain !== "" || !rebuilding.has(maker.op)) continue;
      for (const input of maker.inputs) if (!seen.has(input)) seen.add(input) && open.push(input);
    }
  }
  return { graph, made, constant, readers, opset: graph.opsets.get("") ?? 1, root };
}

interface Found {
  /** The node that makes the layer's (or the basis part's) output. */
  readonly end: Node;
  readonly match: Match;
  /** Of a basis part: what the convolution with the coefficients makes. */
  readonly layerOutput: string;
}

function findLayer(search: Search, entry: LayerRecord, taken: ReadonlyMap<Node, Node>): Found | undefined {
  if (!tensorsFit(search, entry)) return undefined;
  const readers = search.readers.get(entry.coefficients) ?? [];
  // Of several that read the same coefficients, the one of the recorded output, or name, comes first.
  const rank = (node: Node): number =>
    node.outputs[0] === entry.output ? 0 : node.name !== "" && node.name === entry.name ? 1 : 2;
  for (const node of [...readers].sort((a, b) => rank(a) - rank(b))) {
    if (taken.has(node)) continue;
    const found = entry.basisOnly ? findPart(search, entry, node) : findWhole(search, entry, node);
    if (found !== undefined && !taken.has(found.end)) return found;
  }
  return undefined;
}

/** Do the stored basis and coefficients have the recorded sizes? */
function tensorsFit({ constant }: Search, entry: LayerRecord): boolean {
  const { splits: s, basisSize: m, slice, basisOnly = false } = entry;
  const [n, c, ...kernel] = entry.shape as [number, number, ...number[]];
  const [basis, coefficients] = [constant(entry.basis)?.dims, constant(entry.coefficients)?.dims];
  if (basis === undefined || coefficients === undefined || c % s !== 0) return false;
  if (slice && slice[1] - slice[0] !== c / s) return false;
  const width = basis[1] ?? 0;
  if (slice ? width < slice[1] : width !== c / s) return false;
  const flat = basisOnly || coefficients.slice(2).every((size) => size === 1);
  return (
    flat &&
    [basis[0], ...basis.slice(2)].join() === [m, ...kernel].join() &&
    coefficients.length === kernel.length + 2 &&
    coefficients[0] === n &&
    coefficients[1] === s * m
  );
}

const leaves = {
  input: "\0input",
  basis: "\0basis",
  coefficients: "\0coefficients",
  bias: "\0bias",
  basisBias: "\0basis bias",
} as const;
const output = "\0output";

/** Holds what makes a value against the record, with and without each bias: folding may have given it one since. */
function hold(search: Search, entry: LayerRecord, end: string): Match | undefined {
  const { root } = search;
  const any = () => true;
  const open: Open = new Map<string, (value: string) => boolean>([
    [leaves.input, any],
    [leaves.basis, (value) => root(value) === entry.basis],
    [leaves.coefficients, (value) => root(value) === entry.coefficients],
    [leaves.bias, any],
    [leaves.basisBias, any],
  ]);
  const whole = entry.basisOnly ? { coefficients: "" } : {};
  for (const typeOf of widths(search, entry))
    for (const bias of entry.basisOnly ? [""] : [leaves.bias, ""]) {
      for (const basisBias of ["", leaves.basisBias]) {
        let count = 0;
        const described = { ...dataOf(entry), ...leaves, ...whole, name: "", output, bias, basisBias };
        const context = { fresh: (stem: string) => `\0${stem}.${count++}`, opset: search.opset, typeOf };
        const match = matchNodes(layoutNodes(described, entry.layout, context), output, end, search, open);
        if (match !== undefined) return match;
      }
    }
  return undefined;
}

/** In half precision filters are rebuilt in float32; version 0.1 rebuilt them as they are stored. */
function widths({ constant }: Search, entry: LayerRecord): readonly (undefined | (() => DataType))[] {
  const type = constant(entry.coefficients)?.type;
  const narrow = type === "float16" || type === "bfloat16";
  return narrow && entry.layout === "dense" ? [() => type, undefined] : [undefined];
}

function findWhole(search: Search, entry: LayerRecord, end: Node): Found | undefined {
  const match = hold(search, entry, end.outputs[0] ?? "");
  return match && { end, match, layerOutput: "" };
}

/** A batch norm, an activation and their like. */
const most = 8;

/** From the convolution with the coefficients back, over what stands between, to the convolution with the basis. */
function findPart(search: Search, entry: LayerRecord, layer: Node): Found | undefined {
  let value = layer.inputs[0] ?? "";
  for (let step = 0; step < most; step++) {
    const end = search.made.get(value);
    if (end === undefined) return undefined;
    const match = hold(search, entry, value);
    if (match !== undefined) return { end, match, layerOutput: layer.outputs[0] ?? "" };
    if (end.op === "Conv") return undefined;
    value = end.inputs[0] ?? "";
  }
  return undefined;
}

/** What the record says of a layer, without the names of values. */
function dataOf(entry: LayerRecord) {
  const [outChannels, inChannels, ...kernel] = entry.shape as [number, number, ...number[]];
  return {
    splits: entry.splits,
    basisSize: entry.basisSize,
    ...{ outChannels, inChannels, kernel },
    slice: entry.slice ?? null,
    attributes: attributesFromJson(entry.attributes),
  };
}

function nodeOf(
  { opset, graph }: Search,
  entry: LayerRecord,
  { end, match, layerOutput }: Found,
  method: string,
): Node {
  const value = (leaf: string): string => match.bound.get(leaf) ?? "";
  const { weight, error, shared, basisOnly = false } = entry;
  const layer = { name: entry.name, output: layerOutput, coefficients: entry.coefficients };
  const data: BasisConv = {
    ...dataOf(entry),
    name: basisOnly ? `${entry.name || layerOutput}/basis` : entry.name === "" ? "" : end.name || entry.name,
    input: value(leaves.input),
    output: end.outputs[0]!,
    basis: value(leaves.basis),
    coefficients: value(leaves.coefficients),
    bias: value(leaves.bias),
    basisBias: value(leaves.basisBias),
    layout: entry.layout,
    provenance: {
      method,
      error,
      weight,
      ...(shared === undefined ? {} : { shared }),
      ...(basisOnly ? { partOf: layer } : {}),
    },
  };
  return withWritten(makeBasisConv(data), writtenNodes(graph, match), opset);
}

/** The nodes that the layer was written as, in order, with the constants that only they need. */
function writtenNodes(graph: Graph, { nodes }: Match): readonly Node[] {
  const constants = new Set([...nodes].flatMap(({ inputs }) => inputs));
  const isOwn = (node: Node) =>
    nodes.has(node) || (node.op === "Constant" && node.outputs.some((value) => constants.has(value)));
  return graph.nodes.filter(isOwn);
}

// Layers whose filters are looked up in a codebook, as a graph has them; and undone: the filters that codebook and
// indices amount to become one weight again.
import { isError } from "../errors/error.js";
import { elementBytes, elements, readInt } from "../graph/attributes.js";
import { type GraphIndex, indexOf } from "../graph/graph-index.js";
import type { Graph, Node, Outcome, PassResult } from "../graph/types.js";
import { numbers } from "../graph/values.js";
import { storedBytes } from "../ops/cost/constants.js";
import { constantEvaluator } from "../passes/constant/evaluate.js";
import { type CodeRecord, readCodes, withCodeRecord } from "./code-record.js";
import type { CompressedLayer } from "./compressed-layers.js";
import type { Reconstructed } from "./method.js";
import { inPrecision, type Precision, storeFor } from "./store.js";

interface FoundCode {
  readonly code: CodeRecord;
  /** The convolution; before it the node that picks its input channels, where there is one. */
  readonly nodes: readonly [...Node[], Node];
  /** What the layer reads. */
  readonly input: string;
}

/** @throws FilterBasisError `malformed` for a record that cannot be used */
export function findCodes(
  graph: Graph,
): readonly (FoundCode | { readonly code: CodeRecord; readonly reason: string })[] {
  const codes = readCodes(graph);
  return codes.map((code) => findCode(code, indexOf(graph)) ?? { code, reason: changed });
}

const changed = "its nodes are not what the model's record says of it";

/** The reason why a graph's record of codebooks cannot be used; undefined where it can, or where there is none. */
export function codesFault(graph: Graph): string | undefined {
  try {
    readCodes(graph);
    return undefined;
  } catch (error) {
    if (isError(error, "malformed")) return error.problem;
    throw error;
  }
}

function findCode(code: CodeRecord, index: GraphIndex): FoundCode | undefined {
  const conv = index.producers.get(code.output) ?? movedConv(code, index);
  if (conv?.op !== "Conv" || conv.domain !== "" || readInt(conv, "group", 1) !== 1) return undefined;
  const roots = rootsOf(conv.inputs[1] ?? "", index);
  if (![...code.parameters, ...code.indices.map(({ name }) => name)].every((name) => roots.has(name))) return undefined;
  const input = conv.inputs[0] ?? "";
  if (code.selected === null) return { code, nodes: [conv], input };
  const pick = index.producers.get(input);
  if (pick?.op !== "Gather" || pick.domain !== "" || readInt(pick, "axis", 0) !== 1) return undefined;
  return index.root(pick.inputs[1] ?? "") === code.selected
    ? { code, nodes: [pick, conv], input: pick.inputs[0]! }
    : undefined;
}

/** The only convolution over these constants: it makes another value where a norm was folded into it. */
function movedConv({ parameters, indices }: CodeRecord, index: GraphIndex): Node | undefined {
  const names = [...parameters, ...indices.map(({ name }) => name)];
  const found = [...new Set(index.producers.values())].filter((node) => {
    if (node.op !== "Conv" || node.domain !== "") return false;
    const roots = rootsOf(node.inputs[1] ?? "", index);
    return names.every((name) => roots.has(name));
  });
  return found.length === 1 ? found[0] : undefined;
}

/** Everything beneath a value that no node makes. */
function rootsOf(value: string, { producers }: GraphIndex): ReadonlySet<string> {
  const roots = new Set<string>();
  const seen = new Set<string>();
  const open = [value];
  for (let next = open.pop(); next !== undefined; next = open.pop()) {
    if (seen.has(next)) continue;
    seen.add(next);
    const node = producers.get(next);
    if (node === undefined) roots.add(next);
    else open.push(...node.inputs);
  }
  return roots;
}

/** The filters [n, c, kernel] of a layer; channels that it does not read are 0. */
export function filtersOfCode(graph: Graph, compressed: CompressedLayer): Reconstructed {
  if (compressed.kind !== "code") return { reason: "its filters are not looked up in a codebook" };
  const found = findCode(compressed.code, indexOf(graph));
  return (found && decoded(found, graph, constantEvaluator(graph))) ?? { reason: changed };
}

function decoded(
  { code, nodes }: FoundCode,
  graph: Graph,
  evaluate: ReturnType<typeof constantEvaluator>,
): { readonly values: Float64Array } | undefined {
  const weight = evaluate(nodes.at(-1)!.inputs[1]!);
  const [n, c, ...kernel] = code.filters as readonly [number, number, ...number[]];
  const picked = code.selected === null ? undefined : indexOf(graph).stored(code.selected)?.tensor;
  const channels = code.selected === null ? Array.from({ length: c }, (_, j) => j) : picked && [...numbers(picked)];
  if (weight === undefined || channels === undefined) return undefined;
  if (`${weight.dims}` !== `${[n, channels.length, ...kernel]}`) return undefined;
  const area = elements(kernel);
  const [own, values] = [numbers(weight), new Float64Array(n * c * area)];
  for (let i = 0; i < n; i++)
    for (const [at, channel] of channels.entries()) {
      const from = (i * channels.length + at) * area;
      values.set(own.subarray(from, from + area), (i * c + channel) * area);
    }
  return { values };
}

/** The pass: every such layer gets filters of its own again. */
export function expandCodes(graph: Graph, precision: Precision = "stored"): PassResult {
  const found = findCodes(graph);
  if (found.length === 0) return { graph, outcomes: [] };
  const store = storeFor(graph);
  const evaluate = constantEvaluator(graph);
  const { stored } = indexOf(graph);
  const replacements = new Map<Node, readonly Node[]>();
  const outcomes: Outcome[] = [];
  const kept: CodeRecord[] = [];
  for (const one of found) {
    const { code } = one;
    const filters = "reason" in one ? undefined : decoded(one, graph, evaluate);
    const applied = filters !== undefined && !("reason" in one);
    const reason = applied ? `${code.description} -> dense ${code.filters.join("x")}` : changed;
    outcomes.push({ pass: "expand-codes", layer: code.name || code.output, applied, reason });
    if (!applied) {
      kept.push(code);
      continue;
    }
    const conv = one.nodes.at(-1)!;
    const type = stored(code.parameters[0]!)!.tensor.type;
    const types = inPrecision({ stored: type, read: readType(one, graph) ?? type }, precision);
    const weight = store.put(code.weight || `${code.name}.weight`, types, code.filters, filters.values);
    replacements.set(conv, [{ ...conv, inputs: [one.input, weight, ...conv.inputs.slice(2)] }]);
  }
  if (replacements.size === 0) return { graph, outcomes };
  return { graph: withCodeRecord(store.replace(graph, replacements), kept), outcomes };
}

/** The type that a layer computes in: that of the Cast behind its first parameter, where there is one. */
function readType({ code }: FoundCode, graph: Graph) {
  const { consumers, stored } = indexOf(graph);
  const [reader] = consumers.get(code.parameters[0]!) ?? [];
  return reader?.op === "Cast" ? stored(reader.outputs[0]!)?.type : undefined;
}

/** Bits of all constants of a model as stored, with indices into codebooks at the width that they need. */
export function storedBits(graph: Graph): number {
  const { stored } = indexOf(graph);
  let saved = 0;
  for (const code of findCodes(graph))
    if (!("reason" in code))
      for (const { name, bits } of code.code.indices) {
        const tensor = stored(name)?.tensor;
        if (tensor !== undefined) saved += elements(tensor.dims) * (8 * elementBytes[tensor.type] - bits);
      }
  return 8 * storedBytes(graph) - saved;
}

// What a file in eight bits says of itself: for which processor it was rounded and how, and which of its layers were
// compressed before. These are named as they are in the float network that is left without the roundings, which is the
// way back from eight bits: filters that are what the stored integers stand for.
import * as z from "zod/mini";
import { withMetadata } from "../graph/edit.js";
import { indexOf } from "../graph/graph-index.js";
import type { Graph, Node } from "../graph/types.js";
import { stripQuantization } from "../passes/quantize/strip.js";
import { type ChainRecord, chainKey, withChainRecord } from "./chain-record.js";
import { findChains } from "./find-chains.js";

/** Metadata that says in which precision a file computes. */
export const precisionKey = "filterbasis.precision";
/** The record of chains of the float network. */
const chainsKey = "filterbasis.precision.chains";

const lost = z.object({ name: z.string(), reason: z.string() });
const record = z.object({
  precision: z.literal("int8"),
  target: z.string(),
  ranges: z.string(),
  weights: z.string(),
  corrected: z.boolean(),
  equalised: z.boolean(),
  rotated: z.optional(z.boolean()),
  ordered: z.optional(z.boolean()),
  /** Compressed layers that the float network no longer tells of. */
  lost: z.optional(z.readonly(z.array(lost))),
});

export type LostLayer = z.infer<typeof lost>;
export type PrecisionRecord = z.infer<typeof record>;

/** Undefined where there is none, or one that cannot be read: nothing depends on it. */
export function readPrecision(graph: Graph): PrecisionRecord | undefined {
  const text = graph.metadata.get(precisionKey);
  if (text === undefined) return undefined;
  try {
    return record.safeParse(JSON.parse(text)).data;
  } catch {
    return undefined;
  }
}

/**
 * The graph in eight bits with its record. @param chains of the float network that was quantised, whose layers follow
 * each other as those of the graph do; @param told compressed layers that it had and no longer tells of
 */
export function withPrecision(
  quantized: Graph,
  how: Omit<PrecisionRecord, "precision" | "lost">,
  float: Graph,
  chains: readonly ChainRecord[],
  told: readonly LostLayer[],
): Graph {
  const { kept, gone } = chainsInFloats(chains, float, stripQuantization(quantized).graph);
  const all = [...told, ...gone];
  const text: PrecisionRecord = { precision: "int8", ...how, ...(all.length === 0 ? {} : { lost: all }) };
  const recorded = withChainRecord(quantized, kept).metadata.get(chainKey);
  return withMetadata(quantized, { [precisionKey]: JSON.stringify(text), [chainsKey]: recorded });
}

/**
 * The float network that a graph in eight bits of ours is without its roundings, with its chains; others as they are.
 */
export function inFloats(graph: Graph): Graph {
  if (readPrecision(graph) === undefined) return graph;
  const { graph: floats } = stripQuantization(graph);
  const chains = graph.metadata.get(chainsKey);
  return withMetadata(floats, { [precisionKey]: undefined, [chainsKey]: undefined, [chainKey]: chains });
}

const isLayer = ({ op, domain }: Node): boolean => domain === "" && ["Conv", "Gemm", "MatMul"].includes(op);

function chainsInFloats(chains: readonly ChainRecord[], float: Graph, floats: Graph) {
  const [before, after] = [float.nodes.filter(isLayer), floats.nodes.filter(isLayer)];
  const [from, to] = [indexOf(float), indexOf(floats)];
  const names = new Map<string, string>();
  for (const [i, node] of before.entries()) {
    const other = after[i];
    if (other === undefined || before.length !== after.length) break;
    names.set(from.root(node.inputs[1] ?? ""), to.root(other.inputs[1] ?? ""));
    names.set(node.outputs[0] ?? "", other.outputs[0] ?? "");
  }
  const named = (name: string): string => names.get(name) ?? name;
  const renamed = chains.map((chain) => ({
    ...chain,
    output: named(chain.output),
    weights: chain.weights.map(named),
  }));
  const kept: ChainRecord[] = [];
  const gone: LostLayer[] = [];
  for (const found of findChains(withChainRecord(floats, renamed))) {
    const { chain } = found;
    if ("reason" in found) gone.push({ name: chain.name || chain.output, reason: found.reason });
    else kept.push(chain);
  }
  return { kept, gone };
}

/** Layers of a graph by the precision that they compute in. */
export interface LayerPrecisions {
  readonly int8: readonly Node[];
  readonly float: readonly Node[];
}

const integerOps = new Set(["QLinearConv", "ConvInteger", "QLinearMatMul", "MatMulInteger", "QGemm"]);

/** Nodes with stored weights: in eight bits where both what they read and their weight are widened before them. */
export function layerPrecisions(graph: Graph): LayerPrecisions {
  const { producers, stored } = indexOf(graph);
  const widened = (value: string | undefined): boolean => producers.get(value ?? "")?.op === "DequantizeLinear";
  const int8: Node[] = [];
  const float: Node[] = [];
  for (const node of graph.nodes) {
    if (integerOps.has(node.op)) int8.push(node);
    else if (isLayer(node) && stored(node.inputs[1] ?? "") !== undefined)
      (widened(node.inputs[0]) && widened(node.inputs[1]) ? int8 : float).push(node);
    else if (node.op === "BasisConv") float.push(node);
  }
  return { int8, float };
}

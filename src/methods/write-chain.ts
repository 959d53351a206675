// Factors into a graph: every layer as a chain of ordinary nodes with its entry in the record of chains.
import { type Factors, type Stage, storedRepeats, weightsOf } from "../basis/factors.js";
import { int, makeNode } from "../graph/attributes.js";
import { indexOf } from "../graph/graph-index.js";
import type { Graph, Node } from "../graph/types.js";
import { numbers } from "../graph/values.js";
import type { ChainLayer } from "./chain-layers.js";
import { type ChainRecord, readChains, withChainRecord } from "./chain-record.js";
import { attributesToJson } from "./record.js";
import { stageAttributes } from "./stage-window.js";
import { type Store, storeFor } from "./store.js";

export interface WrittenChain {
  readonly layer: ChainLayer;
  readonly factors: Factors;
  /** The share of the filters' squared norm that is lost. */
  readonly lost: number;
  /** New ones, for each node; absent where they stay. */
  readonly bias?: readonly Float64Array[];
}

/** The graph with these layers as chains. Filters that several nodes read become stages that all of them read. */
export function writeLayerChains(graph: Graph, written: readonly WrittenChain[], method: string): Graph {
  const store = storeFor(graph);
  const replacements = new Map<Node, readonly Node[]>();
  const records: ChainRecord[] = [];
  for (const { layer, factors, lost, bias: biases } of written) {
    const parts = storeParts(layer, factors, store);
    for (const [i, { node }] of layer.layer.nodes.entries()) {
      const own = biases?.[i];
      const bias =
        own === undefined ? biasFor(node.inputs[2] ?? "", factors, graph, store) : newBias(layer, own, store);
      const nodes = chainNodes(layer, node, factors.stages, parts, bias, store.fresh);
      replacements.set(node, i === 0 ? [...parts.tiles, ...nodes] : nodes);
      const { family, splits, clusters, ranks } = factors.candidate;
      records.push({
        ...{ name: node.name, kind: "conv", output: node.outputs[0]!, family, ranks: [...ranks], method },
        ...(splits === undefined ? {} : { splits }),
        ...(clusters === undefined ? {} : { clusters: [...clusters] }),
        ...(parts.orders.some((name) => name !== null) ? { orders: parts.orders } : {}),
        ...{ shape: layer.shape, axes: layer.axes, weights: parts.weights, weight: layer.layer.weightName },
        ...{ attributes: attributesToJson(node.attributes), error: lost },
      });
    }
  }
  const replaced = store.replace(graph, replacements);
  return withChainRecord(replaced, [...readChains(replaced), ...records]);
}

interface Parts {
  /** Initializers of the stages. */
  readonly weights: readonly string[];
  /** What the stages read: these, or what repeats them. */
  readonly values: readonly string[];
  readonly tiles: readonly Node[];
  readonly orders: readonly (string | null)[];
}

function storeParts(layer: ChainLayer, { stages, candidate, shape }: Factors, store: Store): Parts {
  const { weightName, weight, type } = layer.layer;
  const types = { stored: weight.type, read: type };
  const repeats = storedRepeats(candidate, shape);
  const tiles: Node[] = [];
  const weights: string[] = [];
  const values = stages.map((stage, i) => {
    const times = repeats[i] ?? 1;
    const out = stage.out / times;
    const dims = [out, stage.in / stage.groups, ...stage.kernel.slice(2 - layer.axes)];
    const value = store.put(
      `${weightName}.${i + 1}`,
      types,
      dims,
      stage.weight.subarray(0, stage.weight.length / times),
    );
    weights.push(store.rootOf(value));
    if (times === 1) return value;
    const repeated = store.fresh(`${weightName}.${i + 1}.repeated`);
    const counts = store.put(
      `${weightName}.${i + 1}.repeats`,
      integers,
      [dims.length],
      dims.map((_, axis) => (axis === 0 ? times : 1)),
    );
    tiles.push(makeNode("Tile", [value, counts], [repeated], {}, { name: repeated }));
    return repeated;
  });
  const orders = (candidate.orders ?? []).map(
    (order, i) => order && store.put(`${weightName}.order.${i + 1}`, integers, [order.length], order),
  );
  return { weights, values, tiles, orders };
}

const integers = { stored: "int64", read: "int64" } as const;

function newBias({ layer: { weightName, type } }: ChainLayer, values: Float64Array, store: Store): string {
  const stem = weightName.replace(/\.weight$/, "");
  return store.put(`${stem}.bias`, { stored: type, read: type }, [values.length], values);
}

/** The bias in the order in which the last stage has the filters. */
function biasFor(bias: string, { candidate, stages }: Factors, graph: Graph, store: Store): string {
  const back = candidate.orders?.[stages.length] ?? null;
  if (back === null || bias === "") return bias;
  const stored = indexOf(graph).stored(bias);
  if (stored === undefined) return bias;
  const values = numbers(stored.tensor);
  const placed = new Float64Array(values.length);
  for (const [filter, place] of back.entries()) placed[place] = values[filter]!;
  return store.put(`${bias}.clustered`, { stored: stored.tensor.type, read: stored.type }, stored.tensor.dims, placed);
}

function chainNodes(
  { window, axes }: ChainLayer,
  node: Node,
  stages: readonly Stage[],
  { values, orders }: Parts,
  bias: string,
  fresh: Store["fresh"],
): readonly Node[] {
  const [name, output] = [node.name || node.outputs[0]!, node.outputs[0]!];
  const nodes: Node[] = [];
  let value = node.inputs[0]!;
  const reorder = (at: number): void => {
    const indices = orders[at] ?? null;
    if (indices === null) return;
    const target = at === stages.length ? output : fresh(`${output}.order.${at + 1}`);
    nodes.push(
      makeNode("Gather", [value, indices], [target], { axis: int(1) }, { name: fresh(`${name}.order.${at + 1}`) }),
    );
    value = target;
  };
  for (const [i, stage] of stages.entries()) {
    reorder(i);
    const last = i === stages.length - 1;
    const target = last && (orders[stages.length] ?? null) === null ? output : fresh(`${output}.${i + 1}`);
    const inputs = [value, values[i]!, ...(last && bias !== "" ? [bias] : [])];
    nodes.push(
      makeNode("Conv", inputs, [target], stageAttributes(window, stage, axes), { name: fresh(`${name}.${i + 1}`) }),
    );
    value = target;
  }
  reorder(stages.length);
  return nodes;
}

/** What was done, in a sentence. */
export function chainSentence({ layer, factors, lost }: WrittenChain): string {
  const { n, c, kernel } = layer.shape;
  const { family, ranks, clusters } = factors.candidate;
  const parts = clusters === undefined ? "" : ` over ${clusters[0]} x ${clusters[1]} blocks`;
  const [before, after] = [n * c * kernel[0] * kernel[1], weightsOf(factors.candidate, factors.shape)];
  const grows = after > before ? "; warning: it grows" : "";
  return `${family} ${ranks.join(", ")}${parts}, ${before} -> ${after} weights${grows}, relative error ${Math.sqrt(lost).toPrecision(3)}`;
}

// Codebooks into a graph: the convolution stays, its weight is computed from codebook and indices by ordinary nodes,
// which a runtime computes once when it loads the model. So the file holds codebook and indices alone, and the model is
// as fast as the original. (Stored dense, it would be as large as that.) Indices take whole bytes in the file: packed
// to their true width they would save an eighth of themselves at 128 kernels, for a chain of shifts and masks at load.
import { int, makeNode } from "../graph/attributes.js";
import type { Graph, Node } from "../graph/types.js";
import type { ChainLayer } from "./chain-layers.js";
import { type CodeRecord, readCodes, withCodeRecord } from "./code-record.js";
import { type Store, type StoredAs, storeFor } from "./store.js";

/** Nodes and tensors in the making, for one model. */
export interface CodeBuilder extends Pick<Store, "put" | "fresh" | "rootOf"> {
  /** A node before the layer that is written; the value that it makes. */
  node(op: string, inputs: readonly string[], stem: string, attributes?: Parameters<typeof makeNode>[3]): string;
  /** Indices in as few bytes as they fit into, read as int64: the value, the initializer. */
  indices(
    stem: string,
    dims: readonly number[],
    values: ArrayLike<number>,
  ): { readonly value: string; readonly name: string };
}

export interface WrittenCode {
  readonly layer: ChainLayer;
  /** The value of the weight, and what the record says of it. */
  build(builder: CodeBuilder): Pick<CodeRecord, "parameters" | "indices"> & { readonly weight: string };
  /** Input channels that are read, in order; absent where all are. */
  readonly selected?: readonly number[];
  readonly about: Pick<CodeRecord, "description" | "paperMacs" | "error">;
}

export function writeCodes(graph: Graph, written: readonly WrittenCode[], method: CodeRecord["method"]): Graph {
  const store = storeFor(graph);
  const replacements = new Map<Node, readonly Node[]>();
  const records: CodeRecord[] = [];
  let nodes: Node[] = [];
  const builder = builderFor(store, (node) => nodes.push(node));
  for (const { layer, build, selected, about } of written) {
    nodes = [];
    const { weight, parameters, indices } = build(builder);
    const { weightName, nodes: readers, outChannels, inChannels, kernel } = layer.layer;
    const picked = selected && store.put(`${weightName}.selected`, asIndices, [selected.length], selected);
    for (const { node } of readers) {
      const input =
        picked === undefined
          ? node.inputs[0]!
          : builder.node("Gather", [node.inputs[0]!, picked], `${node.outputs[0]}.selected`, { axis: int(1) });
      replacements.set(node, [...nodes, { ...node, inputs: [input, weight, ...node.inputs.slice(2)] }]);
      nodes = [];
      records.push({
        ...{ name: node.name, output: node.outputs[0]!, method, filters: [outChannels, inChannels, ...kernel] },
        ...{ weight: weightName, parameters: [...parameters], indices: [...indices], selected: picked ?? null },
        ...about,
      });
    }
  }
  const replaced = store.replace(graph, replacements);
  return withCodeRecord(replaced, [...readCodes(replaced), ...records]);
}

const asIndices: StoredAs = { stored: "int64", read: "int64" };

function builderFor(store: Store, add: (node: Node) => void): CodeBuilder {
  return {
    ...store,
    node(op, inputs, stem, attributes = {}) {
      const value = store.fresh(stem);
      add(makeNode(op, [...inputs], [value], attributes, { name: value }));
      return value;
    },
    indices(stem, dims, values) {
      const most = Array.prototype.reduce.call(values, (a, b) => Math.max(a as number, b as number), 0) as number;
      const stored = most < 2 ** 8 ? "uint8" : most < 2 ** 16 ? "uint16" : "uint32";
      const value = store.put(stem, { stored, read: "int64" }, dims, values);
      return { value, name: store.rootOf(value) };
    },
  };
}

/** Bits of an index into so many. */
export const indexBits = (count: number): number => Math.ceil(Math.log2(Math.max(1, count)));

// A graph in the course of many small rewrites: who makes and who reads each value is kept up, not found anew for each.
import { constantLookup } from "../graph/constants.js";
import { freshNames, reads } from "../graph/edit.js";
import { indexOf } from "../graph/graph-index.js";
import type { Graph, Node, TensorData } from "../graph/types.js";
import { dropUnread } from "./remove-unread.js";

/** The graph itself is never changed; `result` makes the new one. */
export class Rewriting {
  readonly made: Map<string, Node>;
  /** In no particular order. */
  readonly readers: Map<string, Set<Node>>;
  readonly initializers: Map<string, TensorData>;
  readonly outputs: ReadonlySet<string>;
  readonly constant: (name: string) => TensorData | undefined;
  readonly fresh: (stem: string) => string;
  /** Of the standard operators. */
  readonly opset: number;
  readonly #graph: Graph;
  /** What stands in the place of each node of the graph that changed, and the way back. */
  readonly #now = new Map<Node, Node | undefined>();
  readonly #original = new Map<Node, Node>();
  /** Values that may have lost their last reader. */
  readonly #touched = new Set<string>();

  constructor(graph: Graph) {
    this.#graph = graph;
    const { producers, consumers, outputs } = indexOf(graph);
    this.made = new Map(producers);
    this.readers = new Map([...consumers].map(([value, nodes]) => [value, new Set(nodes)]));
    this.initializers = new Map(graph.initializers);
    this.outputs = outputs;
    this.constant = constantLookup(this.initializers, this.made);
    this.fresh = freshNames(graph);
    this.opset = graph.opsets.get("") ?? 1;
  }

  /** Is a value read by exactly one node, and no output of the graph? */
  readByOne(value: string): boolean {
    return this.readers.get(value)?.size === 1 && !this.outputs.has(value);
  }

  /**
   * The value at which a stored constant begins: an initializer or the output of a Constant node, behind any Identity.
   */
  rootOf(value: string): string {
    let root = value;
    for (let node = this.made.get(root); node?.op === "Identity" && node.domain === ""; node = this.made.get(root))
      root = node.inputs[0] ?? "";
    return root;
  }

  /**
   * The nodes that read a value, themselves or through Identity, each once; undefined where an output of the graph is
   * among them, or a node that is not among those `allowed`.
   */
  endReaders(value: string, allowed?: ReadonlySet<Node>): readonly Node[] | undefined {
    const found = new Set<Node>();
    const open = [value];
    for (let next = open.pop(); next !== undefined; next = open.pop()) {
      if (this.outputs.has(next)) return undefined;
      for (const reader of this.readers.get(next) ?? []) {
        if (reader.op === "Identity" && reader.domain === "") open.push(...reader.outputs);
        else if (allowed?.has(reader) === false) return undefined;
        else found.add(reader);
      }
    }
    return [...found];
  }

  /**
   * Puts `node` in the place of `old`, takes `removed` out, adds constants. What nothing reads any more goes at the
   * end.
   */
  replace(old: Node, node: Node, removed: Node, added: ReadonlyMap<string, TensorData>): void {
    const place = this.#original.get(old) ?? old;
    this.#now.set(place, node);
    this.#original.set(node, place);
    this.#now.set(this.#original.get(removed) ?? removed, undefined);
    for (const [name, tensor] of added) this.initializers.set(name, tensor);
    for (const leaving of [old, removed]) {
      for (const value of reads(leaving)) {
        this.#touched.add(value);
        this.readers.get(value)?.delete(leaving);
      }
      for (const output of leaving.outputs) this.made.delete(output);
    }
    for (const value of reads(node)) this.readers.set(value, (this.readers.get(value) ?? new Set()).add(node));
    for (const output of node.outputs) this.made.set(output, node);
  }

  /** The graph as it is now; the very same where nothing was replaced. */
  result(): Graph {
    if (this.#now.size === 0) return this.#graph;
    const nodes = this.#graph.nodes.flatMap((node) => (this.#now.has(node) ? (this.#now.get(node) ?? []) : [node]));
    const made = new Set(nodes.flatMap(({ outputs }) => outputs));
    const gone = new Set(this.#graph.nodes.flatMap(({ outputs }) => outputs.filter((output) => !made.has(output))));
    const values = new Map([...this.#graph.values].filter(([value]) => !gone.has(value)));
    return dropUnread({ ...this.#graph, nodes, values, initializers: this.initializers }, this.#touched);
  }
}

// A graph in the course of many small rewrites: who makes and who reads each value is kept up, not found anew for each.
import { constantLookup } from "../graph/constants.js";
import { consumers, freshNames, producers, reads } from "../graph/edit.js";
import type { Graph, Node, TensorData } from "../graph/types.js";

/** The graph itself is never changed; `result` makes the new one. */
export class Rewriting {
  readonly made: Map<string, Node>;
  readonly readers: Map<string, readonly Node[]>;
  readonly initializers: Map<string, TensorData>;
  readonly outputs: ReadonlySet<string>;
  readonly constant: (name: string) => TensorData | undefined;
  readonly fresh: (stem: string) => string;
  readonly #graph: Graph;
  /** What stands in the place of each node of the graph that changed, and the way back. */
  readonly #now = new Map<Node, Node | undefined>();
  readonly #original = new Map<Node, Node>();
  readonly #gone = new Set<string>();

  constructor(graph: Graph) {
    this.#graph = graph;
    this.made = new Map(producers(graph));
    this.readers = new Map(consumers(graph));
    this.initializers = new Map(graph.initializers);
    this.outputs = new Set(graph.outputs.map((output) => output.name));
    this.constant = constantLookup(this.initializers, this.made);
    this.fresh = freshNames(graph);
  }

  /** Is a value read by exactly one node, and no output of the graph? */
  readByOne(value: string): boolean {
    return this.readers.get(value)?.length === 1 && !this.outputs.has(value);
  }

  /** Puts `node` in the place of `old`, takes `removed` out, adds constants and drops those that nothing reads any more. */
  replace(old: Node, node: Node, removed: Node, added: ReadonlyMap<string, TensorData>): void {
    const place = this.#original.get(old) ?? old;
    this.#now.set(place, node);
    this.#original.set(node, place);
    this.#now.set(this.#original.get(removed) ?? removed, undefined);
    for (const [name, tensor] of added) this.initializers.set(name, tensor);
    for (const leaving of [old, removed]) {
      for (const value of reads(leaving))
        this.readers.set(
          value,
          (this.readers.get(value) ?? []).filter((reader) => reader !== leaving),
        );
      for (const output of leaving.outputs) this.made.delete(output);
    }
    for (const value of reads(node)) this.readers.set(value, [...(this.readers.get(value) ?? []), node]);
    for (const output of node.outputs) this.made.set(output, node);
    for (const value of [...old.inputs, ...removed.inputs, ...old.outputs, ...removed.outputs]) {
      if (this.made.has(value) || this.outputs.has(value) || (this.readers.get(value) ?? []).length > 0) continue;
      this.initializers.delete(value);
      this.#gone.add(value);
    }
  }

  /** The graph as it is now; the very same where nothing was replaced. */
  result(): Graph {
    if (this.#now.size === 0) return this.#graph;
    const { nodes, inputs, values, initializers } = this.#graph;
    return {
      ...this.#graph,
      nodes: nodes.flatMap((node) => (this.#now.has(node) ? (this.#now.get(node) ?? []) : [node])),
      initializers: this.initializers,
      inputs: inputs.filter((input) => !(initializers.has(input.name) && this.#gone.has(input.name))),
      values: new Map([...values].filter(([value]) => !this.#gone.has(value))),
    };
  }
}

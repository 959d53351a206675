// Where a network narrows to one value: between two such places lies a block (of a residual network its blocks, of a
// chain its layers), which can learn by itself to make what the original's makes.
import type { Dim, Graph } from "../graph/types.js";
import { isFloat } from "../graph/values.js";
import type { CalibratedLayer } from "./layers.js";
import { liveAt, type Types } from "./segment.js";

export interface Block {
  readonly layers: readonly CalibratedLayer[];
  /** The value that the block begins with; none for the first, which begins with the inputs of the network. */
  readonly from: readonly string[];
  /**
   * What the block makes: the value that the next one begins with, and the outputs of the network that are made in it.
   */
  readonly to: readonly string[];
}

/** The blocks in the order of the graph; every layer is in one. */
export function blocksOf(
  graph: Graph,
  layers: readonly CalibratedLayer[],
  moving: ReadonlySet<string>,
  types: Types,
): readonly Block[] {
  const place = new Map(graph.nodes.map((node, at) => [node, at]));
  const at = layers.map(({ nodes }) => place.get(nodes[0]!.node)!);
  const isOutput = (name: string): boolean => moving.has(name) && isFloat(types.get(name)?.type ?? "int64");
  const outputs = new Set(graph.outputs.map(({ name }) => name).filter(isOutput));
  const made = (first: number, end: number): readonly string[] =>
    graph.nodes.slice(first, end).flatMap((node) => node.outputs.filter((name) => outputs.has(name)));
  const blocks: Block[] = [];
  let [from, present, begin]: [readonly string[], CalibratedLayer[], number] = [[], [], 0];
  for (const [i, layer] of layers.entries()) {
    const narrow = i === 0 ? undefined : narrowBetween(graph, at[i - 1]! + 1, at[i]!, moving, types);
    if (narrow !== undefined) {
      const { value, position } = narrow;
      blocks.push({ layers: present, from, to: [...new Set([value, ...made(begin, position)])] });
      [from, present, begin] = [[value], [], position];
    }
    present.push(layer);
  }
  return present.length === 0 ? blocks : [...blocks, { layers: present, from, to: made(begin, graph.nodes.length) }];
}

interface Narrow {
  readonly value: string;
  readonly position: number;
}

/**
 * The place between two layers where one value alone is read further on: of several the one with the largest value,
 * which says most (before a pool), and of these the last (behind the activation).
 */
function narrowBetween(
  graph: Graph,
  first: number,
  last: number,
  moving: ReadonlySet<string>,
  types: Types,
): Narrow | undefined {
  let found: (Narrow & { readonly size: number }) | undefined;
  for (let position = last; position >= first; position--) {
    const live = liveAt(graph, position, moving, types);
    if (live?.length !== 1) continue;
    const size = sizeOf(types.get(live[0]!)?.dims);
    if (found === undefined || size > found.size) found = { value: live[0]!, position, size };
  }
  return found;
}

/** Elements of one image; an axis that is not known counts as a large one. */
const sizeOf = (dims: readonly Dim[] = []): number =>
  dims.slice(1).reduce<number>((product, dim) => product * (typeof dim === "number" ? dim : 1024), 1);

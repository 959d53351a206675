// Which convolutions may share a basis, found from the graph: those of a residual block, those of a group (the same
// input resolution, channels and kernel), or all of the network with one kernel.
import { nodeName } from "../graph/attributes.js";
import type { Dim, Graph, Node } from "../graph/types.js";
import { concreteInputs } from "../ops/cost/cost.js";
import { inferShapes } from "../ops/infer.js";
import type { Layer } from "./layers.js";

export const shares = ["none", "block", "group", "network"] as const;
export type Share = (typeof shares)[number];

/** What of a layer decides with which others it may share. */
type Sharing = Pick<Layer, "inChannels" | "kernel"> & { readonly nodes: readonly { readonly node: Node }[] };

/** Layers that share one basis; `name` is unique. A layer alone is in no set. */
export interface SharingSet<L> {
  readonly name: string;
  readonly layers: readonly L[];
}

/**
 * Finds the sets. `none`: none. `block`: convolutions of one residual block with the same kernel and input channels.
 * `group`: with the same kernel, input channels and input resolution, anywhere in the network; a convolution that
 * lowers the resolution so belongs to the group it reads from, as in the authors' ResNet. `network`: with the same
 * kernel.
 */
export function sharingSets<L extends Sharing>(
  graph: Graph,
  layers: readonly L[],
  share: Share,
  inputs: ReadonlyMap<string, readonly Dim[]> = new Map(),
): readonly SharingSet<L>[] {
  if (share === "none") return [];
  const keys =
    // Layers that read the image itself (1 to 4 channels) would force tiny splits on a whole network.
    share === "network"
      ? ({ inChannels }: Sharing) => (inChannels > 4 ? "network" : undefined)
      : share === "group"
        ? resolutionKeys(graph, inputs)
        : blockKeys(graph, layers);
  const sets = new Map<string, L[]>();
  for (const layer of layers) {
    const key = keys(layer);
    if (key === undefined) continue;
    const whole = `${key} ${layer.kernel.join("x")} ${share === "network" ? "" : layer.inChannels}`;
    sets.set(whole, [...(sets.get(whole) ?? []), layer]);
  }
  const shared = [...sets.values()].filter((set) => set.length > 1);
  return shared.map((set, index) => ({ name: `${share}${index + 1}`, layers: set }));
}

/** Resolution of a layer's input, as text; one whose shape is not known is in no group. */
function resolutionKeys(
  graph: Graph,
  inputs: ReadonlyMap<string, readonly Dim[]>,
): (layer: Sharing) => string | undefined {
  const shapes = inferShapes(graph, concreteInputs(graph, inputs));
  return ({ nodes }) => {
    const dims = shapes.get(nodes[0]!.node.inputs[0] ?? "")?.dims?.slice(2);
    return dims?.every((dim) => typeof dim === "number") ? dims.join("x") : undefined;
  };
}

/** The smallest residual block that holds a layer and another one: its sum's name. */
function blockKeys(graph: Graph, layers: readonly Sharing[]): (layer: Sharing) => string | undefined {
  const blocks = residualBlocks(graph);
  const wanted = new Set(layers.flatMap(({ nodes }) => nodes.map(({ node }) => node)));
  const sized = blocks
    .map(({ sum, inside }) => ({ sum, inside: new Set([...inside].filter((node) => wanted.has(node))) }))
    .filter(({ inside }) => inside.size > 0);
  sized.sort((a, b) => a.inside.size - b.inside.size);
  return ({ nodes }) => {
    const block = sized.find(({ inside }) => nodes.every(({ node }) => inside.has(node)));
    return block && nodeName(block.sum);
  };
}

interface ResidualBlock {
  readonly sum: Node;
  /** The nodes between the value where the two branches part and the sum. */
  readonly inside: ReadonlySet<Node>;
}

/** Every Add of two computed values whose branches come from one value, with the nodes between. */
export function residualBlocks(graph: Graph): readonly ResidualBlock[] {
  const position = new Map<string, number>();
  for (const { name } of graph.inputs) if (!graph.initializers.has(name)) position.set(name, -1);
  for (const [index, node] of graph.nodes.entries())
    for (const output of node.outputs) if (output !== "") position.set(output, index);
  const blocks: ResidualBlock[] = [];
  for (const node of graph.nodes) {
    const [a, b] = node.inputs;
    if (node.op !== "Add" || node.domain !== "" || a === undefined || b === undefined || a === b) continue;
    const inside = betweenBranches(graph, position, a, b);
    if (inside !== undefined)
      blocks.push({ sum: node, inside: new Set([...inside].map((index) => graph.nodes[index]!)) });
  }
  return blocks;
}

/**
 * The nodes, by index, between two values and the last value that both come from; undefined where there is none.
 * Both are followed back together, latest first, so that the first value that both have reached is that one.
 */
function betweenBranches(
  graph: Graph,
  position: ReadonlyMap<string, number>,
  a: string,
  b: string,
): ReadonlySet<number> | undefined {
  const sides = new Map<string, number>(); // 1: a comes from it, 2: b does
  const waiting = [0, 0, 0, 0]; // values to be followed, by their sides
  const reach = (value: string, side: number): void => {
    const at = position.get(value);
    const op = at === undefined ? "Constant" : graph.nodes[at]?.op;
    if (op === "Shape" || op === "Constant") return; // sizes, not data
    const before = sides.get(value) ?? 0;
    if (before !== 0) waiting[before]!--;
    sides.set(value, before | side);
    waiting[before | side]!++;
  };
  reach(a, 1);
  reach(b, 2);
  const inside = new Set<number>();
  // Where nothing of one side waits any more, the other side alone goes on to no end.
  const mayMeet = () => waiting[3]! > 0 || (waiting[1]! > 0 && waiting[2]! > 0);
  for (let at = Math.max(position.get(a) ?? -1, position.get(b) ?? -1); at >= 0 && mayMeet(); at--) {
    const reached = graph.nodes[at]!.outputs.filter((output) => sides.has(output));
    if (reached.some((output) => sides.get(output) === 3)) return inside;
    for (const output of reached) {
      const side = sides.get(output)!;
      waiting[side]!--;
      for (const input of graph.nodes[at]!.inputs) reach(input, side);
    }
    if (reached.length > 0) inside.add(at);
  }
  return waiting[3]! > 0 ? inside : undefined;
}

// Which convolutions may share a basis, found from the graph: those of a residual block, those of a group (the same input
// resolution, channels and kernel), or all of the network with one kernel.
import { siteName } from "../graph/attributes.js";
import { concreteInputs } from "../graph/cost.js";
import { inferShapes } from "../graph/shapes/infer.js";
import type { Dim, Graph, Node } from "../graph/types.js";
import type { Layer } from "./layers.js";

export const shares = ["none", "block", "group", "network"] as const;
export type Share = (typeof shares)[number];

/** Layers that share one basis; `name` is unique. A layer alone is in no set. */
export interface SharingSet {
  readonly name: string;
  readonly layers: readonly Layer[];
}

/**
 * Finds the sets. `none`: none. `block`: convolutions of one residual block with the same kernel and input channels. `group`:
 * with the same kernel, input channels and input resolution, anywhere in the network; a convolution that lowers the
 * resolution so belongs to the group it reads from, as in the authors' ResNet. `network`: with the same kernel.
 */
export function sharingSets(
  graph: Graph,
  layers: readonly Layer[],
  share: Share,
  inputs: ReadonlyMap<string, readonly Dim[]> = new Map(),
): readonly SharingSet[] {
  if (share === "none") return [];
  const keys =
    // Layers that read the picture itself (1 to 4 channels) would force tiny splits on a whole network.
    share === "network"
      ? ({ inChannels }: Layer) => (inChannels > 4 ? "network" : undefined)
      : share === "group"
        ? resolutionKeys(graph, inputs)
        : blockKeys(graph, layers);
  const sets = new Map<string, Layer[]>();
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
function resolutionKeys(graph: Graph, inputs: ReadonlyMap<string, readonly Dim[]>): (layer: Layer) => string | undefined {
  const shapes = inferShapes(graph, concreteInputs(graph, inputs));
  return ({ nodes }) => {
    const dims = shapes.get(nodes[0]!.node.inputs[0] ?? "")?.dims?.slice(2);
    return dims?.every((dim) => typeof dim === "number") ? dims.join("x") : undefined;
  };
}

/** The smallest residual block that holds a layer and another one: its sum's name. */
function blockKeys(graph: Graph, layers: readonly Layer[]): (layer: Layer) => string | undefined {
  const blocks = residualBlocks(graph);
  const wanted = new Set(layers.flatMap(({ nodes }) => nodes.map(({ node }) => node)));
  const sized = blocks.map(({ sum, inside }) => ({ sum, inside: new Set([...inside].filter((node) => wanted.has(node))) }));
  sized.sort((a, b) => a.inside.size - b.inside.size);
  return ({ nodes }) => {
    const block = sized.find(({ inside }) => nodes.every(({ node }) => inside.has(node)));
    return block && siteName(block.sum);
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
  for (const [index, node] of graph.nodes.entries())
    for (const output of node.outputs) if (output !== "") position.set(output, index);
  const inputs = new Set(graph.inputs.filter(({ name }) => !graph.initializers.has(name)).map(({ name }) => name));
  const blocks: ResidualBlock[] = [];
  for (const node of graph.nodes) {
    const [a, b] = node.inputs;
    if (node.op !== "Add" || node.domain !== "" || a === undefined || b === undefined || a === b) continue;
    const one = ancestors(graph, position, inputs, a);
    const two = ancestors(graph, position, inputs, b);
    const common = [...one].filter((value) => two.has(value));
    if (common.length === 0) continue;
    // The branches part at the last value that both come from: everything after it, up to the sum, is the block.
    const start = Math.max(...common.map((value) => position.get(value) ?? -1));
    const between = [...one, ...two].map((value) => position.get(value) ?? -1).filter((index) => index > start);
    blocks.push({ sum: node, inside: new Set(between.map((index) => graph.nodes[index]!)) });
  }
  return blocks;
}

/** The value and all values of the data path that it is computed from (constants are none). */
function ancestors(
  graph: Graph,
  position: ReadonlyMap<string, number>,
  inputs: ReadonlySet<string>,
  value: string,
): ReadonlySet<string> {
  const found = new Set<string>();
  const queue = [value];
  for (let next = queue.pop(); next !== undefined; next = queue.pop()) {
    const index = position.get(next);
    if (found.has(next) || (index === undefined && !inputs.has(next))) continue;
    const node = index === undefined ? undefined : graph.nodes[index]!;
    if (node?.op === "Shape" || node?.op === "Constant") continue; // sizes, not data
    found.add(next);
    if (node) queue.push(...node.inputs);
  }
  return found;
}

// What channels are worth by the weights of the layers that make and read them.
import { elements } from "../graph/attributes.js";
import { indexOf } from "../graph/graph-index.js";
import type { Graph } from "../graph/types.js";
import { numbers } from "../graph/values.js";
import type { ChannelGraph } from "./channel-classes.js";
import type { Channels } from "./channel-walk.js";

/** The sums of absolute values of a weight along the axis that holds these channels, one for each position. */
function absoluteSums(graph: Graph, root: string, axis: number, channels: Channels): Float64Array | undefined {
  const tensor = indexOf(graph).stored(root)?.tensor;
  if (tensor === undefined) return undefined;
  const width = elements(tensor.dims.slice(axis + 1)) * (channels.inner ?? 1);
  const sums = new Float64Array(channels.ids.length);
  for (const [at, value] of numbers(tensor).entries()) {
    const place = Math.floor(at / width) % sums.length;
    sums[place] = sums[place]! + Math.abs(value);
  }
  return sums;
}

function summed(
  graph: Graph,
  found: ChannelGraph,
  side: "to" | "from",
  scale: (sums: Float64Array) => number,
): ReadonlyMap<number, number> {
  const scores = new Map<number, number>();
  for (const layer of found.walk.layers) {
    const channels = layer[side];
    const sums = channels && absoluteSums(graph, layer.root, layer.axes[side], channels);
    if (channels === undefined || sums === undefined) continue;
    const by = scale(sums);
    for (const [place, position] of channels.ids.entries()) {
      const id = found.walk.find(position);
      scores.set(id, (scores.get(id) ?? 0) + sums[place]! / by);
    }
  }
  return scores;
}

/** Of the filters that make a channel, each relative to the mean of its layer, so that layers can be compared. */
export const channelNorms = (graph: Graph, found: ChannelGraph): ReadonlyMap<number, number> =>
  summed(graph, found, "to", (sums) => sums.reduce((sum, value) => sum + value, 0) / sums.length || 1);

/** Of the weights that read a channel: sum |W[:, j]| over the layers behind. */
export const readerNorms = (graph: Graph, found: ChannelGraph): ReadonlyMap<number, number> =>
  summed(graph, found, "from", () => 1);

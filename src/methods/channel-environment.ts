// What an agent that prunes layer by layer sees and may do (AMC; He et al., AMC: AutoML for Model Compression and
// Acceleration on Mobile Devices, 2018): a state of ten numbers a layer, and a wall before which its actions end, so
// that the budget can still be kept.
//
//   state   place, kind (0 convolution, 1 fully connected), c, n, stride, kernel, weights, what is saved so far / all,
//           what later layers cost / all, the action before (1 at the start); the first seven are scaled to 0..1
//   action  a in (0, 1]: the share of the layer's input channels that stay
//   wall    the largest count with which the budget holds when all layers not decided yet keep the least, 0.2 each
import { elements, readInts } from "../graph/attributes.js";
import { indexOf } from "../graph/graph-index.js";
import type { Dim, Graph } from "../graph/types.js";
import { cost } from "../ops/cost/cost.js";
import { type ChannelOptions, classReason, unreachable } from "./channel-budget.js";
import { type ChannelClass, type ChannelGraph, findChannels } from "./channel-classes.js";
import type { ChannelLayer } from "./channel-walk.js";

/** The least share of a layer's channels. */
const leastShare = 0.2;

export interface Decided {
  readonly of: ChannelClass;
  /** The first layer that reads the channels. */
  readonly reader: ChannelLayer;
}

export interface ChannelEnvironment {
  readonly found: ChannelGraph;
  /** Classes in the order in which they are decided. */
  readonly classes: readonly Decided[];
  /** The ten numbers for a class, where those before keep so many channels. */
  state(kept: readonly number[]): readonly number[];
  /** The channels that an action keeps, within the wall. */
  channels(action: number, kept: readonly number[]): number;
  /** What the network costs, in what the budget counts, as a share of the original. */
  share(kept: readonly number[]): number;
}

export interface EnvironmentOptions extends ChannelOptions {
  /** Also channels that several layers make together. */
  readonly coupled?: boolean;
}

/** @throws FilterBasisError `budget-unreachable` */
export function channelEnvironment(graph: Graph, options: EnvironmentOptions): ChannelEnvironment {
  const found = findChannels(graph, options.inputs ? { inputs: options.inputs } : {});
  const classes = decidedClasses(found, options);
  const { keepMacs, keepParams = 0.5 } = options;
  const kind = keepMacs === undefined ? "weights" : "macs";
  const most = keepMacs ?? keepParams;
  const { costOf, all, around } = sharedCosts(graph, found, classes, kind, options.inputs);
  const sizes = classes.map(({ of }) => of.channels.length);
  const least = sizes.map((size) => Math.max(1, Math.ceil(leastShare * size)));
  const filled = (kept: readonly number[]) => sizes.map((_, at) => kept[at] ?? least[at]!);
  if (costOf(least) > most * all) throw unreachable(kind, costOf(least) / all);
  const fixed = fixedStates(graph, classes);
  return {
    found,
    classes,
    state(kept) {
      const at = kept.length;
      const saved = (all - costOf(sizes.map((size, place) => kept[place] ?? size))) / all;
      const rest = around.slice(at + 1).reduce((sum, one) => sum + one, 0) / all;
      const before = at === 0 ? 1 : kept[at - 1]! / sizes[at - 1]!;
      return [...fixed[at]!, saved, rest, before];
    },
    channels(action, kept) {
      const at = kept.length;
      let [low, high] = [least[at]!, sizes[at]!];
      while (low < high) {
        const middle = (low + high + 1) >> 1;
        if (costOf(filled([...kept, middle])) <= most * all) low = middle;
        else high = middle - 1;
      }
      return Math.min(Math.max(Math.round(action * sizes[at]!), least[at]!), low);
    },
    share: (kept) => costOf(filled(kept)) / all,
  };
}

function decidedClasses({ walk, classes }: ChannelGraph, options: EnvironmentOptions): readonly Decided[] {
  const order = new Map(walk.layers.map((layer, at) => [layer, at]));
  return classes
    .flatMap((of): Decided[] => {
      if (classReason(of, options) !== undefined || (!options.coupled && of.makers.length !== 1)) return [];
      const own = new Set(of.channels);
      const reader = walk.layers.find(({ from }) => from?.ids.some((id) => own.has(walk.find(id))));
      return reader === undefined ? [] : [{ of, reader }];
    })
    .sort((a, b) => order.get(a.reader)! - order.get(b.reader)!);
}

/** What the network costs where classes keep so many channels, and what the reader of each costs as it is. */
function sharedCosts(
  graph: Graph,
  { walk }: ChannelGraph,
  classes: readonly Decided[],
  kind: "weights" | "macs",
  inputs: ReadonlyMap<string, readonly Dim[]> | undefined,
) {
  const before = cost(graph, inputs);
  const costs = new Map(before.layers.map((layer) => [layer.value, layer[kind]]));
  const classOf = new Map(classes.flatMap(({ of }, at) => of.channels.map((id) => [id, at] as const)));
  const layers = walk.layers.map(({ node, from, to }) => {
    const sides = [from?.ids, to.ids].flatMap((ids) => {
      if (ids === undefined) return [];
      const counts = new Map<number, number>();
      for (const id of ids.map(walk.find)) {
        const at = classOf.get(id) ?? -1;
        counts.set(at, (counts.get(at) ?? 0) + 1);
      }
      return [{ total: ids.length, counts: [...counts] }];
    });
    return { own: costs.get(node.outputs[0]!) ?? 0, sides };
  });
  const costOf = (kept: readonly number[]): number =>
    layers.reduce((sum, { own, sides }) => {
      const share = sides.reduce((product, { total, counts }) => {
        const left = counts.reduce(
          (n, [at, count]) => n + (at < 0 ? count : (count * kept[at]!) / classes[at]!.of.channels.length),
          0,
        );
        return (product * left) / total;
      }, 1);
      return sum - own * (1 - share);
    }, before[kind]);
  const around = classes.map(({ reader }) => costs.get(reader.node.outputs[0]!) ?? 0);
  return { costOf, all: before[kind], around };
}

/** The first seven numbers of each state, scaled to 0..1 over the layers. */
function fixedStates(graph: Graph, classes: readonly Decided[]): readonly (readonly number[])[] {
  const { stored } = indexOf(graph);
  const rows = classes.map(({ reader: { node, root, to }, of }, at) => {
    const dims = stored(root)?.tensor.dims ?? [];
    const matrix = dims.length === 2 ? 1 : 0;
    const stride = readInts(node, "strides", [1])[0] ?? 1;
    return [at, matrix, of.channels.length, to.ids.length, stride, dims[2] ?? 1, elements(dims)];
  });
  const columns = [0, 1, 2, 3, 4, 5, 6].map((place) => rows.map((row) => row[place]!));
  const scaled = columns.map((column) => {
    const [low, high] = [Math.min(...column), Math.max(...column)];
    return column.map((value) => (high > low ? (value - low) / (high - low) : 0));
  });
  return rows.map((_, at) => scaled.map((column) => column[at]!));
}

// AMC (He et al., AMC: AutoML for Model Compression and Acceleration on Mobile Devices, 2018): how many channels of
// each layer stay is decided by an agent (train/search-channels.ts) that walks over the layers within a budget. Of the
// input channels j of a layer those with the largest sum |W[:, j]| stay, and the weights that read them are fitted
// anew to what the layer gave before,
//
//   W' = argmin E |W x - W' x_S|^2 = W[:, S] + W[:, G] C[G, S] C[S, S]^-1,     C = E[x x^T] of the original's
//                                                                              input patches, G what goes,
//
// where calibration moments are given; what few images say nothing of stays as it was. Environment, state and agent
// follow the authors' code; the kernel of more than one element, the moments instead of samples, and counts that may
// be any (not multiples of eight) are our own. Where nothing has searched, every layer keeps the same share, which is
// told.
import * as z from "zod/mini";
import type { ActivationMoments } from "../basis/moments.js";
import { nodeName } from "../graph/attributes.js";
import { indexOf } from "../graph/graph-index.js";
import type { Graph, Pass, PassResult, TensorData } from "../graph/types.js";
import { numbers, tensorOf } from "../graph/values.js";
import { type LinearAlgebra, pureLinearAlgebra } from "../linalg/low-rank.js";
import { matrix, transpose } from "../linalg/matrix.js";
import { channelFields } from "./channel-budget.js";
import { type ChannelEnvironment, channelEnvironment } from "./channel-environment.js";
import { channelOutcomes } from "./channel-outcomes.js";
import { readerNorms } from "./channel-scores.js";
import type { ChannelLayer } from "./channel-walk.js";
import type { Method } from "./method.js";
import { about, count, type OptionsOf, optional } from "./options.js";
import { removeChannels } from "./remove-channels.js";

const { rate: _, ...budgets } = channelFields;
const fields = {
  ...budgets,
  ...optional({
    coupled: about("also channels that several layers make together, as those of a stage of a ResNet", z.boolean()),
    episodes: about("with calibration batches: networks that the agent tries; default 100", count),
    warmup: about("of these, tried at random before it learns; default a quarter", z.int().check(z.nonnegative())),
  }),
};

export interface AmcOptions extends OptionsOf<typeof fields> {
  readonly moments?: ReadonlyMap<string, ActivationMoments>;
  readonly linear?: LinearAlgebra;
  /** Channels that stay, in the order of the environment's classes; default: the same share of all. */
  readonly kept?: readonly number[];
}

/** The pass. */
export function amc(options: AmcOptions = {}): Pass {
  return (graph): PassResult => {
    const environment = channelEnvironment(graph, options);
    const kept = options.kept ?? uniform(environment);
    const { found, classes } = environment;
    const worth = readerNorms(graph, found);
    const gone = new Set(
      classes.flatMap(({ of }, at) =>
        [...of.channels]
          .sort((a, b) => (worth.get(a) ?? 0) - (worth.get(b) ?? 0))
          .slice(0, of.channels.length - kept[at]!),
      ),
    );
    const decided = new Set(classes.flatMap(({ of }) => of.channels));
    const outcomes = channelOutcomes(graph, found, {
      ...{ pass: "amc", gone, options },
      why: (id) => (decided.has(id) ? undefined : "several layers make its channels together"),
      note: options.kept ? "decided by the agent" : "the same share of every layer, for no agent has searched",
    });
    return { graph: removeChannels(refitted(graph, environment, gone, options), found, gone), outcomes };
  };
}

/** The largest share of all layers that keeps the budget. */
function uniform(environment: ChannelEnvironment): readonly number[] {
  const at = (share: number) =>
    environment.classes.reduce<number[]>((kept) => [...kept, environment.channels(share, kept)], []);
  let [low, high] = [0, 1];
  const total = (kept: readonly number[]): number => environment.share(kept);
  const shareOf = (share: number) =>
    total(environment.classes.map(({ of }) => Math.max(1, Math.round(share * of.channels.length))));
  const budget = total(at(1));
  for (let turn = 0; turn < 30; turn++) {
    const middle = (low + high) / 2;
    if (shareOf(middle) <= budget) low = middle;
    else high = middle;
  }
  return at(low);
}

/** The weights that read what stays, fitted to the outputs of before; the others as they are. */
function refitted(
  graph: Graph,
  { found, classes }: ChannelEnvironment,
  gone: ReadonlySet<number>,
  { moments, linear = pureLinearAlgebra }: AmcOptions,
): Graph {
  if (moments === undefined) return graph;
  const { walk } = found;
  const initializers = new Map(graph.initializers);
  const decided = new Set(classes.flatMap(({ of }) => of.channels));
  for (const layer of walk.layers) {
    const ids = layer.from?.ids.map(walk.find);
    const loses = ids?.some((id) => gone.has(id) && decided.has(id)) === true;
    const seen = loses ? moments.get(nodeName(layer.node)) : undefined;
    const made =
      seen &&
      refit(
        graph,
        layer,
        ids!.map((id) => !gone.has(id)),
        seen,
        linear,
      );
    if (made !== undefined && initializers.has(layer.root)) initializers.set(layer.root, made);
  }
  return { ...graph, initializers };
}

/** What is added to the diagonal of C[S, S], over its mean. */
const ridgeOf = 1e-6;

/** W [n, c, h, w] with W' at the channels that stay; what stands at the others does not matter any more. */
function refit(
  graph: Graph,
  { root, node }: ChannelLayer,
  stays: readonly boolean[],
  { second }: ActivationMoments,
  linear: LinearAlgebra,
): TensorData | undefined {
  const { tensor } = indexOf(graph).stored(root)!;
  const { dims, type } = tensor;
  if (node.op !== "Conv" || second.rows !== numbers(tensor).length / (dims[0] ?? 1)) return undefined;
  const [n = 0, c = 0] = dims;
  const area = second.rows / c;
  const at = (is: boolean) =>
    stays.flatMap((one, j) => (one === is ? Array.from({ length: area }, (_, k) => j * area + k) : []));
  const [kept, lost] = [at(true), at(false)];
  const side = second.rows;
  const trace = kept.reduce((sum, place) => sum + second.data[place * side + place]!, 0);
  const ridge = ridgeOf * (trace / kept.length) + Number.MIN_VALUE;
  const normal = matrix(kept.length, kept.length, new Float64Array(kept.length ** 2)); // C[S, S]
  for (const [i, row] of kept.entries())
    for (const [j, column] of kept.entries())
      normal.data[i * kept.length + j] = second.data[row * side + column]! + (i === j ? ridge : 0);
  const between = matrix(lost.length, kept.length, new Float64Array(lost.length * kept.length)); // C[G, S]
  for (const [i, row] of lost.entries())
    for (const [j, column] of kept.entries()) between.data[i * kept.length + j] = second.data[row * side + column]!;
  const values = numbers(tensor).slice();
  const gone = matrix(n, lost.length, new Float64Array(n * lost.length)); // W[:, G]
  for (let o = 0; o < n; o++)
    for (const [j, place] of lost.entries()) gone.data[o * lost.length + j] = values[o * side + place]!;
  const added = linear.solve(normal, transpose(linear.multiply(gone, between))); // [S, n]
  for (let o = 0; o < n; o++)
    for (const [j, place] of kept.entries())
      values[o * side + place] = values[o * side + place]! + added.data[j * n + o]!;
  return tensorOf(type, dims, values);
}

export const amcMethod: Method<"amc", typeof fields> = {
  name: "amc",
  summary: "an agent decides how many channels of each layer stay (AMC, He et al.)",
  from: "weights",
  options: fields,
  apply: (graph, options: AmcOptions) => amc(options)(graph),
};

// Network slimming (Liu et al., Learning Efficient Convolutional Networks through Network Slimming, 2017): channels
// whose batch norm has a small scale go.
//
//   1. sparsity training:  loss + lambda sum |gamma|   (a recipe's loss.sparsity)
//   2. one threshold t for the network: the |gamma| at place floor(rate N) of all N sorted ones; kept is |gamma| > t
//   3. the channels are removed: filters, norms, inputs of the layers behind     (this pass)
//   4. fine-tuning without the penalty
//
// Where a norm does not read a layer but a sum or a concatenation (DenseNet, pre-activation ResNet), its channels are
// selected for this copy alone: Gather, then the smaller norm; what it reads stays. The shift of a removed channel is
// dropped, as in the original. Steps, threshold and selection are those of the authors' later code; the 70 % of the
// paper's table and its counts depend on their weights. A network whose norms are folded has no scales: the norms of
// its filters, relative to the mean of their class, stand for them, which is told (ours).
import * as z from "zod/mini";
import { int, int64Tensor, makeNode } from "../graph/attributes.js";
import { freshNames, renameReads, replaceNodes } from "../graph/edit.js";
import { indexOf } from "../graph/graph-index.js";
import type { Graph, Node, Pass, PassResult, TensorData } from "../graph/types.js";
import { numbers } from "../graph/values.js";
import { operatorOf } from "../ops/table.js";
import { dropUnread } from "../passes/remove-unread.js";
import { channelCounts, channelFields, classReason, goneWithin, removalOrder, type Scored } from "./channel-budget.js";
import { type ChannelGraph, findChannels } from "./channel-classes.js";
import { channelOutcomes } from "./channel-outcomes.js";
import { channelNorms } from "./channel-scores.js";
import type { Method } from "./method.js";
import { about, type OptionsOf, optional } from "./options.js";
import { removeChannels } from "./remove-channels.js";

const fields = {
  ...channelFields,
  ...optional({
    score: about(
      "what a channel is worth: its norm's scale, or its filters' size; auto: scales where there are some",
      z.enum(["auto", "scale", "norm"]),
    ),
  }),
};

export type SlimmingOptions = OptionsOf<typeof fields>;

/** The pass. */
function slimming(options: SlimmingOptions = {}): Pass {
  return (graph): PassResult => {
    const selections = withSelections(graph);
    const { graph: selected } = selections;
    const found = findChannels(selected, { ...(options.inputs && { inputs: options.inputs }), selects: true });
    const scales = scaleScores(selected, found);
    const { score = "auto" } = options;
    const byNorm = score === "norm" || (score === "auto" && scales.size === 0);
    const worth = byNorm ? channelNorms(selected, found) : scales;
    const lists = found.classes
      .filter((one) => classReason(one, options) === undefined)
      .map(({ channels }) => channels.flatMap((id): Scored[] => scoredAs(id, worth)))
      .filter(({ length }) => length > 0);
    const counts = channelCounts(selected, found, options.inputs);
    const gone = goneWithin(removalOrder(lists), options, counts, lists.flat());
    const why = (id: number) => (worth.has(id) ? undefined : "no batch norm says what its channels are worth");
    const note = byNorm && score === "auto" ? "by the size of filters, for there are no batch norms" : undefined;
    const outcomes = channelOutcomes(selected, found, { pass: "slimming", gone, options, why, ...(note && { note }) });
    return { graph: withoutFullSelections(removeChannels(selected, found, gone), selections), outcomes };
  };
}

const scoredAs = (id: number, worth: ReadonlyMap<number, number>): Scored[] => {
  const score = worth.get(id);
  return score === undefined ? [] : [{ id, score }];
};

const isNorm = ({ op, domain }: Node): boolean => op === "BatchNormalization" && domain === "";

/** The mean |gamma| of the norms that a channel goes through. */
function scaleScores(graph: Graph, { walk }: ChannelGraph): ReadonlyMap<number, number> {
  const { stored } = indexOf(graph);
  const sums = new Map<number, { sum: number; count: number }>();
  for (const node of graph.nodes) {
    const scale = isNorm(node) ? stored(node.inputs[1] ?? "") : undefined;
    const held = scale && walk.tensors.get(scale.root)?.get(0);
    if (scale === undefined || held === undefined || held.inner !== 1) continue;
    const values = numbers(scale.tensor);
    for (const [place, position] of held.ids.entries()) {
      const id = walk.find(position);
      const { sum = 0, count = 0 } = sums.get(id) ?? {};
      sums.set(id, { sum: sum + Math.abs(values[place]!), count: count + 1 });
    }
  }
  return new Map([...sums].map(([id, { sum, count }]) => [id, sum / count]));
}

/** Scales of batch norms that sparsity training makes small, by the names under which they are stored. */
export function sparseScales(graph: Graph): ReadonlySet<string> {
  const { stored } = indexOf(graph);
  return new Set(graph.nodes.filter(isNorm).flatMap((node) => stored(node.inputs[1] ?? "")?.root ?? []));
}

interface Selections {
  readonly graph: Graph;
  /** By the output of each selection, the channels that it selects from. */
  readonly counts: ReadonlyMap<string, number>;
}

/** A Gather of all channels before each norm that reads something else than a layer of its own. */
function withSelections(graph: Graph): Selections {
  const { producers, stored, soleReader } = indexOf(graph);
  const fresh = freshNames(graph);
  const initializers = new Map<string, TensorData>();
  const replacements = new Map<Node, readonly Node[]>();
  const counts = new Map<string, number>();
  for (const node of graph.nodes) {
    const input = node.inputs[0] ?? "";
    const count = isNorm(node) ? stored(node.inputs[1] ?? "")?.tensor.dims[0] : undefined;
    const maker = producers.get(input);
    const own = maker !== undefined && operatorOf(maker)?.channels === "layer" && soleReader(input) === node;
    if (count === undefined || own || maker === undefined) continue;
    const [indices, output] = [fresh(`${input}.channels`), fresh(`${input}.selected`)];
    initializers.set(
      indices,
      int64Tensor(
        [count],
        Array.from({ length: count }, (_, place) => place),
      ),
    );
    counts.set(output, count);
    const select = makeNode("Gather", [input, indices], [output], { axis: int(1) }, { name: output });
    replacements.set(node, [select, { ...node, inputs: [output, ...node.inputs.slice(1)] }]);
  }
  return { graph: replaceNodes(graph, replacements, initializers), counts };
}

/** Without the selections that still select everything. */
function withoutFullSelections(graph: Graph, { counts }: Selections): Graph {
  const { constant } = indexOf(graph);
  const full = graph.nodes.filter(({ op, inputs, outputs }) => {
    const count = op === "Gather" ? counts.get(outputs[0]!) : undefined;
    return count !== undefined && constant(inputs[1]!)?.dims[0] === count;
  });
  if (full.length === 0) return graph;
  const nodes = graph.nodes.filter((node) => !full.includes(node));
  const names = new Map(full.map(({ inputs, outputs }) => [outputs[0]!, inputs[0]!]));
  return dropUnread(
    renameReads({ ...graph, nodes }, names),
    full.flatMap(({ inputs }) => inputs),
  );
}

export const slimmingMethod: Method<"slimming", typeof fields> = {
  name: "slimming",
  summary: "removes channels whose batch norms have small scales (network slimming, Liu et al.)",
  from: "weights",
  options: fields,
  apply: (graph, options) => slimming(options)(graph),
};

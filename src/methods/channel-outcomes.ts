// What a method over channels tells: of every layer, how many of its channels are left, or why all are.
import { nodeName } from "../graph/attributes.js";
import type { Graph, Outcome } from "../graph/types.js";
import { isConvolution } from "../ops/cost/layers.js";
import { type ChannelOptions, classReason } from "./channel-budget.js";
import type { ChannelGraph } from "./channel-classes.js";
import { insideBodies, insideFunctions } from "./hidden-layers.js";

interface Told {
  readonly pass: string;
  /** Channels that go. */
  readonly gone: ReadonlySet<number>;
  readonly options: ChannelOptions;
  /** Why a class is left alone that might go, where the method has a reason of its own. */
  readonly why?: (id: number) => string | undefined;
  /** What is told of a layer that changes beside its channels. */
  readonly note?: string;
}

/** One entry for each layer and each convolution that is none of channels. */
export function channelOutcomes(graph: Graph, { walk, classes }: ChannelGraph, told: Told): readonly Outcome[] {
  const { pass, gone, options, note } = told;
  const reasons = new Map<number, string>();
  for (const one of classes)
    for (const id of one.channels) {
      const reason = classReason(one, options) ?? told.why?.(id);
      if (reason !== undefined) reasons.set(id, reason);
    }
  const layers = new Map(walk.layers.map((layer) => [layer.node, layer]));
  const outcomes: Outcome[] = [];
  const skipped = (layer: string, reason: string) => outcomes.push({ pass, layer, applied: false, reason });
  for (const node of graph.nodes) {
    for (const { name, reason } of insideBodies(node)) skipped(name, reason);
    const layer = layers.get(node);
    if (layer === undefined) {
      if (isConvolution(node)) skipped(nodeName(node), whyNot(walk.of(node.outputs[0] ?? "")?.ids, walk.frozen));
      continue;
    }
    const changes = [layer.to, layer.from].map((side) => {
      const ids = side?.ids.map(walk.find) ?? [];
      return { all: ids.length, left: ids.filter((id) => !gone.has(id)).length, ids };
    });
    const [to, from] = changes as [(typeof changes)[0], (typeof changes)[0]];
    if (to.left === to.all && from.left === from.all) {
      const reason = to.ids.map((id) => reasons.get(id)).find((found) => found !== undefined);
      skipped(nodeName(node), reason ?? "all of its channels are worth more than others");
      continue;
    }
    const sides = `${to.all} -> ${to.left} channels, reads ${from.left} of ${from.all}`;
    const reason = `${layer.depthwise ? `${to.all} -> ${to.left} channels` : sides}${note ? `; ${note}` : ""}`;
    outcomes.push({ pass, layer: nodeName(node), applied: true, reason });
  }
  for (const { name, reason } of insideFunctions(graph)) skipped(name, reason);
  return outcomes;
}

function whyNot(ids: readonly number[] | undefined, frozen: (id: number) => string | undefined): string {
  const reason = ids === undefined ? undefined : frozen(ids[0]!);
  return reason === undefined ? "its channels cannot be told apart" : `its channels stay: ${reason}`;
}

// The groups of a plan: which layers are compressed at all, which of them share a basis, and the splits asked for.
import { chooseSplits } from "../basis/split.js";
import { FilterBasisError } from "../errors/error.js";
import type { Graph } from "../graph/types.js";
import { bestChannels, type LayerGroup } from "./choices.js";
import type { Layer } from "./layers.js";
import { matches } from "./pattern.js";
import type { PlanOptions, Splitting } from "./plan-options.js";
import { sharingSets } from "./sharing.js";

/** p for splits that were asked for, with a note for each layer where they had to be moved. */
export function explicitChannels(
  group: LayerGroup,
  splits: Splitting | undefined,
): { channels: number; notes: ReadonlyMap<Layer, string> } {
  const notes = new Map<Layer, string>();
  if (splits === "channels") return { channels: 1, notes };
  if (splits === undefined || splits === "auto" || group.slice) return { channels: bestChannels(group), notes };
  const [first] = group.layers;
  // Layers that share need one p: the number of splits is meant for the narrowest of them.
  const narrowest = group.layers.reduce((a, b) => (b.inChannels < a.inChannels ? b : a), first!);
  const chosen = chooseSplits(narrowest.inChannels, splits);
  if (chosen.note) for (const layer of group.layers) notes.set(layer, chosen.note);
  const channels = narrowest.inChannels / chosen.splits;
  if (group.layers.every(({ inChannels }) => inChannels % channels === 0)) return { channels, notes };
  const common = bestChannels(group);
  for (const layer of group.layers)
    notes.set(
      layer,
      `splits of ${common} channels instead of ${channels}, which not all layers of ${group.name} can have`,
    );
  return { channels: common, notes };
}

/**
 * Layers that share, by name or as found from the graph, and every other layer by itself; in the order of the graph.
 */
export function makeGroups(
  graph: Graph,
  layers: readonly Layer[],
  { share = "none", shareNamed = {}, slice, inputs }: PlanOptions,
): readonly LayerGroup[] {
  const named = Object.entries(shareNamed).map(([name, patterns]) => ({
    name,
    layers: layers.filter((layer) => matches(layer.name, patterns)),
  }));
  for (const { name, layers: set } of named) {
    if (set.length === 0)
      throw new FilterBasisError("not-found", `no layer matches the patterns of the shared basis ${name}`, {
        field: name,
      });
    const kernels = new Set(set.map(({ kernel }) => kernel.join("x")));
    if (kernels.size > 1)
      throw new FilterBasisError("invalid-plan", "layers that share a basis need one kernel", {
        layer: name,
        got: [...kernels].join(", "),
      });
  }
  const owned = new Set(named.flatMap((set) => set.layers));
  const sets = [
    ...named,
    ...sharingSets(
      graph,
      layers.filter((layer) => !owned.has(layer)),
      share,
      inputs,
    ),
  ];
  const groupOf = new Map(sets.flatMap((set) => set.layers.map((layer) => [layer, set] as const)));
  const groups: LayerGroup[] = [];
  const done = new Set<unknown>();
  for (const layer of layers) {
    const set = groupOf.get(layer);
    if (set && done.has(set)) continue;
    done.add(set);
    const members = set ? set.layers : [layer];
    const widths = new Set(members.map(({ inChannels }) => inChannels));
    groups.push({
      name: set?.name ?? layer.name,
      layers: members,
      shared: set !== undefined,
      slice: set && widths.size > 1 ? slice : undefined,
    });
  }
  return groups;
}

/** What was asked for this group in particular. */
export function ruleFor(group: LayerGroup, { layers = {} }: PlanOptions) {
  return Object.entries(layers).find(
    ([pattern]) => matches(group.name, [pattern]) || group.layers.some(({ name }) => matches(name, [pattern])),
  )?.[1];
}

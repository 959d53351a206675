// Filter groups (Peng et al., 2018) as the paper's authors build them: a convolution becomes a grouped one and a 1 x
// 1 behind it.
import * as z from "zod/mini";
import type { GraphBuilder } from "../graph/builder.js";
import { initialiser } from "../graph/initialise.js";
import type { Pass } from "../graph/types.js";
import type { ConvLayer } from "./conv-layers.js";
import type { Method } from "./method.js";
import { about, architectureFields, byChannels, count, type OptionsOf, optional } from "./options.js";
import { groupPresets, presetOptions } from "./presets.js";
import { activation, type Rewrite, replaceConvolutions, spatialConv } from "./replace.js";

/** So many groups up to so many input channels; the last entry may leave the bound out. */
const groupsUpTo = z.strictObject({ upTo: z.optional(count), groups: count });

const fields = {
  ...architectureFields,
  ...optional({
    channelsPerGroup: about(
      "input channels of a group: one number, or one for each count of output channels",
      byChannels,
    ),
    groups: about(
      "the number of groups instead: one, or one for each range of input channels",
      z.union([count, z.array(groupsUpTo).check(z.minLength(1))]),
    ),
    insertNorm: about("batch norm and activation between the two convolutions", z.boolean()),
    bias: about("whether its convolutions have biases", z.boolean()),
    narrow: about(
      "the grouped convolution has the output's channels already; otherwise it keeps the input's",
      z.boolean(),
    ),
  }),
};

export type GroupOptions = OptionsOf<typeof fields>;

const defaults = { insertNorm: false, bias: true, narrow: false, init: "default", seed: 1 } as const;

/** The pass. */
export function group(options: GroupOptions): Pass {
  const all = { ...defaults, ...presetOptions(groupPresets, options.preset), ...options };
  return (graph) =>
    replaceConvolutions(graph, "group", all, initialiser(all.init, all.seed), (layer, net) => {
      if (layer.kernelElements === 1) return { reason: "its kernel is 1 x 1" };
      const groups = groupsOf(layer, all);
      if (groups === undefined)
        return { reason: `no groups are stated for ${layer.inChannels} to ${layer.outChannels} channels` };
      const middle = all.narrow ? layer.outChannels : layer.inChannels;
      if (layer.inChannels % groups !== 0 || middle % groups !== 0)
        return { reason: `${layer.inChannels} to ${middle} channels do not go into ${groups} groups` };
      return writePair(net, layer, { ...all, groups, middle });
    });
}

function groupsOf(layer: ConvLayer, { channelsPerGroup, groups }: GroupOptions): number | undefined {
  if (typeof groups === "number") return groups;
  if (groups !== undefined)
    return groups.find(({ upTo = Number.POSITIVE_INFINITY }) => layer.inChannels <= upTo)?.groups;
  const size = typeof channelsPerGroup === "object" ? channelsPerGroup[String(layer.outChannels)] : channelsPerGroup;
  return size === undefined ? undefined : layer.inChannels / size;
}

interface Pair {
  readonly groups: number;
  /** Channels between the two convolutions. */
  readonly middle: number;
  readonly insertNorm: boolean;
  readonly bias: boolean;
}

function writePair(net: GraphBuilder, layer: ConvLayer, { groups, middle, insertNorm, bias }: Pair): Rewrite {
  const { name, inChannels, outChannels } = layer;
  let x = spatialConv(net, layer, layer.input, `${name}.grouped`, { inChannels, outChannels: middle, groups, bias });
  if (insertNorm) x = net.push(activation(layer, net.norm(x, `${name}.between`, middle), `${name}.between.activation`));
  net.conv(x, `${name}.pointwise`, { inChannels: middle, outChannels, kernel: 1, bias }, layer.output);
  return { applied: `${groups} group${groups === 1 ? "" : "s"} of ${inChannels / groups} channels, then 1 x 1` };
}

export const groupMethod: Method<"group", typeof fields> = {
  name: "group",
  summary: "a grouped convolution, then 1 x 1 (Peng et al.)",
  from: "architecture",
  options: fields,
  sizes: [1, 2, 4, 8, 16, 32, 64].map((groups) => ({ groups })),
  apply: (graph, options) => group(options)(graph),
};

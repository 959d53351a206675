// Factorized convolutions (Wang et al., 2017) as the paper's authors build them: a convolution becomes a few SIC
// layers in a row, each y = act(pointwise(depthwise(x)) + x), where "+ x" stands only where the shapes agree. An
// architecture, not an approximation.
import * as z from "zod/mini";
import type { GraphBuilder } from "../graph/builder.js";
import { initialiser } from "../graph/initialise.js";
import type { Node, Pass } from "../graph/types.js";
import type { ConvLayer } from "./conv-layers.js";
import type { Method } from "./method.js";
import { about, architectureFields, count, type OptionsOf, optional } from "./options.js";
import { factorPresets, presetOptions } from "./presets.js";
import { activation, type Rewrite, replaceConvolutions, spatialConv } from "./replace.js";

const fields = {
  ...architectureFields,
  ...optional({
    layers: about("SIC layers in a row; default 2", count),
    norm: about(
      "batch norm behind the depthwise convolution, behind both, or nowhere",
      z.enum(["none", "between", "both"]),
    ),
    bias: about("whether its convolutions have biases", z.boolean()),
    widen: about("the SIC layer that changes the number of channels", z.enum(["first", "last"])),
    dropNorm: about("the convolution's own batch norm and activation go: the SIC layers end in theirs", z.boolean()),
  }),
};

export type FactorOptions = OptionsOf<typeof fields>;

const defaults = {
  layers: 2,
  norm: "none",
  bias: true,
  widen: "last",
  dropNorm: false,
  init: "default",
  seed: 1,
} as const;

/** The pass. */
export function factor(options: FactorOptions = {}): Pass {
  const all = { ...defaults, ...presetOptions(factorPresets, options.preset), ...options };
  return (graph) =>
    replaceConvolutions(graph, "factor", all, initialiser(all.init, all.seed), (layer, net) =>
      layer.kernelElements === 1 ? { reason: "its kernel is 1 x 1" } : writeLayers(net, layer, all),
    );
}

type Settings = Required<Pick<FactorOptions, keyof typeof defaults>>;

function writeLayers(net: GraphBuilder, layer: ConvLayer, { layers, norm, bias, widen, dropNorm }: Settings): Rewrite {
  const { inChannels, outChannels, name } = layer;
  const dropped = dropNorm ? [layer.norm, layer.activation].filter((node) => node !== undefined) : [];
  const output = dropped.at(-1)?.outputs[0] ?? layer.output;
  let x = layer.input;
  for (let i = 0; i < layers; i++) {
    const from = i === 0 || widen === "last" ? inChannels : outChannels;
    const to = i === layers - 1 || widen === "first" ? outChannels : inChannels;
    const path = `${name}.sic.${i}`;
    const strided = i === 0 && layer.strided;
    const conv = { inChannels: from, outChannels: from, groups: from, bias };
    let y =
      i === 0
        ? spatialConv(net, layer, x, `${path}.depthwise`, conv)
        : net.conv(x, `${path}.depthwise`, { ...conv, kernel: layer.kernel[0] ?? 1 });
    if (norm !== "none") y = net.norm(y, `${path}.depthwise.norm`, from);
    y = net.conv(y, `${path}.pointwise`, { inChannels: from, outChannels: to, kernel: 1, bias });
    if (norm === "both") y = net.norm(y, `${path}.pointwise.norm`, to);
    if (from === to && !strided) y = net.add(y, x, `${path}.add`);
    x = net.push(activation(layer, y, `${path}.activation`, i === layers - 1 ? output : undefined));
  }
  const applied = `${layers} SIC layer${layers === 1 ? "" : "s"}`;
  return dropped.length === 0
    ? { applied }
    : { applied, also: new Map(dropped.map((node): [Node, readonly Node[]] => [node, []])) };
}

export const factorMethod: Method<"factor", typeof fields> = {
  name: "factor",
  summary: "depthwise and 1 x 1 convolutions, stacked (Wang et al.)",
  from: "architecture",
  options: fields,
  sizes: [3, 2, 1].map((layers) => ({ layers })),
  apply: (graph, options) => factor(options)(graph),
};

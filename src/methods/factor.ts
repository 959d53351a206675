// Factorized convolutions (Wang et al., 2017) as the paper's authors build them: a convolution becomes a few SIC
// layers in a row, each y = act(pointwise(depthwise(x)) + x), where "+ x" stands only where the shapes agree. An
// architecture, not an approximation.
import * as z from "zod/mini";
import { depthwiseSeparable } from "../basis/depthwise-separable.js";
import type { GraphBuilder } from "../graph/builder.js";
import { initialiser } from "../graph/initialise.js";
import type { Node, Pass } from "../graph/types.js";
import { numbers, tensorOf } from "../graph/values.js";
import { pureLinearAlgebra } from "../linalg/low-rank.js";
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
    start: about(
      "new weights (default), or the depthwise separable convolution nearest to the filters: our own start",
      z.enum(["new", "filters"]),
    ),
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
  start: "new",
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

function writeLayers(net: GraphBuilder, layer: ConvLayer, settings: Settings): Rewrite {
  const { layers, norm, bias, widen, dropNorm, start } = settings;
  const { inChannels, outChannels, name } = layer;
  const begins = start === "filters" ? startFrom(net, layer, { layers, widen, bias }) : undefined;
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
  const applied = `${layers} SIC layer${layers === 1 ? "" : "s"}${begins === undefined ? "" : `, ${begins}`}`;
  return dropped.length === 0
    ? { applied }
    : { applied, also: new Map(dropped.map((node): [Node, readonly Node[]] => [node, []])) };
}

/**
 * Sets the weights of the layer that changes the shape to the separable convolution nearest to the filters (less what
 * its skip adds), and the 1x1 of the others to 0, so that behind a ReLU they hand on what they get. Says what the
 * layers begin with.
 */
function startFrom(
  net: GraphBuilder,
  layer: ConvLayer,
  { layers, widen, bias }: Pick<Settings, "layers" | "widen" | "bias">,
): string {
  const { inChannels: c, outChannels: n, kernelElements: area, kernel, name, weight } = layer;
  if (layer.strided && layers > 1) return "with new weights, for it strides";
  const at = widen === "last" ? layers - 1 : 0;
  const values = numbers(weight).slice();
  const centre = kernel.reduce((place, side) => place * side + (side >> 1), 0);
  if (n === c && !layer.strided)
    for (let i = 0; i < n; i++) values[(i * c + i) * area + centre] = values[(i * c + i) * area + centre]! - 1;
  const found = depthwiseSeparable(values, [n, c, area], pureLinearAlgebra);
  const set = (path: string, dims: readonly number[], of: ArrayLike<number>) =>
    net.constant(path, () => tensorOf(layer.type, dims, of));
  const ones = kernel.map(() => 1);
  for (let i = 0; i < layers; i++) {
    const path = `${name}.sic.${i}`;
    const from = i === 0 || widen === "last" ? c : n;
    const to = i === layers - 1 || widen === "first" ? n : c;
    if (i === at) set(`${path}.depthwise.weight`, [c, 1, ...kernel], found.depthwise);
    set(`${path}.pointwise.weight`, [to, from, ...ones], i === at ? found.pointwise : new Float64Array(to * from));
    if (!bias) continue;
    set(`${path}.depthwise.bias`, [from], new Float64Array(from));
    set(`${path}.pointwise.bias`, [to], (i === at ? layer.bias : undefined) ?? new Float64Array(to));
  }
  return "from the nearest depthwise separable filters";
}

export const factorMethod: Method<"factor", typeof fields> = {
  name: "factor",
  summary: "depthwise and 1 x 1 convolutions, stacked (Wang et al.)",
  from: "architecture",
  options: fields,
  sizes: [3, 2, 1].map((layers) => ({ layers })),
  apply: (graph, options) => factor(options)(graph),
};

// The paper's architecture, to be trained from scratch: every selected convolution W[n, c, h, w] becomes a
// convolution with a basis B[m, p, h, w], run over the s = c / p splits of the input, and a convolution with the
// coefficients A[n, s m, k, k]. Channel g m + j of what lies between is split g, basis filter j.
import * as z from "zod/mini";
import type { Layout } from "../basis/layouts.js";
import { type SliceEnd, sliceStart } from "../basis/split.js";
import { makeNode } from "../graph/attributes.js";
import { type BasisConv, makeBasisConv } from "../graph/basis-conv.js";
import { convAttributes, type GraphBuilder } from "../graph/builder.js";
import { initialiser } from "../graph/initialise.js";
import type { Graph, Node, Pass } from "../graph/types.js";
import { sequence } from "../passes/sequence.js";
import { type ConvLayer, convLayers } from "./conv-layers.js";
import { filtersOverBasis } from "./expand-bases.js";
import type { Method } from "./method.js";
import { about, architectureFields, byChannels, count, type OptionsOf, optional, sliceEnd } from "./options.js";
import { basisPresets, presetOptions } from "./presets.js";
import { activation, type Rewrite, replaceConvolutions } from "./replace.js";
import { type Share, shares, sharingSets } from "./sharing.js";
import { transitionBottleneck } from "./transition.js";

const fields = {
  ...architectureFields,
  ...optional({
    /** m. A layer without one is skipped. */
    basis: about("basis filters: one number, or one for each count of input channels", byChannels),
    /** p. Default: c / splits. */
    channels: about(
      "input channels of a basis filter: one number, or one for each count of input channels",
      byChannels,
    ),
    splits: about("splits, where channels are not stated; default 1", count),
    share: about("which layers share a basis; all of a network read slices of one", z.enum(shares)),
    slice: about("which channels of the network's one basis a narrower layer reads", sliceEnd),
    insertNorm: about(
      "batch norm and activation between basis and coefficients: no way back to one filter",
      z.boolean(),
    ),
    insertActivation: about("an activation behind the layer's batch norm where the network has none", z.boolean()),
    coefficientKernel: about("side of the coefficients' kernel", z.union([z.literal(1), z.literal(3)])),
    transition: about("T: DenseNet's transitions become C -> C / T -> C with a skip; by default they stay", count),
    /** All compute the same. */
    layout: about("how the convolutions over the splits are written", z.enum(["split", "batch-folded", "grouped"])),
  }),
};

/** The rule `init` is for the coefficients; bases are always drawn from U(-b, b), b = sqrt(6 / (p h w)). */
export type BasisScratchOptions = OptionsOf<typeof fields>;

const defaults = {
  share: "none",
  slice: "first",
  insertNorm: false,
  insertActivation: false,
  coefficientKernel: 1,
  layout: "batch-folded",
  init: "default",
  seed: 1,
} as const satisfies Partial<BasisScratchOptions>;

/** The pass. Every convolution that it leaves alone is among the outcomes, with the reason. */
export function basisScratch(options: BasisScratchOptions): Pass {
  const all = { ...defaults, ...presetOptions(basisPresets, options.preset), ...options };
  const own: Pass = (graph) => {
    const specs = specify(graph, all);
    return replaceConvolutions(graph, "basis-scratch", all, initialiser(all.init, all.seed), (layer, net) => {
      const spec = specs.get(layer.node);
      if (spec !== undefined) return writeLayer(net, layer, { ...spec, ...all });
      if (!applies(layer))
        return { reason: layer.kernelElements === 1 ? "its kernel is 1 x 1" : "it is not two-dimensional" };
      const sized = valueFor(all.basis, layer.inChannels) !== undefined;
      if (!sized) return { reason: `no basis size is stated for ${layer.inChannels} input channels` };
      return { reason: `its ${layer.inChannels} input channels cannot be split so` };
    });
  };
  const { transition } = options;
  return transition
    ? sequence(own, transitionBottleneck({ bottleneck: transition, init: all.init, seed: all.seed }))
    : own;
}

/**
 * The sizes of every layer that can have them, by its node. Layers of one set, and of one basis size, read the basis
 * of the first.
 */
function specify(graph: Graph, options: BasisScratchOptions & { readonly share: Share }): ReadonlyMap<Node, Sizes> {
  const layers = convLayers(graph, options).flatMap((layer) => {
    if ("reason" in layer || !applies(layer)) return [];
    const [m, p] = [valueFor(options.basis, layer.inChannels), channelsOf(layer, options)];
    return m === undefined || p === undefined ? [] : [{ ...layer, m, p, nodes: [layer], layer }];
  });
  const sets = sharingSets(graph, layers, options.share);
  const setOf = new Map(sets.flatMap((set) => set.layers.map((one) => [one, set.layers] as const)));
  return new Map(
    layers.map((one) => {
      const set = (setOf.get(one) ?? [one]).filter(({ m }) => m === one.m);
      const total = options.share === "network" ? Math.max(...set.map(({ p }) => p)) : one.p;
      return [one.node, { m: one.m, p: one.p, total, owner: set[0]!.layer }];
    }),
  );
}

const applies = ({ kernelElements, kernel }: ConvLayer): boolean => kernelElements > 1 && kernel.length === 2;

function valueFor(value: BasisScratchOptions["basis"] | undefined, channels: number): number | undefined {
  return typeof value === "object" ? value[String(channels)] : value;
}

/** p, or undefined where the channels cannot be split evenly. */
function channelsOf(layer: ConvLayer, { channels, splits = 1 }: BasisScratchOptions): number | undefined {
  const p = valueFor(channels, layer.inChannels) ?? layer.inChannels / splits;
  return Number.isInteger(p) && p > 0 && layer.inChannels % p === 0 ? p : undefined;
}

interface Sizes {
  readonly m: number;
  readonly p: number;
  /** Channels of the stored basis; more than p where layers read slices of one. */
  readonly total: number;
  /** The first layer that reads the basis; the basis is named after it. */
  readonly owner: ConvLayer;
}

interface LayerSpec extends Sizes {
  readonly insertNorm: boolean;
  readonly insertActivation: boolean;
  readonly slice: SliceEnd;
  readonly coefficientKernel: number;
  readonly layout: Exclude<Layout, "dense">;
}

/**
 * The layer's node with its parameters, which are made here. With something between basis and coefficients it is the
 * basis part alone.
 */
function describe(
  net: GraphBuilder,
  layer: ConvLayer,
  spec: LayerSpec,
): { readonly data: BasisConv; readonly second: readonly string[] } {
  const { m, p, total, owner, coefficientKernel: kernel } = spec;
  const { name, kernelElements, outChannels } = layer;
  const splits = layer.inChannels / p;
  const start = sliceStart(total, p, spec.slice);
  const basisFans = {
    path: `${owner.name}.basis`,
    fanIn: total * kernelElements,
    channelsIn: total * kernelElements,
    channelsOut: m * kernelElements,
  };
  const fanIn = splits * m * kernel * kernel;
  const coefficientFans = {
    path: `${name}.coefficients`,
    fanIn,
    channelsIn: fanIn,
    channelsOut: outChannels * kernel * kernel,
  };
  const basis = net.parameter(basisFans, "weight", "basis", [m, total, ...layer.kernel]);
  const basisBias = net.parameter({ ...basisFans, path: `${name}.basis` }, "bias", "basis-bias", [m]);
  const coefficients = net.parameter(coefficientFans, "weight", "conv", [outChannels, splits * m, kernel, kernel]);
  const bias = net.parameter(coefficientFans, "bias", "conv-bias", [outChannels]);
  const provenance = { method: "basis-scratch", error: null, weight: layer.weightName };
  const partOf = { name: layer.node.name, output: layer.output, coefficients };
  const apart = spec.insertNorm || kernel > 1;
  const own = apart
    ? {
        name: `${name}/basis`,
        output: `${name}/basis`,
        coefficients: "",
        bias: "",
        provenance: { ...provenance, partOf },
      }
    : { name: layer.node.name, output: layer.output, coefficients, bias, provenance };
  const data: BasisConv = {
    ...own,
    ...{ input: layer.input, basis, basisBias, splits, basisSize: m, outChannels, inChannels: layer.inChannels },
    kernel: layer.kernel,
    slice: total === p ? null : [start, start + p],
    attributes: layer.node.attributes,
    layout: spec.layout,
  };
  return { data, second: apart ? [coefficients, bias] : [] };
}

function writeLayer(net: GraphBuilder, layer: ConvLayer, spec: LayerSpec): Rewrite {
  const { name } = layer;
  const { data, second } = describe(net, layer, spec);
  const { splits, basisSize: m } = data;
  let x = net.push(makeBasisConv(data));
  if (spec.insertNorm) {
    x = net.norm(x, `${name}.between`, splits * m);
    x = net.push(activation(layer, x, `${name}.between.activation`));
  }
  // A batch norm or an activation, or coefficients of 3 x 3, cannot be folded back into one filter.
  if (second.length > 0)
    net.push(makeNode("Conv", [x, ...second], [layer.output], convAttributes(spec.coefficientKernel), { name }));
  const shared = spec.owner.node === layer.node ? "" : `, the basis of ${spec.owner.name}`;
  const applied = `${m} basis filters of ${spec.p} channels, ${splits} split${splits === 1 ? "" : "s"}${shared}`;
  if (!spec.insertActivation || layer.norm === undefined || layer.activation !== undefined) return { applied };
  return { applied, also: new Map([[layer.norm, close(layer, layer.norm)]]) };
}

/** The norm, and an activation behind it that takes over the name of its output. */
function close(layer: ConvLayer, norm: Node): readonly Node[] {
  const output = norm.outputs[0] ?? "";
  const inner = `${layer.name}.normed`;
  return [
    { ...norm, outputs: [inner, ...norm.outputs.slice(1)] },
    activation(layer, inner, `${layer.name}.closing`, output),
  ];
}

export const basisScratchMethod: Method<"basis-scratch", typeof fields> = {
  name: "basis-scratch",
  summary: "the paper's basis networks with new weights, to be trained",
  from: "architecture",
  options: fields,
  sizes: [256, 192, 128, 96, 64, 48, 32, 24, 16, 12, 8, 6, 4, 2, 1].map((basis) => ({ basis })),
  apply: (graph, options) => basisScratch(options)(graph),
  reconstruct: filtersOverBasis,
};

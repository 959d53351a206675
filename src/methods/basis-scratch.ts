// The paper's architecture, to be trained from scratch: every selected convolution W[n, c, h, w] becomes a convolution with a basis
// B[m, p, h, w], run over the s = c / p splits of the input, and a convolution with the coefficients A[n, s m, k, k].
// Channel g m + j of what lies between is split g, basis filter j.
import type { Layout } from "../basis/layouts.js";
import { type SliceEnd, sliceStart } from "../basis/split.js";
import { makeNode } from "../graph/attributes.js";
import { type BasisConv, makeBasisConv } from "../graph/basis-conv.js";
import { convAttributes, type GraphBuilder } from "../graph/builder.js";
import { type InitRule, initialiser } from "../graph/initialise.js";
import type { Node, Pass } from "../graph/types.js";
import { sequence } from "../passes/sequence.js";
import { type ConvLayer, convLayers, type Selection } from "./conv-layers.js";
import { basisPresets, type Preset, presetOptions } from "./presets.js";
import { activation, type Rewrite, replaceConvolutions } from "./replace.js";
import { transitionBottleneck } from "./transition.js";

/** A number for all layers, or one for each count of input channels. */
export type ByChannels = number | Readonly<Record<string, number>>;

export interface BasisScratchOptions extends Selection {
  /** How the authors build it for one of their networks. */
  readonly preset?: Preset;
  /** m: basis filters. */
  readonly basis: ByChannels;
  /** p: input channels of a basis filter. Default: c / splits. */
  readonly channels?: ByChannels;
  /** s, where p is not stated. Default 1. */
  readonly splits?: number;
  /** Which layers read one basis: none, the convolutions of a residual block, those with equal input channels, or all (slices of one). */
  readonly share?: "none" | "block" | "group" | "network";
  /** Which channels of the network's one basis a narrower layer reads. */
  readonly slice?: SliceEnd;
  /** Batch norm and activation between basis and coefficients. The filter can then not be folded back. */
  readonly insertNorm?: boolean;
  /** An activation behind the layer's batch norm where the network has none. */
  readonly insertActivation?: boolean;
  readonly coefficientKernel?: 1 | 3;
  /** T: DenseNet's transitions become C -> C / T -> C with a skip. Default: they stay as they are. */
  readonly transition?: number;
  /** How the convolutions over the splits are written; all compute the same. */
  readonly layout?: Exclude<Layout, "dense">;
  /** Rule for the coefficients; bases are always drawn from U(-b, b), b = sqrt(6 / (p h w)). */
  readonly init?: InitRule;
  readonly seed?: number;
}

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
    const candidates = convLayers(graph, all).flatMap(({ layer }) => (layer !== undefined && applies(layer) ? [layer] : []));
    const widest = Math.max(0, ...candidates.map((layer) => channelsOf(layer, all) ?? 0));
    const owners = new Map<string, ConvLayer>();
    return replaceConvolutions(graph, "basis-scratch", all, initialiser(all.init, all.seed), (layer, net) => {
      if (!applies(layer)) return { reason: layer.kernelElements === 1 ? "its kernel is 1 x 1" : "it is not two-dimensional" };
      const basisSize = byChannels(all.basis, layer.inChannels);
      const p = channelsOf(layer, all);
      if (basisSize === undefined) return { reason: `no basis size is stated for ${layer.inChannels} input channels` };
      if (p === undefined) return { reason: `its ${layer.inChannels} input channels cannot be split so` };
      const key = sharingKey(layer, all.share);
      const owner = owners.get(key) ?? layer;
      owners.set(key, owner);
      const total = all.share === "network" ? widest : p;
      const spec = { m: basisSize, p, total, owner, ...all };
      return writeLayer(net, layer, spec);
    });
  };
  const { transition } = options;
  return transition ? sequence(own, transitionBottleneck({ bottleneck: transition, init: all.init, seed: all.seed })) : own;
}

const applies = ({ kernelElements, kernel }: ConvLayer): boolean => kernelElements > 1 && kernel.length === 2;

function byChannels(value: ByChannels | undefined, channels: number): number | undefined {
  return typeof value === "object" ? value[String(channels)] : value;
}

/** p, or undefined where the channels cannot be split evenly. */
function channelsOf(layer: ConvLayer, { channels, splits = 1 }: BasisScratchOptions): number | undefined {
  const p = byChannels(channels, layer.inChannels) ?? layer.inChannels / splits;
  return Number.isInteger(p) && p > 0 && layer.inChannels % p === 0 ? p : undefined;
}

/** Layers with equal keys read the same basis. A block's convolutions have the same name up to the last two parts ("body.0.body.2"). */
function sharingKey(layer: ConvLayer, share: BasisScratchOptions["share"]): string {
  if (share === "none") return layer.name;
  const kernel = layer.kernel.join("x");
  if (share === "network") return kernel;
  if (share === "group") return `${kernel} ${layer.inChannels}`;
  return `${kernel} ${layer.inChannels} ${layer.name.split(".").slice(0, -2).join(".")}`;
}

interface LayerSpec {
  readonly m: number;
  readonly p: number;
  /** Channels of the stored basis; more than p where layers read slices of one. */
  readonly total: number;
  /** The first layer that reads the basis; the basis is named after it. */
  readonly owner: ConvLayer;
  readonly insertNorm: boolean;
  readonly insertActivation: boolean;
  readonly slice: SliceEnd;
  readonly coefficientKernel: number;
  readonly layout: Exclude<Layout, "dense">;
}

/** The layer's node with its parameters, which are made here. With something between basis and coefficients it is the basis part alone. */
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
  const coefficientFans = { path: `${name}.coefficients`, fanIn, channelsIn: fanIn, channelsOut: outChannels * kernel * kernel };
  const basis = net.parameter(basisFans, "weight", "basis", [m, total, ...layer.kernel]);
  const basisBias = net.parameter({ ...basisFans, path: `${name}.basis` }, "bias", "basis-bias", [m]);
  const coefficients = net.parameter(coefficientFans, "weight", "conv", [outChannels, splits * m, kernel, kernel]);
  const bias = net.parameter(coefficientFans, "bias", "conv-bias", [outChannels]);
  const provenance = { method: "basis-scratch", error: null, weight: layer.weightName };
  const partOf = { name: layer.node.name, output: layer.output, coefficients };
  const apart = spec.insertNorm || kernel > 1;
  const own = apart
    ? { name: `${name}/basis`, output: `${name}/basis`, coefficients: "", bias: "", provenance: { ...provenance, partOf } }
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
  const shared = spec.owner === layer ? "" : `, the basis of ${spec.owner.name}`;
  const applied = `${m} basis filters of ${spec.p} channels, ${splits} split${splits === 1 ? "" : "s"}${shared}`;
  if (!spec.insertActivation || layer.norm === undefined || layer.activation !== undefined) return { applied };
  return { applied, also: new Map([[layer.norm, close(layer, layer.norm)]]) };
}

/** The norm, and an activation behind it that takes over the name of its output. */
function close(layer: ConvLayer, norm: Node): readonly Node[] {
  const output = norm.outputs[0] ?? "";
  const inner = `${layer.name}.normed`;
  return [{ ...norm, outputs: [inner, ...norm.outputs.slice(1)] }, activation(layer, inner, `${layer.name}.closing`, output)];
}

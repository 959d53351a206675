// What tests try every method of the table with: options by which it changes a small network that has something for
// each of them, options that are wrong, and further ways in which it writes layers.
import { ints, makeNode } from "../src/graph/attributes.js";
import type { Graph } from "../src/graph/types.js";
import { tensorOf } from "../src/graph/values.js";
import type { MethodName } from "../src/methods/methods.js";
import { randomTensor, smallGraph } from "./small-graphs.js";

interface Trial {
  /** Options that change the network below. */
  readonly options: object;
  /** Options of the wrong kind, and the field that the error names. */
  readonly wrong: readonly (readonly [object, string])[];
  /** Further options by which it writes layers otherwise. */
  readonly variants?: readonly object[];
  /** The same at full rank. */
  readonly wholes?: readonly object[];
}

const weights: Trial = {
  options: { basis: 3 },
  wrong: [
    [{ basis: 0 }, "basis"],
    [{ keepParams: 2 }, "keepParams"],
    [{ share: "everything" }, "share"],
    [{ layers: { "*": { bases: 3 } } }, "layers"],
  ],
};

const chains: Trial["wrong"] = [
  [{ rank: 0 }, "rank"],
  [{ keepMacs: 1.5 }, "keepMacs"],
  [{ layers: { "*": { ranks: 3 } } }, "layers"],
];
const first = { keepFirst: 0 };

/** A row for every method; the compiler asks for it. */
export const trials: Readonly<Record<MethodName, Trial>> = {
  basis: { ...weights, options: { basis: 3, splits: 2 } },
  "filter-wise": weights,
  "channel-wise": weights,
  svd: weights,
  "basis-scratch": {
    options: { basis: 3, splits: 2, keepFirst: 0 },
    wrong: [
      [{ basis: "many" }, "basis"],
      [{ basis: 3, coefficientKernel: 2 }, "coefficientKernel"],
      [{ basis: 3, preset: "alexnet" }, "preset"],
    ],
  },
  factor: {
    options: { layers: 1, keepFirst: 0 },
    wrong: [
      [{ layers: 1.5 }, "layers"],
      [{ norm: true }, "norm"],
      [{ init: "xavier" }, "init"],
    ],
  },
  group: {
    options: { groups: 2, keepFirst: 0 },
    wrong: [
      [{ groups: [] }, "groups"],
      [{ groups: [{ upTo: 8 }] }, "groups"],
      [{ keepFirst: -1 }, "keepFirst"],
    ],
  },
  "simple-svd": { options: { rank: 3, ...first }, wrong: chains },
  zhang: {
    options: { rank: 3, ...first },
    wrong: [...chains, [{ mode: "cubic" }, "mode"], [{ form: "2d" }, "form"]],
    variants: [{ rank: 3, form: "3d", ...first }],
  },
  enc: {
    options: { rank: 3, ...first },
    wrong: [...chains, [{ search: "best" }, "search"]],
    variants: [{ keepMacs: 0.7, inputs: { x: [1, 4, 9, 8] }, ...first }],
  },
  jaderberg: {
    options: { rank: 3, ...first },
    wrong: [...chains, [{ scheme: 3 }, "scheme"]],
    variants: [
      { rank: 2, scheme: 1, ...first },
      { rank: 2, scheme: 1, basis: "own", ...first },
    ],
  },
  denton: {
    options: { rank: 3, ...first },
    wrong: [...chains, [{ channelClusters: 0 }, "channelClusters"]],
    variants: [
      { rank: 2, channelClusters: 2, filterClusters: 3, ...first },
      { rank: 2, channelClusters: 2, filterClusters: 2, grouping: "contiguous", ...first },
      { rank: 3, form: "outer-product", ...first },
      { rank: 2, form: "outer-product", channelClusters: 2, filterClusters: 3, ...first },
      { rank: 3, form: "monochromatic" },
    ],
    wholes: [
      { rank: 2, channelClusters: 4, filterClusters: 3, ...first },
      { rank: 24, form: "outer-product", ...first },
      { rank: 4, form: "outer-product", channelClusters: 2, filterClusters: 3, ...first },
    ],
  },
  cp: { options: { rank: 3, ...first }, wrong: chains },
  "group-svd": {
    options: { groups: 2, ...first },
    wrong: [
      [{ groups: 0 }, "groups"],
      [{ channelsPerGroup: 1.5 }, "channelsPerGroup"],
    ],
    variants: [{ channelsPerGroup: 1, ...first }],
  },
  kmeans: {
    options: { kernels: 5 },
    wrong: [
      [{ kernels: 0 }, "kernels"],
      [{ transforms: 4 }, "transforms"],
      [{ codebook: "shared" }, "codebook"],
    ],
    variants: [
      { kernels: 3, codebook: "layer", scales: "float32" },
      { kernels: 4, transforms: 2 },
      { kernels: 4, transforms: 8 },
    ],
    wholes: [{ kernels: 24, codebook: "layer", scales: "float32", transforms: 8 }],
  },
  kse: {
    options: { levels: 4, ...first },
    wrong: [
      [{ levels: 1 }, "levels"],
      [{ halvings: -1 }, "halvings"],
      [{ dropped: "masked" }, "dropped"],
    ],
    variants: [
      { levels: 3, halvings: 2, ...first },
      { levels: 3, halvings: 2, dropped: "zeros", ...first },
      { levels: 8, halvings: 1, legacyEntropy: true, ...first },
    ],
    wholes: [],
  },
  slimming: {
    options: { rate: 0.5 },
    wrong: [
      [{ rate: 1 }, "rate"],
      [{ keepParams: 0 }, "keepParams"],
      [{ score: "size" }, "score"],
    ],
  },
  cap: {
    options: { keep: 0.5 },
    wrong: [
      [{ keep: 0 }, "keep"],
      [{ keepMacs: 2 }, "keepMacs"],
    ],
  },
  amc: {
    options: { keepParams: 0.6 },
    wrong: [
      [{ episodes: 0 }, "episodes"],
      [{ coupled: "yes" }, "coupled"],
    ],
  },
  transition: {
    options: { bottleneck: 3 },
    wrong: [
      [{}, "bottleneck"],
      [{ bottleneck: 0 }, "bottleneck"],
    ],
  },
};

/** The size of the input of the networks here. */
export const shapes = new Map([["x", [1, 4, 9, 8]]]);
export const fed = (graph: Graph): Graph => ({
  ...graph,
  inputs: [{ name: "x", tensor: { type: "float32", dims: shapes.get("x")! } }],
});

/** conv - norm - ReLU - 1 x 1 - average pooling: every method finds something in it. */
export const network = fed(
  smallGraph({
    nodes: [
      makeNode("Conv", ["x", "a.weight", "a.bias"], ["a"], { pads: ints([1, 1, 1, 1]) }, { name: "a" }),
      makeNode("BatchNormalization", ["a", "one", "zero", "zero", "one"], ["n"], {}, { name: "n" }),
      makeNode("Relu", ["n"], ["r"], {}, { name: "r" }),
      makeNode("Conv", ["r", "t.weight"], ["t"], {}, { name: "t" }),
      makeNode("AveragePool", ["t"], ["y"], { kernel_shape: ints([2, 2]), strides: ints([2, 2]) }, { name: "pool" }),
    ],
    initializers: {
      "a.weight": randomTensor([6, 4, 3, 3], 1),
      "a.bias": randomTensor([6], 2),
      "t.weight": randomTensor([6, 6, 1, 1], 3),
      one: tensorOf("float32", [6], [1, 1, 1, 1, 1, 1]),
      zero: tensorOf("float32", [6], [0, 0, 0, 0, 0, 0]),
    },
    outputs: ["y"],
  }),
);

// Kernel sparsity and entropy (Li et al., 2019): the n kernels of every input channel are clustered into q centroids, q
// by the channel's indicator (basis/kernel-indicator.ts): 0 (the channel is dropped, the convolution reads the others),
// n (it stays) or something between, by G levels and T further halvings. Weights: sum over the channels of q h w, and
// of an index for each kernel where 0 < q < n. Multiply-accumulates in the paper's count: every centroid is convolved
// once, sum q h w; as executed, all kernels of the channels that are left. Source: the paper's definition, the authors'
// code where it agrees; `legacyEntropy` reads the array as their code does. That the paper's figures of
// multiply-accumulates are the first count is remembered. G and T under a budget: those in 3..8 and 0..2 whose count
// comes nearest from below; a budget in multiply-accumulates is of the paper's count.
import * as z from "zod/mini";
import { centroidsOf, channelIndicator, kernelsOf } from "../basis/kernel-indicator.js";
import { kmeans } from "../basis/kmeans.js";
import { FilterBasisError } from "../errors/error.js";
import { int } from "../graph/attributes.js";
import type { Graph, Outcome, PassResult } from "../graph/types.js";
import { numbers } from "../graph/values.js";
import { cost } from "../ops/cost/cost.js";
import { type ChainLayer, findChainLayers } from "./chain-layers.js";
import { densePrice } from "./chain-line.js";
import { filtersOfCode } from "./codes.js";
import type { Method } from "./method.js";
import { about, count, type OptionsOf, optional, selectionFields } from "./options.js";
import { chainFields } from "./plan-chains.js";
import { nothingToDo } from "./plan-groups.js";
import type { StoredAs } from "./store.js";
import { type CodeBuilder, indexBits, type WrittenCode, writeCodes } from "./write-codes.js";

const { keepParams, keepMacs, keepFirst, inputs } = chainFields;
const fields = {
  ...selectionFields,
  ...{ keepParams, keepMacs, keepFirst, inputs },
  ...optional({
    levels: about("G, instead of a budget", z.int().check(z.gte(2))),
    halvings: about("T; default 0", z.int().check(z.nonnegative())),
    alpha: about("weight of the entropy; default 1", z.number().check(z.nonnegative())),
    legacyEntropy: about("the entropy as the authors' code computes it", z.boolean()),
    dropped: about(
      "of channels that are dropped: the input's others are selected (default), or filters of zeros are read",
      z.enum(["select", "zeros"]),
    ),
    seed: about("of k-means; default 1", z.int().check(z.nonnegative())),
    sweeps: about("of k-means at most; default 100", count),
  }),
};

type Options = OptionsOf<typeof fields>;

export const kse: Method<"kse", typeof fields> = {
  name: "kse",
  summary: "kernels of each input channel from a codebook, by sparsity and entropy (Li et al.)",
  remembered: "that the paper's multiply-accumulates count each centroid once",
  from: "weights",
  options: fields,
  apply,
  reconstruct: filtersOfCode,
};

interface Measured {
  readonly layer: ChainLayer;
  readonly values: Float64Array;
  readonly indicator: Float64Array;
}

interface Point {
  readonly levels: number;
  readonly halvings: number;
}

function apply(graph: Graph, options: Options): PassResult {
  const { keepFirst: early = 1, inputs: shapes = new Map() } = options;
  const found = findChainLayers(graph, shapes, { ...options, keepFirst: early });
  if (found.layers.length === 0) throw nothingToDo(found.skipped);
  const measured = found.layers.map((layer): Measured => {
    const values = numbers(layer.layer.weight);
    const { n, c } = layer.shape;
    return { layer, values, indicator: channelIndicator(values, [n, c, layer.layer.kernelElements], options) };
  });
  const { levels, halvings = 0 } = options;
  const point = levels === undefined ? pointFor(graph, measured, options) : { levels, halvings };
  const written = measured.map((one) => codeLayer(one, point, options));
  const outcomes: Outcome[] = written.flatMap(({ layer, about }) =>
    layer.layer.nodes.map(({ name }) => {
      const reason = `${about.description}, relative error ${about.error.toPrecision(3)}`;
      return { pass: "kse", layer: name, applied: true, reason };
    }),
  );
  outcomes.push(...found.skipped.map(({ name, reason }) => ({ pass: "kse", layer: name, applied: false, reason })));
  return { graph: writeCodes(graph, written, "kse"), outcomes };
}

/** Floats of a layer: sum of q h w. */
function floatsOf({ layer, indicator }: Measured, { levels, halvings }: Point): number {
  const { shape, layer: own } = layer;
  return indicator.reduce((sum, v) => sum + centroidsOf(v, shape.n, levels, halvings) * own.kernelElements, 0);
}

/** The largest network within the budget. */
function pointFor(graph: Graph, measured: readonly Measured[], options: Options): Point {
  const { keepParams: keepWeights, keepMacs: macs, inputs: shapes = new Map() } = options;
  if (keepWeights !== undefined && macs !== undefined)
    throw new FilterBasisError("usage", "give one budget: keepParams or keepMacs");
  const price = macs === undefined ? "weights" : "macs";
  const keep = macs ?? keepWeights ?? 0.5;
  const all = cost(graph, shapes)[price];
  const dense = measured.map(({ layer }) => densePrice(layer, price));
  const fixed = all - dense.reduce((sum, one) => sum + one, 0);
  const points = scan.map((point) => ({
    point,
    cost:
      fixed +
      measured.reduce((sum, one, i) => {
        const { n, c } = one.layer.shape;
        return sum + (dense[i]! * floatsOf(one, point)) / (n * c * one.layer.layer.kernelElements);
      }, 0),
  }));
  const within = points.filter(({ cost: own }) => own <= keep * all);
  if (within.length > 0) return within.reduce((a, b) => (b.cost > a.cost ? b : a)).point;
  const least = Math.ceil((Math.min(...points.map(({ cost: own }) => own)) / all) * 1e4) / 1e4;
  const field = macs === undefined ? "keep-params" : "keep-macs";
  throw new FilterBasisError(
    "budget-unreachable",
    `the budget --${field} ${keep} cannot be met: the least of G = 3..8 and T = 0..2 is ${least}`,
    {
      field,
      expected: `at least ${least}`,
      got: `${keep}`,
      facts: { reachable: least },
    },
  );
}

const scan: readonly Point[] = [3, 4, 5, 6, 7, 8].flatMap((levels) =>
  [0, 1, 2].map((halvings) => ({ levels, halvings })),
);

/** Channels with one number of centroids, in order. */
interface Level {
  readonly q: number;
  readonly channels: readonly number[];
}

function codeLayer({ layer, values, indicator }: Measured, point: Point, options: Options): WrittenCode {
  const { seed = 1, sweeps = 100, dropped: how = "select" } = options;
  const { n, c } = layer.shape;
  const area = layer.layer.kernelElements;
  const sizes = Array.from(indicator, (v) => centroidsOf(v, n, point.levels, point.halvings));
  const levels = [...new Set(sizes)]
    .filter((q) => q > 0)
    .sort((a, b) => b - a)
    .map((q): Level => ({ q, channels: sizes.flatMap((size, j) => (size === q ? [j] : [])) }));
  const kept = sizes.flatMap((size, j) => (size > 0 ? [j] : []));
  const codes = new Map(
    kept
      .filter((j) => sizes[j]! < n)
      .map(
        (j) =>
          [j, kmeans(kernelsOf(values, n, c, area, j), area, sizes[j]!, { seed: `${seed} ${j}`, sweeps })] as const,
      ),
  );
  let [lost, all] = [0, 0];
  for (let i = 0; i < n; i++)
    for (let j = 0; j < c; j++)
      for (let t = 0; t < area; t++) {
        const value = values[(i * c + j) * area + t]!;
        const code = codes.get(j);
        const own = sizes[j] === n ? value : code === undefined ? 0 : code.centroids[code.labels[i]! * area + t]!;
        lost += (value - own) ** 2;
        all += value * value;
      }
  const floats = sizes.reduce((sum, q) => sum + q * area, 0);
  const told = levels.map(({ q, channels }) => `${channels.length} of ${q}`).join(", ");
  const dropped = c - kept.length;
  return {
    layer,
    build: (builder) => buildLayer(builder, layer, values, how === "zeros" ? withZeros(levels, sizes) : levels, codes),
    ...(dropped > 0 && how === "select" ? { selected: kept } : {}),
    about: {
      description: `kse, channels by their centroids: ${told}${dropped > 0 ? `, ${dropped} dropped` : ""}, ${n * c * area} -> ${floats} weights`,
      paperMacs: floats,
      error: all > 0 ? Math.sqrt(lost / all) : 0,
    },
  };
}

/** The channels that are dropped, as a level of its own. */
function withZeros(levels: readonly Level[], sizes: readonly number[]): readonly Level[] {
  const channels = sizes.flatMap((size, j) => (size === 0 ? [j] : []));
  return channels.length === 0 ? levels : [...levels, { q: 0, channels }];
}

/** The levels one behind the other, then the channels in their order. */
function buildLayer(
  builder: CodeBuilder,
  { layer, shape: { n, c } }: ChainLayer,
  values: Float64Array,
  levels: readonly Level[],
  codes: ReadonlyMap<number, ReturnType<typeof kmeans>>,
): ReturnType<WrittenCode["build"]> {
  const { weightName, kernel, kernelElements: area } = layer;
  const types = { stored: layer.weight.type, read: layer.type };
  const parameters: string[] = [];
  const indices: { name: string; bits: number }[] = [];
  const parts = levels.map(({ q, channels }) => {
    const stem = `${weightName}.level.${q}`;
    if (q === 0) return zeros(builder, stem, types, [n, channels.length, ...kernel]);
    if (q === n) {
      const own = new Float64Array(n * channels.length * area);
      for (let i = 0; i < n; i++)
        for (const [at, j] of channels.entries())
          own.set(values.subarray((i * c + j) * area, (i * c + j + 1) * area), (i * channels.length + at) * area);
      const value = builder.put(stem, types, [n, channels.length, ...kernel], own);
      parameters.push(builder.rootOf(value));
      return value;
    }
    const centroids = new Float64Array(channels.length * q * area);
    const labels = new Int32Array(n * channels.length);
    for (const [at, j] of channels.entries()) {
      const code = codes.get(j)!;
      centroids.set(code.centroids, at * q * area);
      for (let i = 0; i < n; i++) labels[i * channels.length + at] = code.labels[i]!;
    }
    if (q === 1) {
      const value = builder.put(stem, types, [1, channels.length, ...kernel], centroids);
      parameters.push(builder.rootOf(value));
      const repeats = builder.put(
        `${stem}.repeats`,
        int64,
        [kernel.length + 2],
        [n, ...Array.from({ length: kernel.length + 1 }, () => 1)],
      );
      return builder.node("Tile", [value, repeats], `${stem}.repeated`);
    }
    const value = builder.put(stem, types, [channels.length * q, ...kernel], centroids);
    parameters.push(builder.rootOf(value));
    const own = builder.indices(`${stem}.indices`, [n, channels.length], labels);
    indices.push({ name: own.name, bits: indexBits(q) });
    const starts = builder.indices(
      `${stem}.starts`,
      [channels.length],
      channels.map((_, at) => at * q),
    );
    const places = builder.node("Add", [own.value, starts.value], `${stem}.places`);
    return builder.node("Gather", [value, places], `${stem}.kernels`, { axis: int(0) });
  });
  const joined =
    parts.length === 1 ? parts[0]! : builder.node("Concat", parts, `${weightName}.joined`, { axis: int(1) });
  return { weight: inOrder(builder, weightName, joined, levels), parameters, indices };
}

/** Filters of zeros, of one number that is stored. */
function zeros(builder: CodeBuilder, stem: string, types: StoredAs, dims: readonly number[]): string {
  const zero = builder.put(stem, types, [1], [0]);
  const shape = builder.put(`${stem}.shape`, int64, [dims.length], dims);
  return builder.node("Expand", [zero, shape], `${stem}.filled`);
}

const int64 = { stored: "int64", read: "int64" } as const;

function inOrder(builder: CodeBuilder, stem: string, joined: string, levels: readonly Level[]): string {
  const placed = levels.flatMap(({ channels }) => channels);
  const order = [...placed].sort((a, b) => a - b).map((channel) => placed.indexOf(channel));
  if (order.every((from, to) => from === to)) return joined;
  const places = builder.indices(`${stem}.order`, [order.length], order);
  return builder.node("Gather", [joined, places.value], `${stem}.coded`, { axis: int(1) });
}

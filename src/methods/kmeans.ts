// Kernels from a codebook (Son et al., 2018): every kernel of two dimensions is a scale times one of k centroids, W[i,
// j] = a[i, j] C[index[i, j]], which all layers of the network share (or each layer has its own). The paper's count is
// one parameter for each scale, one for each index and the codebook: 2/9 of 3 x 3 layers. Multiply-accumulates stay.
// Source: the authors' code, with guards for kernels of zeros and empty clusters; how clusters are found:
// basis/kmeans.ts, basis/kernel-codes.ts. Scales are stored in half precision, as the authors round them; they are
// rounded when the model is stored, not in every step of training. Under a budget k is the largest that keeps it, at
// most 1024: that bound is our own.
import * as z from "zod/mini";
import { codeKernels, type KernelCodes, kernelTransforms } from "../basis/kernel-codes.js";
import { FilterBasisError } from "../errors/error.js";
import { int } from "../graph/attributes.js";
import type { Graph, Outcome, PassResult } from "../graph/types.js";
import { numbers } from "../graph/values.js";
import { cost } from "../ops/cost/cost.js";
import { type ChainLayer, findChainLayers } from "./chain-layers.js";
import { filtersOfCode } from "./codes.js";
import { paperWeights } from "./counts.js";
import type { Method } from "./method.js";
import { about, count, type OptionsOf, optional, selectionFields } from "./options.js";
import { chainFields } from "./plan-chains.js";
import { nothingToDo } from "./plan-groups.js";
import { type CodeBuilder, indexBits, type WrittenCode, writeCodes } from "./write-codes.js";

const { keepParams, keepMacs, keepFirst, inputs } = chainFields;
const fields = {
  ...selectionFields,
  ...{ keepParams, keepMacs, inputs },
  keepFirst: about("the first so many convolutions stay; default 0", keepFirst),
  ...optional({
    kernels: about("k, centroids of a codebook, instead of a budget", count),
    codebook: about(
      "one for each size of kernel in the network (default), or one a layer",
      z.enum(["network", "layer"]),
    ),
    transforms: about(
      "an index may mirror its centroid (2), mirror and transpose it (8); default 1",
      z.union([z.literal(1), z.literal(2), z.literal(8)]),
    ),
    scales: about("how scales are stored; default float16", z.enum(["float16", "float32"])),
    seed: about("of k-means; default 1", z.int().check(z.nonnegative())),
    sweeps: about("of k-means at most; default 100", count),
  }),
};

type Options = OptionsOf<typeof fields>;

export const kmeansMethod: Method<"kmeans", typeof fields> = {
  name: "kmeans",
  summary: "kernels from one codebook, each with a scale (Son et al.)",
  remembered: "that a budget gives at most 1,024 centroids",
  from: "weights",
  options: fields,
  apply,
  reconstruct: filtersOfCode,
  fullRank: ({ outChannels, inChannels }) => ({ kernels: outChannels * inChannels, scales: "float32" }),
};

/** Layers that share a codebook. */
interface Book {
  readonly name: string;
  readonly layers: readonly ChainLayer[];
  /** Kernels of all layers together. */
  readonly count: number;
}

/** Centroids under a budget, at most. */
const mostKernels = 1024;

function apply(graph: Graph, options: Options): PassResult {
  const found = findChainLayers(graph, options.inputs ?? new Map(), options, ({ layer }) =>
    layer.kernelElements === 1 ? "its kernel is 1 x 1" : undefined,
  );
  if (found.layers.length === 0) throw nothingToDo(found.skipped);
  const books = booksOf(found.layers, options);
  const k = options.kernels ?? kernelsFor(graph, books, options);
  const outcomes: Outcome[] = [];
  const tell = (layer: string, applied: boolean, reason: string) =>
    outcomes.push({ pass: "kmeans", layer, applied, reason });
  const fitting = books.filter((book) => k <= book.count);
  if (fitting.length === 0) throw tooMany(k, books);
  const written = fitting.flatMap((book) => codeBook(book, k, options));
  for (const { layer, about } of written)
    for (const { name } of layer.layer.nodes)
      tell(name, true, `${about.description}, relative error ${about.error.toPrecision(3)}`);
  for (const book of books)
    if (k > book.count)
      for (const { layer } of book.layers)
        tell(layer.name, false, `a codebook of ${k} is larger than its ${book.count} kernels`);
  for (const { name, reason } of found.skipped) tell(name, false, reason);
  return { graph: writeCodes(graph, written, "kmeans"), outcomes };
}

function booksOf(layers: readonly ChainLayer[], { codebook = "network" }: Options): readonly Book[] {
  const sets = new Map<string, ChainLayer[]>();
  for (const layer of layers) {
    const { name, kernel, type } = layer.layer;
    const key = codebook === "layer" ? name : `${kernel.join("x")}${type === "float32" ? "" : ` ${type}`}`;
    sets.set(key, [...(sets.get(key) ?? []), layer]);
  }
  return [...sets].map(([name, own]) => ({
    name,
    layers: own,
    count: own.reduce((sum, { shape }) => sum + shape.n * shape.c, 0),
  }));
}

/** The largest k within the budget, by the paper's count. */
function kernelsFor(
  graph: Graph,
  books: readonly Book[],
  { keepParams = 0.5, keepMacs, inputs = new Map() }: Options,
): number {
  if (keepMacs !== undefined && keepMacs < 1)
    throw unreachable("keep-macs", keepMacs, 1, "all multiply-accumulates stay");
  const all = cost(graph, inputs).weights;
  const areas = books.map(({ layers }) => layers[0]!.layer.kernelElements);
  const fixed = paperWeights(graph) + books.reduce((sum, { count: kernels }, i) => sum + kernels * (2 - areas[i]!), 0);
  const each = areas.reduce((sum, area) => sum + area, 0);
  const k = Math.floor((keepParams * all - fixed) / each);
  if (k < 1)
    throw unreachable(
      "keep-params",
      keepParams,
      Math.ceil(((fixed + each) / all) * 1e4) / 1e4,
      "each kernel keeps a scale and an index",
    );
  return Math.min(k, mostKernels, Math.max(...books.map(({ count: kernels }) => kernels)));
}

function unreachable(option: string, keep: number, least: number, why: string): FilterBasisError {
  const problem = `the budget --${option} ${keep} cannot be met by a codebook of kernels: the least reachable is ${least}, for ${why}`;
  return new FilterBasisError("budget-unreachable", problem, {
    field: option,
    expected: `at least ${least}`,
    got: `${keep}`,
    facts: { reachable: least },
  });
}

function tooMany(k: number, books: readonly Book[]): FilterBasisError {
  const most = Math.max(...books.map(({ count: kernels }) => kernels));
  return new FilterBasisError("invalid-plan", "the codebook is larger than the number of kernels", {
    field: "kernels",
    expected: `at most ${most}`,
    got: `${k}`,
  });
}

function codeBook(book: Book, k: number, options: Options): readonly WrittenCode[] {
  const { transforms = 1, scales: precision = "float16", seed = 1, sweeps = 100, codebook = "network" } = options;
  const { kernel } = book.layers[0]!.shape;
  const own = book.layers.map(({ layer }) => numbers(layer.weight));
  const all = new Float64Array(own.reduce((sum, values) => sum + values.length, 0));
  let offset = 0;
  const starts = own.map((values) => {
    all.set(values, offset);
    offset += values.length;
    return offset - values.length;
  });
  const area = kernel[0] * kernel[1];
  const codes = codeKernels(all, k, { kernel, transforms, seed, sweeps });
  let stored: { readonly value: string; readonly name: string } | undefined;
  return book.layers.map((layer, at): WrittenCode => {
    const { n, c } = layer.shape;
    const from = starts[at]! / area;
    const part = {
      indices: codes.indices.subarray(from, from + n * c),
      scales: codes.scales.subarray(from, from + n * c),
    };
    const sharing =
      codebook === "layer" ? "its own" : `one for all ${book.layers.length} layers of ${book.name} kernels`;
    return {
      layer,
      build(builder) {
        stored ??= storeBook(builder, layer, codes, k, kernelTransforms(kernel, transforms));
        return buildLayer(builder, layer, stored, part, precision, k * kernelTransforms(kernel, transforms).length);
      },
      about: {
        description: `kmeans, ${k} kernels, ${sharing}`,
        paperMacs: n * c * area,
        error: relativeError(own[at]!, codes, part, area, kernelTransforms(kernel, transforms)),
      },
    };
  });
}

/** The codebook, and what indices look it up in: with transforms every centroid is followed by its images. */
function storeBook(
  builder: CodeBuilder,
  { layer }: ChainLayer,
  { centroids }: KernelCodes,
  k: number,
  orders: readonly (readonly number[])[],
): { readonly value: string; readonly name: string } {
  const types = { stored: layer.type, read: layer.type };
  const stem = `kmeans.${layer.kernel.join("x")}.codebook`;
  const area = layer.kernelElements;
  if (orders.length === 1) {
    const name = builder.put(stem, types, [k, ...layer.kernel], centroids);
    return { value: name, name };
  }
  const name = builder.put(stem, types, [k, area], centroids);
  const places = builder.put(`${stem}.transforms`, int64, [orders.length * area], orders.flat());
  const images = builder.node("Gather", [name, places], `${stem}.images`, { axis: int(1) });
  const shape = builder.put(`${stem}.shape`, int64, [layer.kernel.length + 1], [k * orders.length, ...layer.kernel]);
  return { value: builder.node("Reshape", [images, shape], `${stem}.all`), name };
}

const int64 = { stored: "int64", read: "int64" } as const;

/** scale Gather(codebook, index) */
function buildLayer(
  builder: CodeBuilder,
  { layer, shape: { n, c } }: ChainLayer,
  book: { readonly value: string; readonly name: string },
  part: Pick<KernelCodes, "indices" | "scales">,
  precision: "float16" | "float32",
  choices: number,
): ReturnType<WrittenCode["build"]> {
  const { weightName, type, kernel } = layer;
  const indices = builder.indices(`${weightName}.indices`, [n, c], part.indices);
  const types = { stored: precision === "float16" || type === "float16" ? "float16" : type, read: type } as const;
  const scales = builder.put(`${weightName}.scales`, types, [n, c, ...kernel.map(() => 1)], part.scales);
  const kernels = builder.node("Gather", [book.value, indices.value], `${weightName}.kernels`, { axis: int(0) });
  const weight = builder.node("Mul", [kernels, scales], `${weightName}.coded`);
  return {
    weight,
    parameters: [book.name, builder.rootOf(scales)],
    indices: [{ name: indices.name, bits: indexBits(choices) }],
  };
}

function relativeError(
  weight: Float64Array,
  { centroids }: KernelCodes,
  { indices, scales }: Pick<KernelCodes, "indices" | "scales">,
  area: number,
  orders: readonly (readonly number[])[],
): number {
  let [lost, all] = [0, 0];
  for (let i = 0; i < indices.length; i++) {
    const [centroid, transform] = [Math.floor(indices[i]! / orders.length), indices[i]! % orders.length];
    for (let t = 0; t < area; t++) {
      const value = weight[i * area + t]!;
      lost += (value - scales[i]! * centroids[centroid * area + orders[transform]![t]!]!) ** 2;
      all += value * value;
    }
  }
  return all > 0 ? Math.sqrt(lost / all) : 0;
}

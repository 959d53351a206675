// The data side of a training: batches to train on, and how a network is evaluated, for classification and for
// super-resolution.
import { basename } from "node:path";
import { type Data, imagePairs, labelledImages } from "../data/dataset.js";
import type { Image } from "../data/image.js";
import { firstImages, parseNormalization } from "../data/image-set.js";
import { loadPair } from "../data/load-pair.js";
import type { PairFiles } from "../data/sr-pairs.js";
import { namedDatasets, openData } from "../data/table.js";
import { FilterBasisError } from "../errors/error.js";
import { selfEnsemble } from "../evaluate/chop.js";
import { type Runnable, topOne } from "../evaluate/classify.js";
import { measureSr } from "../evaluate/measure-sr.js";
import { describeSrModel, inputPlanes, type SrModel } from "../evaluate/sr-model.js";
import { threads } from "../torch/index.js";
import { openBatches } from "./loaders.js";
import type { Metrics } from "./loop.js";
import type { Recipe } from "./recipe.js";
import type { BatchSource } from "./sources.js";

/** Owns open files: dispose it. */
export interface TaskData extends Disposable {
  readonly source: BatchSource;
  /** The metric that decides which epoch was best, and whether more of it is better. */
  readonly primaryMetric: { readonly name: string; readonly higher: boolean };
  evaluate(model: Runnable): Promise<Metrics>;
  /** What a user of the trained model must know; goes into its metadata. */
  readonly conventions: Readonly<Record<string, string>>;
}

type Opener = (recipe: Recipe, data: Data, original: Runnable, note: (text: string) => void) => Promise<TaskData>;

/** Opens the data that a recipe names. `original` is the network as it was before compression; its conventions hold. */
export async function openTaskData(
  recipe: Recipe,
  original: Runnable,
  note: (text: string) => void,
): Promise<TaskData> {
  const { name, scale } = recipe.data;
  const data = await openData(sourceOf(recipe.data), { note });
  const labels = data.labelled !== undefined || recipe.loss.task !== "none";
  const open: Opener = name === "pairs" || scale !== undefined ? superResolution : labels ? classification : unlabelled;
  return await open(recipe, data, original, note);
}

/**
 * What the data's name and folder stand for: `folder` and `pairs` are whatever lies there; a data set's own name may be
 * given another place.
 */
function sourceOf({ name, folder }: Recipe["data"]): string {
  if (folder !== undefined) return folder;
  if (name !== "folder" && name !== "pairs") return name;
  throw new FilterBasisError("invalid-recipe", "the data has no path", {
    field: "data.folder",
    expected: `a path, or one of ${namedDatasets.map((set) => set.name).join(", ")}`,
  });
}

/**
 * Trains on the training images and evaluates on the test images; without any of the latter, evaluates on what was
 * trained on and says so.
 */
async function classification(
  recipe: Recipe,
  from: Data,
  original: Runnable,
  note: (text: string) => void,
): Promise<TaskData> {
  if (from.labelled === undefined)
    throw new FilterBasisError("data-mismatch", "the images have no labels", {
      file: from.name,
      cures: ["train on the original's outputs alone: --distill, or loss.task none and loss.distill in a recipe"],
    });
  const { train, test = train } = await labelledImages(from);
  if (train === undefined || test === undefined) {
    throw new FilterBasisError("data-mismatch", "there are no training images", {
      file: from.name,
      expected: "folders train and test above the classes",
    });
  }
  if (test === train) note("no test images: the metrics are measured on the training images");
  const { data, loss, seed } = recipe;
  const normalization = parseNormalization(data.normalize);
  const evaluated = firstImages(test, data.testSubset ?? test.count);
  await topOne(original, firstImages(test, 1), normalization); // a network for other images or classes: now, not after the first epoch
  const { batch, augment, dropLast } = data;
  const set = firstImages(train, data.subset ?? train.count);
  const options = { batch, augment, dropLast, normalization, seed, labelled: loss.task !== "none" };
  const batches = await openBatches({ kind: "images", set, options }, loadersOf(recipe, note));
  return {
    source: batches,
    primaryMetric: { name: "top1Error", higher: false },
    evaluate: async (model) => ({
      top1Error: (await topOne(model, evaluated, normalization, { batch: 250 })).top1Error,
    }),
    conventions: { "filterbasis.normalize": data.normalize },
    [Symbol.dispose]: () => batches[Symbol.dispose](),
  };
}

/**
 * Patches of images. Range, channels and enlargement are found out by running the network, unless the recipe states
 * them.
 */
async function superResolution(
  recipe: Recipe,
  from: Data,
  original: Runnable,
  note: (text: string) => void,
): Promise<TaskData> {
  const { data, loss, seed } = recipe;
  const { scale, patch = 48 * (scale ?? 2), batch, augment, stepsPerEpoch } = data;
  if (scale === undefined)
    throw new FilterBasisError("invalid-recipe", "super-resolution needs a scale", { field: "data.scale" });
  const pairs = without((await imagePairs(from, scale)).pairs, data.exclude).slice(0, data.subset);
  const first = pairs[0];
  if (first === undefined) throw new FilterBasisError("not-found", "no images to train on", { file: from.name });
  const sample = (await loadPair(first, scale)).lr;
  const { channels, range, enlarged } = await describeSrModel(original, sample, { scale, range: data.range ?? "auto" });
  const testData = data.test === undefined ? undefined : await openData(data.test, { note });
  const testPairs = testData === undefined ? [] : (await imagePairs(testData, scale)).pairs.slice(0, data.testSubset);
  const infer = recipe.selfEnsemble ? { infer: (sr: SrModel, lr: Image) => selfEnsemble(sr, inputPlanes(sr, lr)) } : {};
  const how = { scale, patch, range, channels, enlarged, augment };
  const options = { ...how, batch, stepsPerEpoch, seed, labelled: loss.task !== "none" };
  const batches = await openBatches({ kind: "patches", pairs, options }, loadersOf(recipe, note));
  return {
    source: batches,
    primaryMetric: { name: "psnr", higher: true },
    async evaluate(model) {
      if (testPairs.length === 0) return {};
      const sr: SrModel = { model, channels, range, scale, enlarged };
      const { psnr, ssim, bicubic } = await measureSr(sr, testPairs, infer);
      return { psnr, ssim, bicubicPsnr: bicubic.psnr };
    },
    conventions: { "filterbasis.range": String(range), "filterbasis.scale": String(scale) },
    [Symbol.dispose]: () => batches[Symbol.dispose](),
  };
}

/** Images without labels, for distillation alone: the network's own input size, nothing to measure on. */
async function unlabelled(
  recipe: Recipe,
  from: Data,
  original: Runnable,
  note: (text: string) => void,
): Promise<TaskData> {
  const { data, seed } = recipe;
  const { batch, normalize, range = 1 } = data;
  const [height, width] = original.inputs[0]?.dims.slice(2) ?? [];
  const size = typeof height === "number" && typeof width === "number" ? { size: { width, height } } : {};
  const limit = data.subset === undefined ? {} : { limit: data.subset };
  const inputs = await from.inputs({ batch, normalize, range, seed, note, ...size, ...limit });
  note(`${inputs.count} images without labels: there is nothing to measure quality on`);
  return {
    source: inputs,
    primaryMetric: { name: "top1Error", higher: false },
    evaluate: async () => ({}),
    conventions: { "filterbasis.normalize": normalize, ...(range === 255 && { "filterbasis.range": "255" }) },
    [Symbol.dispose]: () => undefined,
  };
}

/** How many loader threads are started: those asked for, bounded like every other kind of thread. */
function loadersOf({ data: { loaders } }: Recipe, note: (text: string) => void): number {
  const most = threads();
  if (loaders > most) note(`${most} of ${loaders} loaders: no more than the threads that compute`);
  return Math.min(loaders, most);
}

function without(pairs: readonly PairFiles[], exclude: readonly string[]): readonly PairFiles[] {
  return pairs.filter(({ hr }) => !exclude.includes(basename(hr)));
}

// The data side of a training: batches to train on, and how a network is evaluated, for classification and for
// super-resolution.
import { basename } from "node:path";
import { type Data, imagePairs, labelledImages } from "../data/dataset.js";
import type { Image } from "../data/image.js";
import { firstImages, type ImageSet, parseNormalization } from "../data/image-set.js";
import { loadPair } from "../data/load-pair.js";
import type { PairFiles } from "../data/sr-pairs.js";
import { namedDatasets, openData } from "../data/table.js";
import { FilterBasisError } from "../errors/error.js";
import { selfEnsemble } from "../evaluate/chop.js";
import { type Runnable, topOne } from "../evaluate/classify.js";
import { type ImageQuality, measureSr } from "../evaluate/measure-sr.js";
import { describeSrModel, inputPlanes, type SrModel } from "../evaluate/sr-model.js";
import { threads } from "../torch/index.js";
import { openBatches } from "./loaders.js";
import type { Metrics } from "./loop.js";
import type { Recipe } from "./recipe.js";
import { type BatchSource, openSource, type SourcePlan } from "./sources.js";
import { unlabelled } from "./unlabelled.js";
import { alone, gather, type World } from "./world.js";

/** Owns open files: dispose it. */
export interface TaskData extends Disposable {
  readonly source: BatchSource;
  /** Whole batches, where several processes share them out: for what one process does for all before the first step. */
  readonly whole: BatchSource;
  /** The metric that decides which epoch was best, and whether more of it is better. */
  readonly primaryMetric: { readonly name: string; readonly higher: boolean };
  evaluate(model: Runnable): Promise<Metrics>;
  /** What a user of the trained model must know; goes into its metadata. */
  readonly conventions: Readonly<Record<string, string>>;
}

/** Opens data of one kind for a recipe. */
export type Opener = (
  recipe: Recipe,
  data: Data,
  original: Runnable,
  note: (text: string) => void,
  world: World,
) => Promise<TaskData>;

/** Opens the data that a recipe names. `original` is the network as it was before compression; its conventions hold. */
export async function openTaskData(
  recipe: Recipe,
  original: Runnable,
  note: (text: string) => void,
  world: World = alone,
): Promise<TaskData> {
  const { name, scale, labels: wanted } = recipe.data;
  const data = await openData(sourceOf(recipe.data), { note });
  const labels = (data.labelled !== undefined && wanted) || recipe.loss.task !== "none";
  const open: Opener = name === "pairs" || scale !== undefined ? superResolution : labels ? classification : unlabelled;
  return await open(recipe, data, original, note, world);
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
  world: World = alone,
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
  const batches = await openShared({ kind: "images", set, options }, loadersOf(recipe, note), world);
  const own = imagesOf(evaluated, world);
  return {
    ...batches,
    primaryMetric: { name: "top1Error", higher: false },
    async evaluate(model) {
      const { wrong } = await topOne(model, own, normalization, { batch: 250 });
      const all = await gather(world, [wrong]);
      return { top1Error: (100 * all.reduce((sum, [count = 0]) => sum + count, 0)) / evaluated.count };
    },
    conventions: { "filterbasis.normalize": data.normalize },
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
  world: World = alone,
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
  const batches = await openShared({ kind: "patches", pairs, options }, loadersOf(recipe, note), world);
  return {
    ...batches,
    primaryMetric: { name: "psnr", higher: true },
    async evaluate(model) {
      if (testPairs.length === 0) return {};
      const sr: SrModel = { model, channels, range, scale, enlarged };
      const own = testPairs.filter((_, at) => at % world.size === world.rank);
      const measured = own.length === 0 ? [] : (await measureSr(sr, own, infer)).perImage;
      return meanQuality(await gather(world, rowsOfQuality(measured, testPairs.length, world)), testPairs.length);
    },
    conventions: { "filterbasis.range": String(range), "filterbasis.scale": String(scale) },
  };
}

/** Batches, and where several processes share them out, the whole ones beside. */
async function openShared(plan: SourcePlan, loaders: number, world: World) {
  if (world.size === 1) {
    const batches = await openBatches(plan, loaders);
    return { source: batches, whole: batches, [Symbol.dispose]: () => batches[Symbol.dispose]() };
  }
  const part = { rank: world.rank, size: world.size };
  const shared =
    plan.kind === "images"
      ? { ...plan, options: { ...plan.options, part } }
      : { ...plan, options: { ...plan.options, part } };
  const [source, whole] = [await openBatches(shared, loaders), await openSource(plan)];
  return {
    source,
    whole,
    [Symbol.dispose]() {
      source[Symbol.dispose]();
      whole[Symbol.dispose]();
    },
  };
}

/** The images that a process evaluates. */
function imagesOf(set: ImageSet, { rank, size }: World): ImageSet {
  const [first, end] = [rank, rank + 1].map((k) => Math.floor((set.count * k) / size)) as [number, number];
  const length = 3 * set.height * set.width;
  return {
    ...set,
    count: end - first,
    images: set.images.subarray(first * length, end * length),
    labels: set.labels.subarray(first, end),
  };
}

const qualities = 3;

/** PSNR, SSIM and bicubic PSNR of a process's images at their places among all: the mean is summed in one order. */
function rowsOfQuality(measured: readonly ImageQuality[], count: number, { rank, size }: World): Float64Array {
  const rows = new Float64Array(qualities * count);
  for (const [k, { psnr, ssim, bicubic }] of measured.entries())
    rows.set([psnr, ssim, bicubic.psnr], qualities * (rank + k * size));
  return rows;
}

function meanQuality(all: readonly Float64Array[], count: number): Metrics {
  const mean = (which: number): number => {
    let sum = 0;
    for (let image = 0; image < count; image++) sum += all[image % all.length]![qualities * image + which]!;
    return sum / count;
  };
  return { psnr: mean(0), ssim: mean(1), bicubicPsnr: mean(2) };
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

// The data side of a training: batches to learn from, and how a network is judged, for classification and for super-resolution.
import { basename } from "node:path";
import { loadImageData } from "../data/image-data.js";
import { firstImages, parseNormalization } from "../data/image-set.js";
import type { Picture } from "../data/picture.js";
import { findPairs, loadPair, type PairFiles } from "../data/sr-pairs.js";
import { FilterBasisError } from "../errors/error.js";
import { selfEnsemble } from "../evaluate/chop.js";
import { type Runnable, topOne } from "../evaluate/classify.js";
import { measureSr } from "../evaluate/measure-sr.js";
import { describeSrModel, inputPlanes, type SrModel } from "../evaluate/sr-model.js";
import { threads } from "../torch/index.js";
import { openBatches } from "./loaders.js";
import type { Figures } from "./loop.js";
import type { Recipe } from "./recipe.js";
import type { BatchSource } from "./sources.js";

/** Owns open files: dispose it. */
export interface TaskData extends Disposable {
  readonly source: BatchSource;
  /** The figure that decides which epoch was best, and whether more of it is better. */
  readonly merit: { readonly figure: string; readonly higher: boolean };
  evaluate(model: Runnable): Promise<Figures>;
  /** What a user of the trained model must know; goes into its metadata. */
  readonly conventions: Readonly<Record<string, string>>;
}

type Opener = (recipe: Recipe, original: Runnable, note: (text: string) => void) => Promise<TaskData>;

const openers: Readonly<Record<string, Opener>> = {
  cifar10: (recipe, original, note) => classification(recipe, recipe.data.folder ?? "cifar10", original, note),
  folder: (recipe, original, note) => {
    const { folder } = recipe.data;
    if (folder === undefined)
      throw new FilterBasisError("invalid-recipe", "which folder?", { field: "data.folder", expected: "a path" });
    return classification(recipe, folder, original, note);
  },
  pairs: superResolution,
};

/** Opens the data that a recipe names. `original` is the network as it was before compression; its conventions hold. */
export function openTaskData(recipe: Recipe, original: Runnable, note: (text: string) => void): Promise<TaskData> {
  const { name } = recipe.data;
  if (!Object.hasOwn(openers, name)) {
    throw new FilterBasisError("invalid-recipe", "no such data", {
      field: "data.name",
      expected: Object.keys(openers).join(", "),
      got: name,
    });
  }
  return (openers[name] as Opener)(recipe, original, note);
}

/** Learns from the training images and judges on the test images; without any of the latter, judges on what was learned from and says so. */
async function classification(
  recipe: Recipe,
  source: string,
  original: Runnable,
  note: (text: string) => void,
): Promise<TaskData> {
  const { train, test = train } = await loadImageData(source, { note });
  if (train === undefined || test === undefined) {
    throw new FilterBasisError("data-mismatch", "there are no training images", {
      file: source,
      expected: "folders train and test above the classes",
    });
  }
  if (test === train) note("no test images: the figures are of the images learned from");
  const { data, loss, seed } = recipe;
  const normalization = parseNormalization(data.normalize);
  const judged = firstImages(test, data.testSubset ?? test.count);
  await topOne(original, firstImages(test, 1), normalization); // a network for other images or classes: now, not after the first epoch
  const { batch, augment, dropLast } = data;
  const set = firstImages(train, data.subset ?? train.count);
  const options = { batch, augment, dropLast, normalization, seed, labelled: loss.task !== "none" };
  const batches = await openBatches({ kind: "images", set, options }, loadersOf(recipe, note));
  return {
    source: batches,
    merit: { figure: "top1Error", higher: false },
    evaluate: async (model) => ({ top1Error: (await topOne(model, judged, normalization, { batch: 250 })).top1Error }),
    conventions: { "filterbasis.normalize": data.normalize },
    [Symbol.dispose]: () => batches[Symbol.dispose](),
  };
}

/** Patches of pictures. Range, channels and enlargement are found out by running the network, unless the recipe states them. */
async function superResolution(recipe: Recipe, original: Runnable, note: (text: string) => void): Promise<TaskData> {
  const { data, loss, seed } = recipe;
  const { folder, scale, patch = 48 * (scale ?? 2), batch, augment, stepsPerEpoch } = data;
  if (folder === undefined || scale === undefined) {
    throw new FilterBasisError("invalid-recipe", "super-resolution needs pictures and a scale", {
      field: folder === undefined ? "data.folder" : "data.scale",
    });
  }
  const pairs = without((await findPairs(folder, scale)).pairs, data.exclude).slice(0, data.subset);
  const first = pairs[0];
  if (first === undefined) throw new FilterBasisError("not-found", "no pictures to learn from", { file: folder });
  const sample = (await loadPair(first, scale)).lr;
  const { channels, range, enlarged } = await describeSrModel(original, sample, { scale, range: data.range ?? "auto" });
  const testPairs = data.test === undefined ? [] : (await findPairs(data.test, scale)).pairs.slice(0, data.testSubset);
  const infer = recipe.selfEnsemble ? { infer: (sr: SrModel, lr: Picture) => selfEnsemble(sr, inputPlanes(sr, lr)) } : {};
  const how = { scale, patch, range, channels, enlarged, augment };
  const options = { ...how, batch, stepsPerEpoch, seed, labelled: loss.task !== "none" };
  const batches = await openBatches({ kind: "patches", pairs, options }, loadersOf(recipe, note));
  return {
    source: batches,
    merit: { figure: "psnr", higher: true },
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

/** How many loader threads are started: those asked for, bounded like every other kind of thread. */
function loadersOf({ data: { loaders } }: Recipe, note: (text: string) => void): number {
  const most = threads();
  if (loaders > most) note(`${most} of ${loaders} loaders: no more than the threads that compute`);
  return Math.min(loaders, most);
}

function without(pairs: readonly PairFiles[], exclude: readonly string[]): readonly PairFiles[] {
  return pairs.filter(({ hr }) => !exclude.includes(basename(hr)));
}

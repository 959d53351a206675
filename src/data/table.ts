// The data sets that every command knows, by one table; and what a name or a path stands for.
import { readdir, stat } from "node:fs/promises";
import { FilterBasisError } from "../errors/error.js";
import { nearest } from "../errors/nearest.js";
import { notWanted } from "../formats/foreign/identify.js";
import { identifyFile } from "../runtime/identify-file.js";
import type { Data, Dataset, OpenOptions } from "./dataset.js";
import { labelledImages } from "./dataset.js";
import type { ImageData } from "./image-set.js";
import { arrays } from "./sets/arrays.js";
import { b100, set5, set14, urban100 } from "./sets/benchmarks.js";
import { cifarFiles } from "./sets/cifar-files.js";
import { cifar10 } from "./sets/cifar10.js";
import { classFolder } from "./sets/class-folder.js";
import { div2k } from "./sets/div2k.js";
import { imageFolder } from "./sets/image-folder.js";
import { pairFolder } from "./sets/pair-folder.js";

/** Known by name, then kinds of data in the order in which a path is tried. */
export const datasets: readonly Dataset[] = [
  ...[cifar10, div2k, set5, set14, b100, urban100],
  ...[arrays, cifarFiles, pairFolder, imageFolder, classFolder],
];

/** Those that are known by name, which can be fetched. */
export const namedDatasets = datasets.filter(({ holds }) => holds === undefined);
const kinds = datasets.filter(({ holds }) => holds !== undefined);

/** What `--data` and a recipe's data may be, for help. */
export const dataHelp = `${namedDatasets.map(({ name }) => name).join(", ")}, or a path (${kinds.map(({ name }) => name).join(", ")})`;

/**
 * Whether a data set that is named is there at all: asked before a model is read and opened for it.
 * @throws FilterBasisError `not-found` where it is neither a data set's name nor a file or folder
 */
export async function checkDataSource(source: string): Promise<void> {
  const names = namedDatasets.map(({ name }) => name);
  if (names.includes(source) || (await stat(source).catch(() => undefined)) !== undefined) return;
  throw new FilterBasisError("not-found", `there is no such data${nearest(source, names, "")}`, {
    file: source,
    expected: dataHelp,
  });
}

/**
 * Opens what a name or a path stands for. A name of the table wins; a folder of that name is written as a path
 * (./set5).
 * @throws FilterBasisError `not-found` (no such name or path, nothing in it that is known as data), and what opening
 * throws
 * @example
 * ```ts
 * import { openData } from "filterbasis";
 *
 * const data = await openData("photos");
 * const inputs = await data.inputs({ size: { width: 32, height: 32 }, batch: 2, normalize: "imagenet" });
 * const { input, inputDims } = await inputs.batch(0, 0);
 * console.log(inputs.count, inputDims, input.length);
 * ```
 */
export async function openData(source: string, options: Omit<OpenOptions, "path"> = {}): Promise<Data> {
  const named = namedDatasets.find(({ name }) => name === source);
  if (named !== undefined) return await named.open(options);
  await checkDataSource(source);
  for (const kind of kinds) if (await kind.holds?.(source)) return await kind.open({ ...options, path: source });
  const found = await identifyFile(source).catch(() => undefined);
  if (found) throw notWanted(found, { wanted: "a data set", file: source, cures: [`give ${dataHelp}`] });
  const names = await readdir(source).catch(() => undefined);
  if (names?.length === 0)
    throw new FilterBasisError("not-found", "the folder is empty", { file: source, expected: dataHelp });
  throw new FilterBasisError("not-found", "nothing in it is recognised as data", {
    file: source,
    expected: kinds.map(({ summary }) => summary).join("; "),
  });
}

/**
 * The labelled images that a name or a path stands for.
 * @throws FilterBasisError as `openData`; `data-mismatch` where there are no labels
 */
export async function loadImageData(source: string, options: Omit<OpenOptions, "path"> = {}): Promise<ImageData> {
  return await labelledImages(await openData(source, options));
}

// Where a command's MODEL is: an ONNX file, or a run folder, which stands for a model that was trained in it.
import { readdir, readFile, stat } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { FilterBasisError } from "../errors/error.js";
import { nearestNames } from "../errors/nearest.js";
import { identifyFolder, notWanted } from "../formats/foreign/identify.js";
import { type EpochPoint, parseMetrics } from "../report/run.js";
import { runFiles } from "../train/run-folder.js";

/** A model of a run: that of the last epoch is its result; that of the best was chosen on the test data. */
export type Which = "last" | "best";

export interface ChosenModel {
  readonly file: string;
  /** Where it came out of a run: which, and what the run measured of it. */
  readonly taken?: { readonly which: Which; readonly epoch?: number; readonly metrics: EpochPoint["metrics"] };
}

/**
 * The path of the ONNX file that a word on the command line means.
 * @throws FilterBasisError as `chooseModel`
 */
export async function modelFile(path: string): Promise<string> {
  return (await chooseModel(path)).file;
}

/**
 * The same, with which of a run's models it is.
 * @throws FilterBasisError `not-found` (with the nearest names that there are), `usage` (a choice where there is one
 * file), `malformed` (a folder that is a model of another kind)
 */
export async function chooseModel(path: string, which?: Which): Promise<ChosenModel> {
  const found = await stat(path).catch(() => undefined);
  if (found === undefined) throw await nothingThere(path);
  if (!found.isDirectory()) {
    if (which === undefined) return { file: path };
    throw new FilterBasisError("usage", `--${which} chooses between the models of a run folder`, { file: path });
  }
  const taken = which ?? "last";
  const file = join(path, runFiles[taken]);
  if (await stat(file).catch(() => undefined))
    return { file, taken: { which: taken, ...(await epochOf(path, taken)) } };
  throw await noModelIn(path, taken);
}

async function nothingThere(path: string): Promise<FilterBasisError> {
  const names = await readdir(dirname(path)).catch(() => []);
  const near = nearestNames(basename(path), names).map((name) => join(dirname(path), name));
  const cures = near.length > 0 ? [`did you mean ${near.join(" or ")}?`] : [];
  return new FilterBasisError("not-found", "there is no such file", { file: path, cures });
}

/** A folder that is no run, or whose run has not come so far: what it is instead. */
async function noModelIn(folder: string, taken: Which): Promise<FilterBasisError> {
  const names = await readdir(folder).catch((): string[] => []);
  const other = identifyFolder(names, folder);
  if (other) return notWanted(other, { wanted: "an ONNX model or a run folder", file: folder, cures: other.cures });
  const models = names.filter((name) => name.endsWith(".onnx")).map((name) => join(folder, name));
  const isRun = names.includes(runFiles.recipe) && names.includes(runFiles.log);
  const cures = [
    ...(isRun && taken === "best" ? ["a run without test data has no best epoch"] : []),
    ...(isRun && taken === "last" ? [`resume the run: filterbasis train ${folder} --resume`] : []),
    ...(models.length > 0 ? [`name one of its files: ${models.slice(0, 5).join(", ")}`] : []),
    ...(isRun || models.length > 0 ? [] : ["name an ONNX file or a run folder"]),
  ];
  const what = `this folder holds no ${taken === "best" ? "best" : "trained"} model`;
  return new FilterBasisError("not-found", what, { file: join(folder, runFiles[taken]), cures });
}

/** What the run's metrics say of the epoch that wrote a model. */
async function epochOf(
  folder: string,
  which: Which,
): Promise<Pick<EpochPoint, "metrics"> & { readonly epoch?: number }> {
  const file = join(folder, runFiles.metrics);
  const { epochs } = parseMetrics(await readFile(file, "utf8").catch(() => ""), file);
  const found = which === "best" ? epochs.findLast(({ best }) => best) : epochs.at(-1);
  return found === undefined ? { metrics: {} } : { epoch: found.epoch, metrics: found.metrics };
}

// Where a command's MODEL is: an ONNX file, or a run folder, which stands for a model that was learned in it.
import { readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import { FilterBasisError } from "../errors/error.js";
import { type EpochPoint, parseMetrics } from "../report/run.js";
import { runFiles } from "../train/run-folder.js";

/** A model of a run: that of the last epoch is its result; that of the best was chosen on the test data. */
export type Which = "last" | "best";

export interface ChosenModel {
  readonly file: string;
  /** Where it came out of a run: which, and what the run measured of it. */
  readonly taken?: { readonly which: Which; readonly epoch?: number; readonly figures: EpochPoint["figures"] };
}

/** The path of the ONNX file that a word on the command line means. @throws FilterBasisError `not-found` */
export async function modelFile(path: string): Promise<string> {
  return (await chooseModel(path)).file;
}

/** The same, with which of a run's models it is. @throws FilterBasisError `not-found`, `usage` (a choice where there is one file) */
export async function chooseModel(path: string, which?: Which): Promise<ChosenModel> {
  const found = await stat(path).catch(() => undefined);
  if (!found?.isDirectory()) {
    if (which === undefined) return { file: path };
    throw new FilterBasisError("usage", `--${which} chooses between the models of a run folder`, { file: path });
  }
  const taken = which ?? "last";
  const file = join(path, runFiles[taken]);
  if (await stat(file).catch(() => undefined)) return { file, taken: { which: taken, ...(await epochOf(path, taken)) } };
  const cures = ["name an ONNX file or a run folder", ...(taken === "best" ? ["a run that judges on nothing has no best"] : [])];
  throw new FilterBasisError("not-found", `this folder holds no ${taken === "best" ? "best" : "learned"} model`, { file, cures });
}

/** What the run's metrics say of the epoch that wrote a model. */
async function epochOf(folder: string, which: Which): Promise<Pick<EpochPoint, "figures"> & { readonly epoch?: number }> {
  const file = join(folder, runFiles.metrics);
  const { epochs } = parseMetrics(await readFile(file, "utf8").catch(() => ""), file);
  const found = which === "best" ? epochs.findLast(({ best }) => best) : epochs.at(-1);
  return found === undefined ? { figures: {} } : { epoch: found.epoch, figures: found.figures };
}

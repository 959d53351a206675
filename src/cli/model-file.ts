// Where a command's MODEL is: an ONNX file, or a run folder, which stands for the model that was learned in it.
import { stat } from "node:fs/promises";
import { join } from "node:path";
import { FilterBasisError } from "../errors/error.js";
import { runFiles } from "../train/run-folder.js";

/** The path of the ONNX file that a word on the command line means. @throws FilterBasisError `not-found` */
export async function modelFile(path: string): Promise<string> {
  const found = await stat(path).catch(() => undefined);
  if (!found?.isDirectory()) return path;
  const last = join(path, runFiles.last);
  if (await stat(last).catch(() => undefined)) return last;
  throw new FilterBasisError("not-found", "this folder holds no learned model", {
    file: last,
    cures: ["name an ONNX file or a run folder"],
  });
}

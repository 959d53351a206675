// Evaluations of model files, each made once: what was measured is kept in a file, by what model and data are.
import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import { basename, dirname } from "node:path";
import { evaluateModel } from "../../src/evaluate/evaluate.js";
import { writeAside } from "../../src/runtime/write.js";
import { readJson } from "../../src/train/run-folder.js";

/** What a model costs and how good it is on one data set. */
export interface Evaluated {
  readonly weights: number;
  readonly parameters: number;
  readonly macs: number;
  readonly psnr?: number;
  readonly bicubic?: number;
  readonly top1Error?: number;
}

/** How a model is evaluated on data; `cifar10`, or a folder's path or a set's name as `evaluate` takes them. */
export type Evaluate = (model: string, data: string) => Promise<Evaluated>;

/** Evaluates in ONNX Runtime on one thread, nothing that is in the file of `kept` again. */
export const evaluator =
  (kept: string | undefined): Evaluate =>
  async (model, data) => {
    const key = `${createHash("md5")
      .update(await readFile(model))
      .digest("hex")} ${basename(data)}`;
    const known = kept === undefined ? {} : await readKept(kept);
    if (known[key] !== undefined) return known[key];
    const measured = await evaluateModel(model, { data, latency: false, threads: 1 });
    const { weights, parameters, macs, psnr, bicubic, top1Error } = measured;
    const quality = Object.entries({ psnr, bicubic: bicubic?.psnr, top1Error }).filter(
      ([, value]) => value !== undefined,
    );
    const evaluated = { weights, parameters, macs, ...Object.fromEntries(quality) };
    if (kept !== undefined)
      await writeAside(kept, `${JSON.stringify({ ...(await readKept(kept)), [key]: evaluated }, null, 2)}\n`);
    return evaluated;
  };

const readKept = async (file: string): Promise<Readonly<Record<string, Evaluated>>> =>
  (await readJson<Record<string, Evaluated>>(dirname(file), basename(file))) ?? {};

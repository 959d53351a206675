// Makes a result out of a run that compressed and trained: the original, the compressed and the trained model evaluated
// in ONNX Runtime on test data, and what each epoch reached, with the conditions, as a file of results/. With --table,
// gathers those files into results/fine-tuning.json (classifiers), fine-tuning-calibrated.json (those that began
// from what calibration left) and results/distilling.json (super-resolution).
// Usage: npm run record:fine-tuning -- RUN --name NAME --title TEXT --data [SET=]DATA ... [--scale 2] [--machine TEXT]
//        npm run record:fine-tuning -- --table
import { readdir, readFile, writeFile } from "node:fs/promises";
import { basename, join } from "node:path";
import { parseArgs } from "node:util";
import { evaluateModel } from "../src/evaluate/evaluate.js";
import { parseMetrics } from "../src/report/run.js";
import { checkOutput } from "../src/runtime/output.js";
import type { Recipe } from "../src/train/recipe.js";
import { readJson, runFiles } from "../src/train/run-folder.js";

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    data: { type: "string", multiple: true },
    name: { type: "string" },
    title: { type: "string" },
    scale: { type: "string" },
    machine: { type: "string" },
    table: { type: "boolean" },
  },
});

if (values.table) await table();
else await record();

async function record(): Promise<void> {
  const [run] = positionals;
  const { data, name, title, scale } = values;
  if (run === undefined || data === undefined || name === undefined || title === undefined)
    throw new Error("usage: npm run record:fine-tuning -- RUN --name NAME --title TEXT --data [SET=]DATA ...");
  await checkOutput(join("results", `${name}.json`));
  const recipe = (await readJson<Recipe>(run, runFiles.recipe))!;
  const about = (await readJson<{ seed: number; versions: Record<string, unknown> }>(run, runFiles.run))!;
  const { epochs, steps } = parseMetrics(await readFile(join(run, runFiles.metrics), "utf8"));
  const states = { before: runFiles.original, compressed: runFiles.start, trained: runFiles.last };
  const evaluated: Record<string, Record<string, unknown>> = {};
  for (const [state, file] of Object.entries(states)) {
    for (const set of data) {
      const [label, path] = set.includes("=") ? (set.split("=") as [string, string]) : [undefined, set];
      const options = { data: path, latency: false, ...(scale === undefined ? {} : { scale: Number(scale) }) };
      const normalize = scale === undefined ? { normalize: recipe.data.normalize } : {};
      const { top1Error, psnr, ssim, bicubic, weights, parameters, macs, images } = await evaluateModel(
        join(run, file),
        {
          ...options,
          ...normalize,
        },
      );
      const metrics = drop({ top1Error, psnr, ssim, bicubic, images });
      evaluated[state] = {
        ...evaluated[state],
        weights,
        parameters,
        ...(scale === undefined ? { macs } : {}),
        ...(label ? { [label]: metrics } : metrics),
      };
    }
  }
  const { versions } = about;
  const result = {
    title,
    date: new Date().toISOString().slice(0, 10),
    machine:
      values.machine ?? `${versions.processor}, ${versions.threads === 1 ? "1 thread" : `${versions.threads} threads`}`,
    versions: drop({
      Node: versions.node,
      libtorch: versions.libtorch,
      "ONNX Runtime": versions.onnxruntime,
      commit: versions.commit,
    }),
    seed: about.seed,
    evaluatedWith: "ONNX Runtime; the epochs by libtorch while training",
    minutes: (epochs.at(-1)?.seconds ?? 0) / 60,
    steps: steps.at(-1)?.step,
    ...evaluated,
    epochs: epochs.map(({ epoch, metrics, trainLoss }) => ({ epoch, ...metrics, trainLoss })),
    settings: withoutPaths(recipe),
  };
  await writeFile(join("results", `${name}.json`), `${JSON.stringify(result, null, 2)}\n`);
  console.log(JSON.stringify(evaluated));
}

interface Quality {
  readonly psnr: number;
}

interface State {
  readonly weights: number;
  readonly macs?: number;
  readonly top1Error?: number;
  readonly set5?: Quality;
  readonly set14?: Quality;
}

interface FineTuning {
  readonly title: string;
  readonly machine: string;
  readonly date: string;
  readonly versions: Readonly<Record<string, unknown>>;
  readonly seed: number;
  readonly steps: number;
  readonly before: State;
  readonly compressed: State;
  readonly trained: State;
  /** The trained model's metrics, in results of 0.1. */
  readonly learned?: State;
  readonly epochs: readonly { readonly epoch: number; readonly top1Error: number }[];
  readonly settings: Pick<Recipe, "optimizer">;
}

/** One table of all results of classifiers, one of those of super-resolution. */
async function table(): Promise<void> {
  const share = ({ before, compressed }: FineTuning) => `${((100 * compressed.weights) / before.weights).toFixed(0)} %`;
  await gather("fine-tuning", /^(learn|fine-tune)-.*\.json$/, {
    title:
      "Top-1 error on the 10,000 test images of CIFAR-10. A row is one run, whose learning rate falls until its last epoch: the errors before that are measured at a higher learning rate",
    columns: ["", "weights", "original", "compressed", "1 epoch", "3 epochs", "10 epochs"],
    rows: (one) => [[one.title, share(one), ...errors(one)]],
  });
  await gather("fine-tuning-calibrated", /^calibrated-.*\.json$/, {
    title: [
      "Top-1 error on the 10,000 test images of CIFAR-10, " +
        "of networks that began as calibration left them, batch norms folded",
      "A row is one run, whose learning rate falls until its last epoch",
    ].join(". "),
    columns: ["", "weights", "MACs", "optimizer", "rate", "original", "calibrated", "1 epoch", "3 epochs", "10 epochs"],
    rows: (one) => {
      const { before, compressed, settings } = one;
      const macs = `${((100 * compressed.macs!) / before.macs!).toFixed(0)} %`;
      const { name, lr } = settings.optimizer;
      return [[one.title, share(one), macs, name === "adam" ? "Adam" : "SGD", String(lr), ...errors(one)]];
    },
  });
  await gather("distilling", /^distill-.*\.json$/, {
    title: "Luma PSNR, trained on the original's outputs alone",
    columns: ["", "weights", "data", "original", "compressed", "trained", "steps"],
    rows: (one) =>
      (["set5", "set14"] as const).map((set) => {
        const metrics = [one.before, one.compressed, one.trained].map((state) => `${state[set]?.psnr.toFixed(2)} dB`);
        return [one.title, share(one), set === "set5" ? "Set5" : "Set14", ...metrics, `${one.steps}`];
      }),
  });
}

/** Before, compressed, after 1, 3 and 10 epochs; the last of the model that was written, others as trained. */
function errors({ before, compressed, trained, epochs }: FineTuning): readonly string[] {
  const after = [1, 3, 10].map((n) => (n === epochs.length ? trained : epochs[n - 1]));
  return [before, compressed, ...after].map((state) => (state ? `${state.top1Error?.toFixed(2)} %` : "–"));
}

interface Gathered {
  readonly title: string;
  readonly columns: readonly string[];
  readonly rows: (one: FineTuning) => readonly (readonly string[])[];
}

async function gather(name: string, pattern: RegExp, { title, columns, rows }: Gathered): Promise<void> {
  const files = (await readdir("results")).filter((file) => pattern.test(file)).sort();
  const all = await Promise.all(files.map(resultOf));
  if (all.length === 0) return;
  const { machine, date, versions, seed } = all[0]!;
  const { commit: _, ...programs } = versions;
  const result = { title, columns, rows: all.flatMap(rows), date, machine, versions: programs, seed, files };
  await writeFile(join("results", `${name}.json`), `${JSON.stringify(result, null, 2)}\n`);
}

async function resultOf(file: string): Promise<FineTuning> {
  const result = JSON.parse(await readFile(join("results", file), "utf8")) as FineTuning;
  return { ...result, trained: result.trained ?? result.learned! };
}

function drop(metrics: Readonly<Record<string, unknown>>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(metrics).filter(([, value]) => value !== undefined && value !== null));
}

/** Where files lay on the machine that measured says nothing to others: their names stay. */
function withoutPaths<T>(value: T): T {
  return JSON.parse(
    JSON.stringify(value, (_, part) => (typeof part === "string" && /[\\/]/.test(part) ? basename(part) : part)),
  ) as T;
}

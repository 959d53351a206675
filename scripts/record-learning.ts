// Makes a result out of a run that compressed and learned: the original, the compressed and the learned model judged in ONNX Runtime on test data, and
// what each epoch reached, with the conditions, as a file of results/. Without a run, gathers the files of classifiers into results/learning.json.
// Usage: npm run record:learning -- RUN --name NAME --title TEXT --data [SET=]DATA ... [--scale 2]
//        npm run record:learning -- --table
import { readdir, readFile, writeFile } from "node:fs/promises";
import { basename, join } from "node:path";
import { parseArgs } from "node:util";
import { evaluateModel } from "../src/evaluate/evaluate.js";
import { parseMetrics } from "../src/report/run.js";
import type { Recipe } from "../src/train/recipe.js";
import { readJson, runFiles } from "../src/train/run-folder.js";

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    data: { type: "string", multiple: true },
    name: { type: "string" },
    title: { type: "string" },
    scale: { type: "string" },
    table: { type: "boolean" },
  },
});

if (values.table) await table();
else await record();

async function record(): Promise<void> {
  const [run] = positionals;
  const { data, name, title, scale } = values;
  if (run === undefined || data === undefined || name === undefined || title === undefined)
    throw new Error("usage: npm run record:learning -- RUN --name NAME --title TEXT --data [SET=]DATA ...");
  const recipe = (await readJson<Recipe>(run, runFiles.recipe))!;
  const about = (await readJson<{ seed: number; versions: Record<string, unknown> }>(run, runFiles.run))!;
  const { epochs, steps } = parseMetrics(await readFile(join(run, runFiles.metrics), "utf8"));
  const states = { before: runFiles.original, compressed: runFiles.start, learned: runFiles.last };
  const judged: Record<string, Record<string, unknown>> = {};
  for (const [state, file] of Object.entries(states)) {
    for (const set of data) {
      const [label, path] = set.includes("=") ? (set.split("=") as [string, string]) : [undefined, set];
      const options = { data: path, latency: false, ...(scale === undefined ? {} : { scale: Number(scale) }) };
      const normalize = scale === undefined ? { normalize: recipe.data.normalize } : {};
      const { top1Error, psnr, ssim, bicubic, weights, all, macs, images } = await evaluateModel(join(run, file), {
        ...options,
        ...normalize,
      });
      const figures = drop({ top1Error, psnr, ssim, bicubic, images });
      judged[state] = {
        ...judged[state],
        weights,
        all,
        ...(scale === undefined ? { macs } : {}),
        ...(label ? { [label]: figures } : figures),
      };
    }
  }
  const { versions } = about;
  const result = {
    title,
    date: new Date().toISOString().slice(0, 10),
    machine: `${versions.processor}, ${versions.threads} threads`,
    versions: drop({
      Node: versions.node,
      libtorch: versions.libtorch,
      "ONNX Runtime": versions.onnxruntime,
      commit: versions.commit,
    }),
    seed: about.seed,
    judge: "ONNX Runtime; the epochs by libtorch while training",
    minutes: (epochs.at(-1)?.seconds ?? 0) / 60,
    steps: steps.at(-1)?.step,
    ...judged,
    epochs: epochs.map(({ epoch, figures }) => ({ epoch, ...figures })),
    settings: withoutPaths(recipe),
  };
  await writeFile(join("results", `${name}.json`), `${JSON.stringify(result, null, 2)}\n`);
  console.log(JSON.stringify(judged));
}

interface Learning {
  readonly title: string;
  readonly machine: string;
  readonly date: string;
  readonly versions: object;
  readonly seed: number;
  readonly before: { readonly top1Error: number; readonly weights: number };
  readonly compressed: { readonly top1Error: number; readonly weights: number };
  readonly learned: { readonly top1Error: number };
  readonly epochs: readonly { readonly epoch: number; readonly top1Error: number }[];
}

/** One table of all `results/learn-*.json`. */
async function table(): Promise<void> {
  const names = (await readdir("results")).filter((name) => /^learn-.*\.json$/.test(name)).sort();
  const all = await Promise.all(names.map(async (name) => JSON.parse(await readFile(join("results", name), "utf8")) as Learning));
  const percent = (value: number | undefined) => (value === undefined ? "–" : `${value.toFixed(2)} %`);
  const rows = all.map(({ title, before, compressed, learned, epochs }) => {
    const share = `${((100 * compressed.weights) / before.weights).toFixed(0)} %`;
    return [
      title,
      share,
      percent(before.top1Error),
      percent(compressed.top1Error),
      percent(learned.top1Error),
      `${epochs.length}`,
    ];
  });
  const { machine, date, versions, seed } = all[0]!;
  const columns = ["", "weights", "original", "compressed", "learned", "epochs"];
  const title = "Top-1 error on the 10,000 test images of CIFAR-10";
  const result = { title, columns, rows, date, machine, versions, seed, files: names };
  await writeFile(join("results", "learning.json"), `${JSON.stringify(result, null, 2)}\n`);
}

function drop(figures: Readonly<Record<string, unknown>>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(figures).filter(([, value]) => value !== undefined && value !== null));
}

/** Where files lay on the machine that measured says nothing to others: their names stay. */
function withoutPaths<T>(value: T): T {
  return JSON.parse(
    JSON.stringify(value, (_, part) => (typeof part === "string" && /[\\/]/.test(part) ? basename(part) : part)),
  ) as T;
}

// `demo`: the main job on real data in minutes. The network that ships with the project is compressed, learned for a while, verified, judged.
import { access, mkdir } from "node:fs/promises";
import { basename, join, resolve } from "node:path";
import { chooseForms } from "../compress/form.js";
import { readRecord } from "../compress/record.js";
import { getCifar10 } from "../data/cifar10.js";
import { engineInfo, packageRoot } from "../engine/index.js";
import { FilterBasisError, isError } from "../errors/error.js";
import { evaluateModel, type ModelFigures } from "../evaluate/evaluate.js";
import { cost } from "../graph/cost.js";
import { foldBatchNorm } from "../graph/passes/fold-batch-norm.js";
import type { Graph } from "../graph/types.js";
import { loadModel, saveModel } from "../runtime/files.js";
import { describeMachine, type Machine } from "../runtime/machine.js";
import { runtimeVersion } from "../runtime/session.js";
import { methodPass } from "../train/compression.js";
import { parseRecipe, type Recipe } from "../train/recipe.js";
import { runFiles } from "../train/run-folder.js";
import { columns, grouped } from "./columns.js";
import { chooseForm, verifyWritten } from "./finish.js";
import { type Context, command } from "./frame.js";
import { runRecipe } from "./learn.js";
import { stepsFor } from "./speed.js";
import { given } from "./values.js";

export default command({
  name: "demo",
  summary: "the main job on real data in minutes",
  args: {
    output: {
      type: "string",
      alias: "o",
      description: "where everything is written (default runs/demo-TIME)",
      valueHint: "FOLDER",
    },
    seconds: { type: "string", description: "how long to learn", default: "240", valueHint: "S" },
    "keep-params": { type: "string", description: "fraction of the weights to keep", default: "0.25", valueHint: "F" },
    threads: { type: "string", description: "threads of libtorch and ONNX Runtime", valueHint: "N" },
    model: { type: "string", description: "another classifier of CIFAR-10", valueHint: "FILE" },
    normalize: { type: "string", description: "what that model takes: cifar10, imagenet, none or m,m,m/s,s,s", valueHint: "HOW" },
  },
  async run(args, context) {
    const [seconds, keepParams] = [number("--seconds", args.seconds), number("--keep-params", args["keep-params"])];
    const threads = args.threads === undefined ? {} : { threads: number("--threads", args.threads) };
    const file = args.model !== undefined ? resolve(args.model) : join(packageRoot(), "weights", "resnet20.onnx");
    await access(file).catch(() => {
      throw new FilterBasisError("not-found", "the network to compress is not there", { file });
    });
    const output = args.output ?? join("runs", `demo-${new Date().toISOString().slice(0, 19).replaceAll(":", "-")}`);
    await mkdir(output, { recursive: true });
    const missing = await whatIsMissing(context);
    for (const line of missing) context.note(line);
    const hasData = !missing.some((line) => line.startsWith("CIFAR-10"));
    const original = await loadModel(file);
    const recipe = demoRecipe(
      file,
      args.normalize ?? original.metadata.get("filterbasis.normalize") ?? "cifar10",
      keepParams,
      threads,
    );
    const learned = missing.length === 0 ? await learnFor(join(output, "run"), recipe, seconds, context) : undefined;
    const start = learned?.start ?? methodPass("basis", { keepParams })(foldBatchNorm(original).graph).graph;
    const files = await writeAll(output, original, start, learned?.last, threads, context);
    const rows = hasData ? await judge(files, recipe.data.normalize, threads, context) : await countOnly(files);
    const table = show(rows);
    const written = rows.map(({ label, file: path }) => `  ${label.padEnd(10)} ${path}`);
    return {
      json: {
        title: `ResNet-20 on CIFAR-10, ${keepParams} of its weights kept${learned ? `, learned for ${Math.round(learned.seconds)} s` : ""}`,
        date: new Date().toISOString().slice(0, 10),
        machine: conditionsOf(describeMachine()),
        versions: await programVersions(),
        seed: recipe.seed,
        ...(hasData ? { images: 10_000 } : {}),
        command: `filterbasis demo --seconds ${seconds} --keep-params ${keepParams}`,
        output,
        rows,
        missing,
        ...(learned
          ? {
              learning: {
                seconds: learned.seconds,
                steps: learned.steps,
                recipe: { ...recipe, network: { file: basename(file) } },
              },
            }
          : {}),
      },
      text: [table, "", "every model was reopened and run in ONNX Runtime against what it should compute", ...written].join("\n"),
    };
  },
});

/** What stands in the way of the whole demo; it then runs on what there is. */
async function whatIsMissing(context: Context): Promise<readonly string[]> {
  const missing: string[] = [];
  const reason = (error: unknown): string => (isError(error) ? [error.message, ...error.cures].join("; ") : String(error));
  try {
    await getCifar10({ note: context.note, signal: context.signal });
  } catch (error) {
    if (!isError(error)) throw error;
    missing.push(`CIFAR-10 is missing, so nothing is learned and no error is measured: ${reason(error)}`);
  }
  try {
    engineInfo();
  } catch (error) {
    if (!isError(error, "engine-missing")) throw error;
    missing.push(`libtorch is missing, so nothing is learned: ${reason(error)}`);
  }
  return missing;
}

function demoRecipe(file: string, normalize: string, keepParams: number, threads: { readonly threads?: number }): Recipe {
  return parseRecipe({
    name: "demo",
    network: { file },
    compress: { method: "basis", keepParams },
    recalibrate: 50,
    data: { name: "cifar10", batch: 128, normalize },
    loss: { task: "cross-entropy", distill: { weight: 0.5, temperature: 3 } },
    optimizer: { name: "sgd", lr: 0.03, nesterov: true, weightDecay: 1e-4 },
    schedule: { name: "cosine", per: "step" },
    ...threads,
  });
}

async function learnFor(folder: string, recipe: Recipe, seconds: number, context: Context) {
  context.note("measuring how fast this machine learns");
  const steps = await stepsFor(recipe, seconds, context);
  context.note(`learning for ${steps} steps of ${recipe.data.batch} images`);
  const { graph: last, seconds: spent } = await runRecipe(folder, { ...recipe, steps }, context);
  return { start: await loadModel(join(folder, runFiles.start)), last, steps, seconds: spent };
}

function conditionsOf({ system, processor, threads, load }: Machine) {
  return { system, processor, threads: `${threads} threads`, load: `load ${load.toFixed(1)}` };
}

async function programVersions(): Promise<Readonly<Record<string, string>>> {
  const libtorch = ((): string => {
    try {
      return engineInfo().version;
    } catch {
      return "absent";
    }
  })();
  return { Node: process.version, libtorch, "ONNX Runtime": await runtimeVersion("node") };
}

interface Written {
  readonly label: string;
  readonly file: string;
  readonly graph: Graph;
}

/** Batch norms folded, forms chosen by measurement (for both alike), each verified before it is written. */
async function writeAll(
  output: string,
  original: Graph,
  start: Graph,
  last: Graph | undefined,
  threads: { readonly threads?: number },
  context: Context,
): Promise<readonly Written[]> {
  const folded = (graph: Graph): Graph => foldBatchNorm(graph).graph;
  const { graph: chosen } = await chooseForm(folded(last ?? start), "auto", threads, context);
  const forms = new Map((readRecord(chosen)?.sites ?? []).map(({ output: value, form }) => [value, form]));
  const alike = chooseForms((site) => forms.get(site.output) ?? site.form)(folded(start)).graph;
  const written: Written[] = [];
  for (const [label, graph] of [
    ["original", folded(original)],
    ["compressed", alike],
    ...(last ? [["learned", chosen] as const] : []),
  ] as const) {
    const file = join(output, `${label}.onnx`);
    await verifyWritten(graph, new Map(), threads);
    await saveModel(graph, file);
    written.push({ label, file, graph });
  }
  return written;
}

interface Row extends Pick<ModelFigures, "weights" | "all" | "macs" | "bytes"> {
  readonly label: string;
  readonly file: string;
  readonly top1Error?: number;
  readonly latencyMs?: number;
}

/** The original and the last model are timed in turns; the compressed one has the last one's shape, so its time is the same. */
async function judge(
  files: readonly Written[],
  normalize: string,
  threads: { readonly threads?: number },
  context: Context,
): Promise<readonly Row[]> {
  const options = {
    data: "cifar10",
    normalize,
    ...threads,
    note: context.note,
    progress: context.progress,
    signal: context.signal,
  };
  const [original, ...others] = files as [Written, ...Written[]];
  const last = others.at(-1) as Written;
  const { against, ...final } = await evaluateModel(last.file, { ...options, against: original.file });
  const rows: Row[] = [{ ...original, ...(against as ModelFigures) }];
  for (const one of others.slice(0, -1))
    rows.push({ ...one, ...(await evaluateModel(one.file, { ...options, latency: false })) });
  return [...rows, { ...last, ...final }].map(({ label, file, weights, all, macs, bytes, top1Error, latencyMs }) => ({
    label,
    file,
    weights,
    all,
    macs,
    bytes,
    ...given("top1Error", top1Error),
    ...given("latencyMs", latencyMs),
  }));
}

async function countOnly(files: readonly Written[]): Promise<readonly Row[]> {
  return files.map(({ label, file, graph }) => {
    const { weights, all, macs, bytes } = cost(graph);
    return { label, file, weights, all, macs, bytes };
  });
}

function show(rows: readonly Row[]): string {
  const first = rows[0] as Row;
  const share = (value: number, whole: number): string => `${grouped(value)} (${((100 * value) / whole).toFixed(0)}%)`;
  return columns([
    ["", "top-1 error", "weights", "MACs", "bytes", "latency"],
    ...rows.map((row) => [
      row.label,
      row.top1Error === undefined ? "-" : `${row.top1Error.toFixed(2)} %`,
      share(row.weights, first.weights),
      share(row.macs, first.macs),
      share(row.bytes, first.bytes),
      row.latencyMs === undefined ? "-" : `${row.latencyMs.toFixed(2)} ms`,
    ]),
  ]);
}

function number(option: string, given: string): number {
  const value = Number(given);
  if (given !== "" && Number.isFinite(value) && value > 0) return value;
  throw new FilterBasisError("usage", `${option} takes a number above 0`, { got: given });
}

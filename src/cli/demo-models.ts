// What both halves of the demo share: models are written in their fastest layout and verified; a table shows what
// became of them.
import { basename, join } from "node:path";
import { layouts } from "../basis/layouts.js";
import { referenceOf, verifyWritten } from "../compress/verify.js";
import { type EvaluateOptions, evaluateModel, type ModelMetrics } from "../evaluate/evaluate.js";
import type { Graph } from "../graph/types.js";
import { chooseLayouts } from "../methods/layout.js";
import { readRecord } from "../methods/record.js";
import { cost } from "../ops/cost/cost.js";
import { foldBatchNorm } from "../passes/fold-batch-norm.js";
import { saveModel } from "../runtime/files.js";
import { findInputs } from "../runtime/index.js";
import { saveVerified } from "../runtime/save-verified.js";
import type { Recipe } from "../train/recipe.js";
import { columns, grouped } from "./columns.js";
import { chooseLayout } from "./finish.js";
import type { Context } from "./frame.js";
import { given } from "./values.js";

export interface Threads {
  readonly threads?: number;
}

/** Sizes of the inputs, by name. */
export type Shapes = ReadonlyMap<string, readonly number[]>;

export interface Written {
  readonly label: string;
  readonly file: string;
  readonly graph: Graph;
}

/** Batch norms folded, layouts chosen by measurement (for both alike), each verified before it is written. */
export async function writeAll(
  output: string,
  original: Graph,
  start: Graph,
  last: Graph | undefined,
  options: Threads & { readonly inputs?: Shapes; readonly keepsMacs?: boolean },
  context: Context,
): Promise<readonly Written[]> {
  const folded = (graph: Graph): Graph => foldBatchNorm(graph).graph;
  const { graph: chosen } = await chooseLayout(folded(last ?? start), "auto", layoutOptions(options), context);
  const layouts = new Map((readRecord(chosen)?.layers ?? []).map(({ output: value, layout }) => [value, layout]));
  const alike = chooseLayouts((layer) => layouts.get(layer.output) ?? layer.layout)(folded(start)).graph;
  const inputs = await findInputs(original, { shapes: options.inputs ?? new Map() });
  const reference = await referenceOf(original, { ...given("threads", options.threads), inputs });
  const at = (label: string): string => join(output, `${label}.onnx`);
  // The original as it was given: what is faster or smaller is so beside that file.
  await saveModel(original, at("original"));
  const written: Written[] = [{ label: "original", file: at("original"), graph: original }];
  for (const [label, graph] of [["compressed", alike], ...(last ? [["trained", chosen] as const] : [])] as const) {
    await saveVerified(graph, at(label), (file) => verifyWritten(graph, file, reference));
    written.push({ label, file: at(label), graph });
  }
  return written;
}

/** A budget in multiply-accumulates is not undone by a layout that computes them all. */
function layoutOptions({ keepsMacs = false, ...options }: Parameters<typeof writeAll>[4]) {
  return keepsMacs ? { ...options, allowed: () => layouts.filter((layout) => layout !== "dense") } : options;
}

/** One model, or one way without a model (bicubic enlargement). */
export interface Row extends Partial<Pick<ModelMetrics, "weights" | "parameters" | "macs" | "bytes">> {
  readonly label: string;
  readonly file?: string;
  readonly psnr?: number;
  readonly ssim?: number;
  readonly top1Error?: number;
  readonly latencyMs?: number;
}

/**
 * Measures the models on data. The first and the last are timed in turns; those between have the last one's shape, so
 * their time is the same.
 */
export async function evaluateAll(
  files: readonly Written[],
  data: EvaluateOptions,
  { note, progress, signal }: Context,
): Promise<{ readonly rows: readonly Row[]; readonly last: ModelMetrics }> {
  const options = { ...data, note, progress, signal };
  const [original, ...others] = files as [Written, ...Written[]];
  const { against, ...last } = await evaluateModel(others.at(-1)!.file, { ...options, against: original.file });
  const metrics: ModelMetrics[] = [against as ModelMetrics];
  for (const one of others.slice(0, -1)) metrics.push(await evaluateModel(one.file, { ...options, latency: false }));
  const rows = [...metrics, last].map(
    ({ weights, parameters, macs, bytes, psnr, ssim, top1Error, latencyMs }, index): Row => {
      const { label, file } = files[index]!;
      const measured = { ...given("psnr", psnr), ...given("ssim", ssim), ...given("top1Error", top1Error) };
      return { label, file, weights, parameters, macs, bytes, ...measured, ...given("latencyMs", latencyMs) };
    },
  );
  return { rows, last };
}

/** How a model of the demo was trained, as its result states it. */
export interface DemoFineTuning {
  readonly seconds: number;
  readonly steps: number;
  readonly recipe: Recipe;
}

/** Where the network's file lies here says nothing to others: its name stays. */
export function fineTuningOf({ seconds, steps }: Omit<DemoFineTuning, "recipe">, recipe: Recipe): DemoFineTuning {
  const { file } = recipe.network;
  return {
    seconds,
    steps,
    recipe: { ...recipe, network: file === undefined ? recipe.network : { file: basename(file) } },
  };
}

/** What can be said of a model without any data. */
export function countOnly(files: readonly Written[], shapes: Shapes = new Map()): readonly Row[] {
  return files.map(({ label, file, graph }) => {
    const { weights, parameters, macs, bytes } = cost(graph, shapes);
    return { label, file, weights, parameters, macs, bytes };
  });
}

/** The rows as columns of text, shares of the first model's counts in brackets. */
export function showRows(rows: readonly Row[]): string {
  const first = rows.find(({ weights }) => weights !== undefined);
  const shown = (pick: (row: Row) => number | undefined, print: (value: number) => string) => (row: Row) => {
    const value = pick(row);
    return value === undefined ? "-" : print(value);
  };
  const share = (key: "weights" | "macs" | "bytes") =>
    shown(
      (row) => row[key],
      (value) => `${grouped(value)} (${((100 * value) / (first?.[key] ?? value)).toFixed(0)}%)`,
    );
  const all: readonly (readonly [string, boolean, (row: Row) => string])[] = [
    [
      "top-1 error",
      rows.some((row) => row.top1Error !== undefined),
      shown(
        (row) => row.top1Error,
        (value) => `${value.toFixed(2)} %`,
      ),
    ],
    [
      "PSNR",
      rows.some((row) => row.psnr !== undefined),
      shown(
        (row) => row.psnr,
        (value) => `${value.toFixed(2)} dB`,
      ),
    ],
    [
      "SSIM",
      rows.some((row) => row.ssim !== undefined),
      shown(
        (row) => row.ssim,
        (value) => value.toFixed(4),
      ),
    ],
    ["weights", true, share("weights")],
    ["MACs", true, share("macs")],
    ["bytes", true, share("bytes")],
    [
      "latency",
      rows.some((row) => row.latencyMs !== undefined),
      shown(
        (row) => row.latencyMs,
        (value) => `${value.toFixed(2)} ms`,
      ),
    ],
  ];
  const used = all.filter(([, there]) => there);
  return columns([
    ["", ...used.map(([title]) => title)],
    ...rows.map((row) => [row.label, ...used.map(([, , cell]) => cell(row))]),
  ]);
}

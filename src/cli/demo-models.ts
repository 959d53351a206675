// What both halves of the demo show of their models: the metrics of each, as rows of a table.
import { basename } from "node:path";
import { type EvaluateOptions, evaluateModel, type ModelMetrics } from "../evaluate/evaluate.js";
import type { Graph } from "../graph/types.js";
import { cost } from "../ops/cost/cost.js";
import { metricRows, printMetric, qualityMetrics } from "../report/metrics.js";
import type { Recipe } from "../train/recipe.js";
import { columns, grouped } from "./columns.js";
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
  const shown = (key: Exclude<keyof Row, "label" | "file">, print: (value: number) => string) => (row: Row) => {
    const value = row[key];
    return value === undefined ? "-" : print(value);
  };
  const share = (key: "weights" | "macs" | "bytes") =>
    shown(key, (value) => `${grouped(value)} (${((100 * value) / (first?.[key] ?? value)).toFixed(0)}%)`);
  const all: readonly (readonly [string, keyof Row, (row: Row) => string])[] = [
    ...qualityMetrics.map(
      (key) => [metricRows[key].label, key, shown(key, (value) => printMetric(key, value))] as const,
    ),
    ["weights", "weights", share("weights")],
    ["MACs", "macs", share("macs")],
    ["bytes", "bytes", share("bytes")],
    ["latency", "latencyMs", shown("latencyMs", (value) => `${value.toFixed(2)} ms`)],
  ];
  const used = all.filter(([, key]) => rows.some((row) => row[key] !== undefined));
  return columns([
    ["", ...used.map(([title]) => title)],
    ...rows.map((row) => [row.label, ...used.map(([, , cell]) => cell(row))]),
  ]);
}

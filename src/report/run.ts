// A run as the report sees it: what its metrics file says, read line by line.
import { FilterBasisError } from "../errors/error.js";
import { qualityMetrics } from "./metrics.js";

interface StepPoint {
  /** Optimiser steps done, over the whole run. */
  readonly step: number;
  readonly loss: number;
  /** The parts of the loss (Eq. 12), where the run wrote them. */
  readonly task?: number;
  readonly approximation?: number;
  readonly distillation?: number;
  readonly rate?: number;
}

export interface EpochPoint {
  /** Epochs done. */
  readonly epoch: number;
  readonly step: number;
  readonly trainLoss?: number;
  /** What was measured on data that is not trained on: top1Error in percent, psnr in dB, and so on. */
  readonly metrics: Readonly<Record<string, number>>;
  readonly seconds?: number;
  /** True when its metric was the best so far. */
  readonly best?: true;
}

export interface Metrics {
  readonly steps: readonly StepPoint[];
  readonly epochs: readonly EpochPoint[];
}

type Line = Readonly<Record<string, unknown>>;

/**
 * Reads metrics as JSON lines. A last line that a kill cut off is left out; anything else that is not JSON is an error.
 * @throws FilterBasisError `malformed`, naming the line
 */
export function parseMetrics(text: string, file = "metrics.jsonl"): Metrics {
  const lines = text.split("\n");
  const parsed = lines.flatMap((line, index): Line[] => {
    if (line.trim() === "") return [];
    try {
      const value: unknown = JSON.parse(line);
      if (typeof value === "object" && value !== null && !Array.isArray(value)) return [value as Line];
    } catch {
      if (index === lines.length - 1) return []; // without its line break: cut off
    }
    throw new FilterBasisError("malformed", `line ${index + 1} is not a JSON object`, { file });
  });
  const steps = parsed.filter(({ kind }) => kind === "step").map((line, index) => stepPoint(line, index));
  const epochs = parsed.filter(({ kind }) => kind === "epoch").map((line, index) => epochPoint(line, index, steps));
  return { steps, epochs };
}

function stepPoint(line: Line, index: number): StepPoint {
  return {
    step: number(line.globalStep) ?? number(line.step) ?? index,
    loss: number(line.loss) ?? Number.NaN,
    ...optional("task", number(line.task)),
    ...optional("approximation", number(line.approximation) ?? number(line.reconstruction)),
    ...optional("distillation", number(line.distillation)),
    ...optional("rate", number(line.rate) ?? number(line.lr)),
  };
}

function epochPoint(line: Line, index: number, steps: readonly StepPoint[]): EpochPoint {
  const measured = line.metrics ?? line.figures; // the latter in runs of 0.1
  const nested = typeof measured === "object" && measured !== null ? (measured as Line) : {};
  const metrics: Record<string, number> = {};
  for (const [name, value] of [
    ...Object.entries(nested),
    ...qualityMetrics.map((name) => [name, line[name]] as const),
  ]) {
    const metric = number(value);
    if (metric !== undefined) metrics[name] = metric;
  }
  return {
    epoch: number(line.epoch) ?? index + 1,
    step: number(line.globalStep) ?? steps.at(-1)?.step ?? index,
    metrics,
    ...optional("trainLoss", number(line.trainLoss)),
    ...optional("seconds", number(line.seconds)),
    ...(line.best === true ? { best: true } : {}),
  };
}

const number = (value: unknown): number | undefined => (typeof value === "number" ? value : undefined);

function optional<K extends string>(key: K, value: number | undefined): { readonly [P in K]?: number } {
  return value === undefined ? {} : ({ [key]: value } as { readonly [P in K]?: number });
}

/**
 * At most `count` points of a long series: neighbours are averaged in equal groups, so that no part of the run is left
 * out. Shorter series are given as they are.
 */
export function thin(
  points: readonly { readonly x: number; readonly y: number }[],
  count: number,
): readonly { readonly x: number; readonly y: number }[] {
  if (points.length <= count) return points;
  const size = Math.ceil(points.length / count);
  const thinned: { x: number; y: number }[] = [];
  for (let start = 0; start < points.length; start += size) {
    const group = points.slice(start, start + size);
    thinned.push({ x: mean(group.map(({ x }) => x)), y: mean(group.map(({ y }) => y)) });
  }
  return thinned;
}

const mean = (values: readonly number[]): number => values.reduce((sum, value) => sum + value, 0) / values.length;

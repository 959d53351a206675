// What is measured of a written file beside its original: outputs, milliseconds in turns, counts, memory.
import { statSync } from "node:fs";
import { cost } from "../../src/ops/cost/cost.js";
import { loadModel } from "../../src/runtime/files.js";
import { median } from "../../src/runtime/latency.js";
import type { Feed, Sizes } from "./feeds.js";
import type { Exactness, Row, Times } from "./rows.js";
import { type OutputDifference, runTask } from "./runner.js";
import { slowerThan } from "./violations.js";

export interface Effort {
  /** For timing one pair of files. */
  readonly seconds: number;
  readonly leastRounds: number;
  readonly mostRounds: number;
}

export const bytesOf = (file: string): number => statSync(file).size;

/** Weights and MACs of a file, by the library; undefined where it cannot count it. */
export async function countsOf(file: string, sizes: Sizes) {
  try {
    const { weights, macs, uncounted } = cost(await loadModel(file), sizes);
    return { weights, macs, uncounted: uncounted.length };
  } catch {
    return undefined;
  }
}

export type Counts = NonNullable<Awaited<ReturnType<typeof countsOf>>>;

/** The shares of weights and MACs that a written file keeps: 1 where there were none. */
export function keptOf(original: Counts | undefined, written: Counts | undefined): NonNullable<Row["kept"]> {
  const share = (is = Number.NaN, was = Number.NaN) => (was === 0 && is === 0 ? 1 : is / was);
  return {
    weights: share(written?.weights, original?.weights),
    macs: share(written?.macs, original?.macs),
    uncounted: written?.uncounted ?? 0,
  };
}

/** Outputs of a file against those of another; a file that does not run is a `failure`. */
export async function difference(
  reference: string,
  model: string,
  feeds: readonly Feed[],
  level: "all" | "disabled" = "all",
) {
  const [result] = await runTask({ mode: "difference", reference, others: [{ model, level }], feeds });
  return result ?? { failure: "nothing was compared" };
}

/**
 * Milliseconds in turns. A result that says "slower" is measured twice more, longer, in fresh processes, once with the
 * files opened in the other order; the measurement with the middle ratio counts.
 */
export async function timesOf(
  original: string,
  written: string,
  feeds: readonly Feed[],
  effort: Effort,
): Promise<Times> {
  const first = await pair(original, written, feeds, effort);
  if (first.ratio <= slowerThan) return first;
  const more = { ...effort, seconds: 2 * effort.seconds };
  const { original: there, written: here, ...swapped } = await pair(written, original, feeds, more);
  const second = { ...swapped, original: here, written: there, ratio: 1 / swapped.ratio };
  const all = [first, second, await pair(original, written, feeds, more)];
  const middle = all.toSorted((a, b) => a.ratio - b.ratio)[1]!;
  return { ...middle, ratios: all.map(({ ratio }) => ratio) };
}

/** Bursts last at least this long: reading the clocks costs nothing beside it, and both files see the same machine. */
const burstMs = 5;

async function pair(original: string, written: string, feeds: readonly Feed[], effort: Effort): Promise<Times> {
  const { rounds } = await runTask({ mode: "time", models: [original, written], feeds, burstMs, ...effort });
  const column = (at: number, clock: "cpu" | "wall") => median(rounds.map((round) => round[at]![clock]));
  return {
    original: { cpu: column(0, "cpu"), wall: column(0, "wall") },
    written: { cpu: column(1, "cpu"), wall: column(1, "wall") },
    ratio: median(rounds.map(([a, b]) => b!.cpu / a!.cpu)),
    rounds: rounds.length,
  };
}

/**
 * Float32 sums in another order, relative to an output's largest value: what remains equal in any network of these
 * depths.
 */
const floatNoise = 1e-4;
/** The same in networks that compute in half precision: eight units in the last place of its 11 bits. */
const halfNoise = 8 * 2 ** -11;
/** How many times what ONNX Runtime's own optimising (or the rounding of weights) changes may be seen. */
const times = 16;

export interface Allowance {
  readonly noise: readonly OutputDifference[];
  /** The original computes in half precision. */
  readonly half: boolean;
  /**
   * What weights off by half a unit of half precision change, where the step rounds weights: every output as often as
   * was tried.
   */
  readonly rounding?: readonly OutputDifference[];
}

/** Whether each output is that of the reference but for the noise of computing it. */
export function exactnessOf(
  against: Exactness["against"],
  { outputs = [], failure }: { readonly outputs?: readonly OutputDifference[]; readonly failure?: string },
  { noise, half, rounding = [] }: Allowance,
): Exactness {
  const compared = outputs.map((output) => {
    const seen = [...noise, ...rounding].filter(({ name }) => name === output.name);
    const most = (key: "max" | "unequal") => Math.max(0, ...seen.map((one) => finite(one[key])));
    const floor = half ? halfNoise : floatNoise;
    const allowed = floor + times * most("max");
    const whole = !output.type.startsWith("float");
    const unequalAllowed = 1e-3 + times * most("unequal");
    const within = output.fault === undefined && (whole ? output.unequal <= unequalAllowed : output.max <= allowed);
    return { ...output, allowed, within };
  });
  return { against, outputs: compared, ...(failure === undefined ? {} : { failure }) };
}

const finite = (value: number | undefined): number => (typeof value === "number" && Number.isFinite(value) ? value : 0);

/** The most memory in MiB of a process that only runs a model. */
export async function peakOf(model: string, feeds: readonly Feed[]): Promise<number> {
  return (await runTask({ mode: "peak", model, feeds })).peakKiB / 1024;
}

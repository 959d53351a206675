// `compress --data` without training: calibrated on the data, planned by what is lost on it, evaluated on images that
// nothing was fitted to.
import { realpath } from "node:fs/promises";
import type { Layout } from "../basis/layouts.js";
import { bestEngine } from "../compress/best-engine.js";
import { type CalibrationData, calibrationData } from "../compress/calibration-data.js";
import { type Follower, helpCalibrate, type Lead, type PlanOnDataOptions } from "../compress/choose-plan.js";
import { type CalibratedResult, compressOnData } from "../compress/compress-calibrated.js";
import type { JobOptions } from "../compress/job.js";
import type { CalibratedBudget } from "../compress/plan-calibrated.js";
import { openData } from "../data/table.js";
import { lossKinds } from "../evaluate/loss.js";
import type { Graph } from "../graph/types.js";
import type { ModelInputs } from "../runtime/index.js";
import { deviceForms } from "../torch/device.js";
import { type Device, requireDevice } from "../torch/index.js";
import { isDense, layersOf, reportOf } from "./calibrated-report.js";
import { columns } from "./columns.js";
import { inPrecision } from "./compress-in-precision.js";
import { changesText, timesText, withBytes } from "./compress-text.js";
import { guessedText, type InputArguments, readInputOptions } from "./data-options.js";
import { inEightBits, type PrecisionArguments } from "./eight-bits.js";
import type { Context } from "./frame.js";
import { keepReport } from "./kept-reports.js";
import { lossLines, warning } from "./loss-text.js";
import { given, number, whole } from "./values.js";

const text = (description: string, valueHint: string) => ({ type: "string" as const, description, valueHint });

/** The options of a plan on data beside those of the data. */
export const planningOptions = {
  speedup: text("with data: the original's measured time divided by the result's", "X"),
  latency: text("with data: milliseconds of the result", "MS"),
  "max-loss": text("with data: write nothing that loses more on images held out; without a budget what decides", "L"),
  "loss-output": text("with data: the output whose loss counts (default: the first)", "NAME"),
  loss: {
    type: "enum" as const,
    options: lossKinds.filter((kind) => kind !== "decibels"), // citty wants the list writable
    description: "with data: what the output's loss is, where its values do not tell",
  },
  images: text("with data: images to calibrate on (default 256; 16 of more than 100,000 pixels)", "N"),
  "data-input": text("with data: the input that the images go into", "NAME"),
  device: text(`with data: where libtorch calibrates and fine-tunes: ${deviceForms}`, "DEVICE"),
};

export interface CalibrationArguments extends InputArguments, PrecisionArguments {
  readonly data?: string | undefined;
  readonly speedup?: string | undefined;
  readonly latency?: string | undefined;
  readonly "max-loss"?: string | undefined;
  readonly images?: string | undefined;
  readonly "data-input"?: string | undefined;
  readonly device?: string | undefined;
  readonly "loss-output"?: string | undefined;
  readonly loss?: Exclude<(typeof lossKinds)[number], "decibels"> | undefined;
  readonly scale?: string | undefined;
  readonly seed?: string | undefined;
  readonly steps?: string | undefined;
}

export interface OnData {
  readonly graph: Graph;
  readonly file: string;
  readonly output: string;
  readonly inputs: ModelInputs;
  readonly options: JobOptions;
  readonly args: CalibrationArguments;
  /** Where other processes help to calibrate. */
  readonly lead?: Lead;
}

/** The images that --data names, as the network takes them; what was guessed of them is told. */
export async function imagesFor(
  { graph, inputs, args }: Pick<OnData, "graph" | "inputs" | "args">,
  context: Context,
): Promise<CalibrationData> {
  const { note, signal } = context;
  const data = await openData(args.data!, { note, signal });
  const images = await calibrationData(graph, data, inputs, imageOptionsOf(args, context));
  if (images.all.guessed.length > 0) note(guessedText(images.all.guessed));
  return images;
}

/** What a process does beside the one that compresses or plans; it says nothing. */
export async function helpOnData(
  { graph, file, inputs, options, args }: Omit<OnData, "output" | "lead">,
  follower: Follower,
  context: Context,
): Promise<void> {
  const images = await imagesFor({ graph, inputs, args }, context);
  const beside = { engine: bestEngine(deviceOf(args)), follower, hooks: { signal: context.signal } };
  await helpCalibrate({ graph, file }, images, planOptionsOf(options, args), beside);
}

export async function onData({ graph, file, output, inputs, options, args, lead }: OnData, context: Context) {
  const images = await imagesFor({ graph, inputs, args }, context);
  const count = images.images.count * images.all.each;
  const source = await sourceOf(file, args, images.all.count * images.all.each);
  const asked = { ...calibratedOptions(options, args), ...given("lead", lead) };
  const compressed = async (to: string) => {
    const result = await compressOnData({ graph, file }, to, images, asked, context);
    for (const { name, reason } of result.skipped) context.note(`skipped ${name}: ${reason}`);
    return { result, json: { ...reportOf({ ...result, file: output }, count), source }, text: show(result, count) };
  };
  if (inEightBits(args)) {
    const whole = { ...planOptionsOf(options, args), fixed: isFixed(options) };
    return inPrecision(
      { graph, file },
      output,
      images,
      { asked: whole, place: options, args, source, compressed },
      context,
    );
  }
  const { json, text: told } = await compressed(output);
  await keepReport(output, json);
  return { json, text: told };
}

/** A layout that was asked for is obeyed. */
const isFixed = (options: JobOptions): options is JobOptions & { readonly layout: Layout } =>
  options.layout !== undefined && options.layout !== "auto";

const calibratedOptions = (options: JobOptions, args: CalibrationArguments) => ({
  ...planOptionsOf(options, args),
  ...(isFixed(options) ? { layout: options.layout } : {}),
  ...given("steps", whole("--steps", args.steps, 0, 1e6)),
  ...given("device", deviceOf(args)),
});

/** The device that was asked for, if it is here. @throws FilterBasisError `usage`, `unsupported` */
export const deviceOf = ({ device }: Pick<CalibrationArguments, "device">): Device | undefined =>
  device === undefined ? undefined : requireDevice(device);

/** What a report needs to show images again. */
const sourceOf = async (file: string, args: CalibrationArguments, limit: number) => ({
  model: await realpath(file),
  data: await realpath(args.data!).catch(() => args.data!),
  options: { ...sourceOptions(args), limit },
});

/** How images become inputs, as far as it was stated. */
const sourceOptions = (args: CalibrationArguments) => ({
  ...readInputOptions(args),
  ...given("input", args["data-input"]),
  ...given("scale", whole("--scale", args.scale, 2, 4)),
  seed: whole("--seed", args.seed, 0, 2 ** 31) ?? 0,
});

/** Which images, and how they become inputs. */
export const imageOptionsOf = (args: CalibrationArguments, { note, signal }: Pick<Context, "note" | "signal">) => ({
  ...sourceOptions(args),
  ...{ note, signal },
  ...given("images", whole("--images", args.images, 1, 1e6)),
});

/** What is asked of the plan: a budget or sizes, which layers, what may be lost. */
export function planOptionsOf(options: JobOptions, args: CalibrationArguments): PlanOnDataOptions {
  const { runtime, threads, keepBatchNorm, layout = "auto", plan = {} } = options;
  const { only, skip, splits, basis, layers = {} } = plan;
  const sized = basis !== undefined || Object.values(layers).some((rule) => rule.basis !== undefined);
  return {
    budget: budgetOf(options, args),
    ...(sized ? { sizes: { ...given("splits", splits), ...given("basis", basis), layers } } : {}),
    ...(sized || splits === undefined || splits === "auto" ? {} : { splits }),
    ...(layout === "auto" && splits === undefined ? {} : { basesOnly: true }),
    selection: { ...given("only", only), ...given("skip", skip) },
    ...given("runtime", runtime),
    ...given("threads", threads),
    ...given("keepBatchNorm", keepBatchNorm),
    ...given("maxLoss", number("--max-loss", args["max-loss"], 0, 1e3)),
    ...given("output", args["loss-output"]),
    ...given("loss", args.loss),
    ...given("precision", args.precision),
  };
}

function budgetOf({ plan = {}, keepBytes }: JobOptions, args: CalibrationArguments): CalibratedBudget {
  const { keepMacs, keepParams } = plan;
  return {
    ...given("speedup", number("--speedup", args.speedup, 1, 100)),
    ...given("latency", number("--latency", args.latency, 1e-6, 1e6)),
    ...given("keepMacs", keepMacs),
    ...given("keepParams", keepParams),
    ...given("keepBytes", keepBytes),
  };
}

function show(result: CalibratedResult, images: number): string {
  const { file, before, after, bytes, verified, times, compared, plan } = result;
  const layers = layersOf(result).filter((one) => !isDense(one));
  const rows = layers.map(({ name, filters, factors, error, refit = "" }) => [
    name,
    filters.join("x"),
    factors,
    error.toFixed(4),
    refit,
  ]);
  return [
    ...warning(compared.loss),
    ...(rows.length > 0 ? [columns([["layer", "filters", "factors", "error", "refit"], ...rows]), ""] : []),
    `wrote ${file}: ${layers.length} layers compressed, calibrated on ${images} images`,
    changesText(withBytes(before, bytes.original), withBytes(after, bytes.written)),
    timesText(times),
    ...(plan.times
      ? [
          `the plan predicted ${plan.times.predicted.toFixed(2)} ms, of an original of ${plan.times.original.toFixed(2)} ms`,
        ]
      : []),
    `verified in ONNX Runtime: ${verified.maxDifference.toExponential(1)} of the largest output from what it should compute`,
    `${compared.inputs} images ${seenText(compared)}:`,
    ...lossLines(compared),
  ].join("\n");
}

function seenText({ fitted, chosen }: CalibratedResult["compared"]): string {
  if (fitted) return "that it was calibrated on, for there were no others";
  return chosen
    ? "that it was not calibrated on; they chose the plan too, for there were too few to part"
    : "that it was not calibrated on";
}

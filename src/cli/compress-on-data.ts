// `compress --data` without training: calibrated on the data, planned by what is lost on it, evaluated on images that
// nothing was fitted to.
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { calibrationData } from "../compress/calibration-data.js";
import { type CalibratedResult, compressOnData } from "../compress/compress-calibrated.js";
import type { JobOptions } from "../compress/job.js";
import type { CalibratedBudget } from "../compress/plan-calibrated.js";
import { openData } from "../data/table.js";
import { lossKinds } from "../evaluate/loss.js";
import type { Graph } from "../graph/types.js";
import { describeChain } from "../methods/chain-record.js";
import type { ModelInputs } from "../runtime/index.js";
import { columns } from "./columns.js";
import { lossLines } from "./compare.js";
import { changesText, timesText, withBytes } from "./compress-text.js";
import { type InputArguments, readInputOptions } from "./data-options.js";
import { eightBitReport, eightBitText, inEightBits, type PrecisionArguments, quantizeFile } from "./eight-bits.js";
import type { Context } from "./frame.js";
import { given, number, whole } from "./values.js";

const text = (description: string, valueHint: string) => ({ type: "string" as const, description, valueHint });

/** The options of a plan on data beside those of the data. */
export const planningOptions = {
  speedup: text("with data: the original's measured time divided by the result's", "X"),
  images: text("with data: images to calibrate on (default 256; 16 of more than 100,000 pixels)", "N"),
  "data-input": text("with data: the input that the images go into", "NAME"),
};

/** And those of a compression. */
export const calibrationOptions = {
  ...planningOptions,
  "max-loss": text("with data: write nothing that loses more on images held out", "L"),
  "loss-output": text("with data: the output whose loss counts (default: the first)", "NAME"),
  loss: {
    type: "enum" as const,
    options: lossKinds.filter((kind) => kind !== "decibels"), // citty wants the list writable
    description: "with data: what the output's loss is, where its values do not tell",
  },
};

export interface CalibrationArguments extends InputArguments, PrecisionArguments {
  readonly data?: string | undefined;
  readonly speedup?: string | undefined;
  readonly "max-loss"?: string | undefined;
  readonly images?: string | undefined;
  readonly "data-input"?: string | undefined;
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
}

export async function onData({ graph, file, output, inputs, options, args }: OnData, context: Context) {
  const { note, signal } = context;
  const data = await openData(args.data!, { note, signal });
  const images = await calibrationData(graph, data, inputs, imageOptionsOf(args, context));
  if (images.all.guessed.length > 0) note(`images: ${images.all.guessed.join(", ")} (guessed; state others)`);
  const { runtime, threads, keepBatchNorm } = options;
  const small = inEightBits(args);
  const folder = small ? await mkdtemp(join(tmpdir(), "filterbasis-float-")) : undefined;
  const float = folder === undefined ? output : join(folder, "float.onnx");
  const job = compressOnData(
    { graph, file },
    float,
    images,
    {
      budget: budgetOf(options, args),
      selection: selectionOf(options),
      ...given("runtime", runtime),
      ...given("threads", threads),
      ...given("keepBatchNorm", keepBatchNorm),
      ...given("maxLoss", number("--max-loss", args["max-loss"], 0, 1e3)),
      ...given("output", args["loss-output"]),
      ...given("loss", args.loss),
      ...given("steps", whole("--steps", args.steps, 0, 1e6)),
    },
    context,
  );
  try {
    const result = await job;
    for (const { name, reason } of result.skipped) note(`skipped ${name}: ${reason}`);
    const { count } = images.images;
    const [json, told] = [reportOf({ ...result, file: output }, count), show(result, count)];
    if (!small) return { json, text: told };
    const model = { graph: result.graph, file: float };
    const eight = await quantizeFile(model, output, images, args, options, context, { graph, file });
    return {
      json: { ...json, ...eightBitReport(eight, count), float: { ...json, skipped: undefined, layers: undefined } },
      text: `${told.replace(float, "the float network")}\n\n${eightBitText(eight, count)}`,
    };
  } finally {
    if (folder !== undefined) await rm(folder, { recursive: true, force: true });
  }
}

/** Which images, and how they become inputs. */
export const imageOptionsOf = (args: CalibrationArguments, { note, signal }: Pick<Context, "note" | "signal">) => ({
  ...readInputOptions(args),
  ...{ note, signal },
  ...given("images", whole("--images", args.images, 1, 1e6)),
  ...given("input", args["data-input"]),
  ...given("scale", whole("--scale", args.scale, 2, 4)),
  ...given("seed", whole("--seed", args.seed, 0, 2 ** 31)),
});

/** Which layers may be replaced. */
export const selectionOf = ({ plan: { only, skip } = {} }: JobOptions) => ({
  ...given("only", only),
  ...given("skip", skip),
});

export function budgetOf({ plan = {} }: JobOptions, { speedup }: CalibrationArguments): CalibratedBudget {
  const { keepMacs, keepParams } = plan;
  if (speedup !== undefined) return { speedup: number("--speedup", speedup, 1, 100)! };
  if (keepMacs !== undefined) return { keepMacs };
  if (keepParams !== undefined) return { keepParams };
  return {};
}

/** The result as plain data. */
function reportOf(result: CalibratedResult, images: number) {
  const { file, before, after, bytes, verified, times, compared, plan, skipped } = result;
  return {
    file,
    method: "calibrated",
    before: withBytes(before, bytes.original),
    ...withBytes(after, bytes.written),
    layers: layersOf(result),
    skipped,
    verified: true,
    maxDifference: verified.maxDifference,
    agreement: verified.original,
    milliseconds: times,
    ...(plan.times ? { predicted: plan.times } : {}),
    images,
    compared,
  };
}

function layersOf({ layers }: CalibratedResult) {
  return layers.flatMap(({ layer, choice, refit }) =>
    choice.candidate.family === "dense"
      ? []
      : [
          {
            name: layer,
            filters: [choice.layer.shape.n, choice.layer.shape.c, ...choice.layer.shape.kernel],
            factors: describeChain(choice.candidate),
            weights: choice.weights,
            macs: choice.macs,
            /** Share of the output's energy that is lost on the calibration images, before the refit. */
            error: choice.error,
            ...(refit ? { refit: refit.took } : {}),
          },
        ],
  );
}

/** A loss above this is the first line of the output. */
const much = 0.05;

function show(result: CalibratedResult, images: number): string {
  const { file, before, after, bytes, verified, times, compared, plan } = result;
  const layers = layersOf(result);
  const rows = layers.map(({ name, filters, factors, error, refit = "" }) => [
    name,
    filters.join("x"),
    factors,
    error.toFixed(4),
    refit,
  ]);
  const { loss } = compared;
  return [
    ...(loss.mean > much
      ? [`${loss.output} lost ${loss.mean.toPrecision(3)} (${loss.kind}): too much for most uses`, ""]
      : []),
    columns([["layer", "filters", "factors", "error", "refit"], ...rows]),
    "",
    `wrote ${file}: ${layers.length} layers compressed, calibrated on ${images} images`,
    changesText(withBytes(before, bytes.original), withBytes(after, bytes.written)),
    timesText(times),
    ...(plan.times
      ? [
          `the plan predicted ${plan.times.predicted.toFixed(2)} ms, of an original of ${plan.times.original.toFixed(2)} ms`,
        ]
      : []),
    `verified in ONNX Runtime: ${verified.maxDifference.toExponential(1)} of the largest output from what it should compute`,
    `${compared.inputs} images ${compared.fitted ? "that it was calibrated on, for there were no others" : "that it was not calibrated on"}:`,
    ...lossLines(compared),
  ].join("\n");
}

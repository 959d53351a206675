// What `compress` and `export` share about eight bits: options, the call, and how the result is told.
import type { CalibrationData } from "../compress/calibration-data.js";
import type { Given, JobOptions } from "../compress/job.js";
import { precisions } from "../compress/precisions.js";
import { type EightBitOptions, type EightBitResult, quantizeOnData } from "../compress/quantize-on-data.js";
import { targets } from "../runtime/eight-bits.js";
import { columns } from "./columns.js";
import { changesText, timesText, withBytes } from "./compress-text.js";
import type { Context } from "./frame.js";
import { lossLines } from "./loss-text.js";
import type { OptionRule } from "./option-rules.js";
import { given, number } from "./values.js";

/** Their definitions, for a command's `args`. */
export const precisionOptions = {
  precision: {
    type: "enum" as const,
    options: [...precisions], // citty wants the list writable
    description: "with data: what layers compute in; auto measures (default fp32)",
  },
  target: {
    type: "enum" as const,
    options: [...targets],
    description: "with --precision: the processor that eight bits are chosen for (default this)",
  },
};

export const precisionRules: readonly OptionRule[] = [
  { option: "precision=int8", needs: ["data"], why: "ranges and losses are measured on images" },
  { option: "precision=auto", needs: ["data"], why: "ranges and losses are measured on images" },
];

export const targetRules: readonly OptionRule[] = [
  { option: "target", needs: ["precision=int8", "precision=auto"], why: "it is about eight bits" },
];

/** Their values as citty hands them over. */
export interface PrecisionArguments {
  readonly precision?: (typeof precisions)[number] | undefined;
  readonly target?: (typeof targets)[number] | undefined;
  readonly "max-loss"?: string | undefined;
  readonly "loss-output"?: string | undefined;
  readonly loss?: "mask" | "classes" | "relative" | undefined;
}

export const inEightBits = ({ precision = "fp32" }: PrecisionArguments): boolean => precision !== "fp32";

/** Quantises a model into a file; what is skipped is noted. */
export async function quantizeFile(
  model: Given,
  output: string,
  data: CalibrationData,
  args: PrecisionArguments,
  place: Pick<JobOptions, "runtime" | "threads" | "latencies">,
  context: Context,
  beside: Pick<EightBitOptions, "original" | "notAlone" | "budget" | "against"> = {},
): Promise<EightBitResult> {
  const { precision, target, loss } = args;
  const result = await quantizeOnData(
    model,
    output,
    data,
    {
      precision: precision === "auto" ? "auto" : "int8",
      ...given("runtime", place.runtime),
      ...given("threads", place.threads),
      ...given("target", target),
      ...given("maxLoss", number("--max-loss", args["max-loss"], 0, 1e3)),
      ...given("output", args["loss-output"]),
      ...given("loss", loss),
      ...given("latencies", place.latencies),
      ...beside,
    },
    context,
  );
  for (const { name, reason } of result.float) context.note(`float ${name}: ${reason}`);
  return result;
}

/** The result as plain data. */
export function eightBitReport(result: EightBitResult, images: number) {
  const { before, after, bytes, verified, times, graph: _, ...told } = result;
  return {
    ...told,
    before: withBytes(before, bytes.original),
    ...withBytes(after, bytes.written),
    verified: verified ?? true,
    milliseconds: times,
    images,
  };
}

export function eightBitText(result: EightBitResult, images: number): string {
  const { before, after, bytes, float, verified, times, compared } = result;
  return [
    ...headLines(result, images),
    ...float.map(({ name, reason }) => `  float ${name}: ${reason}`),
    ...contestLines(result),
    changesText(withBytes(before, bytes.original), withBytes(after, bytes.written)),
    timesText(times),
    ...(verified === undefined
      ? []
      : [
          `verified in ONNX Runtime: ${verified.difference.toExponential(1)} of the output (rms) from its simulation in floats, ` +
            `where ${verified.allowed.toExponential(1)} is allowed and rounding to eight bits changes ${verified.rounding.toExponential(1)}`,
        ]),
    `${compared.inputs} images ${compared.fitted ? "that it was calibrated on, for there were no others" : "that it was not calibrated on"}:`,
    ...lossLines(compared),
  ].join("\n");
}

function headLines({ file, rounding, layers, float, target, alone }: EightBitResult, images: number): string[] {
  if (rounding === undefined)
    return [`wrote ${file} in floats: no form in eight bits was faster within the loss allowed`];
  const { ranges, weights, corrected, equalised, rotated, ordered } = rounding;
  const extras = [
    ...(corrected ? ["biases corrected"] : []),
    ...(equalised ? ["maps between layers equalised"] : []),
    ...(rotated ? ["maps between layers turned"] : []),
    ...(ordered ? ["rounded in order"] : []),
  ];
  return [
    ...(alone ? ["the original in eight bits is the fastest: nothing is replaced by factors"] : []),
    `wrote ${file}: ${layers.length} layers in eight bits, ${float.length} in floats, chosen on ${images} images`,
    `for ${target}: ranges by ${ranges}, weights ${weights}${extras.map((one) => `, ${one}`).join("")}`,
  ];
}

/** What was tried, in one table. */
function contestLines({ contestants }: EightBitResult): readonly string[] {
  if (contestants.length === 0) return [];
  const rows = contestants.map(({ name, layers, loss, milliseconds, chosen, reason = "" }) => [
    name,
    String(layers),
    loss?.toPrecision(2) ?? "",
    milliseconds?.toFixed(2) ?? "",
    chosen ? "written" : reason,
  ]);
  return ["timed in turns:", columns([["form", "int8 layers", "loss", "ms", ""], ...rows])];
}

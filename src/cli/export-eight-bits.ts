// `export --precision`: a model quantised on data, without any other compression.
import { calibrationData } from "../compress/calibration-data.js";
import { openData } from "../data/table.js";
import { lossKinds } from "../evaluate/loss.js";
import { loadModel } from "../runtime/files.js";
import { modelBytes, modelFiles } from "../runtime/model-bytes.js";
import { checkOutput } from "../runtime/output.js";
import { checkRunnable } from "../runtime/runnable.js";
import { imageOptionsOf } from "./compress-on-data.js";
import { guessedText, type InputArguments } from "./data-options.js";
import { eightBitReport, eightBitText, type PrecisionArguments, quantizeFile } from "./eight-bits.js";
import { type Context, stopIfAsked } from "./frame.js";
import { chooseModel } from "./model-file.js";
import { modelInputs } from "./model-inputs.js";
import { given, whole } from "./values.js";

const text = (description: string, valueHint: string) => ({ type: "string" as const, description, valueHint });

/** The options of the data beside those of images. */
export const eightBitData = {
  images: text("with data: images to calibrate on (default 256; 16 of more than 100,000 pixels)", "N"),
  "data-input": text("with data: the input that the images go into", "NAME"),
  "max-loss": text("with data: write nothing that loses more on images held out", "L"),
  "loss-output": text("with data: the output whose loss counts (default: the first)", "NAME"),
  loss: {
    type: "enum" as const,
    options: lossKinds.filter((kind) => kind !== "decibels"), // citty wants the list writable
    description: "with data: what the output's loss is, where its values do not tell",
  },
};

export interface ExportArguments extends InputArguments, PrecisionArguments {
  readonly model: string;
  readonly output: string;
  readonly best?: boolean | undefined;
  readonly data?: string | undefined;
  readonly images?: string | undefined;
  readonly "data-input"?: string | undefined;
  readonly threads?: string | undefined;
}

export async function exportInEightBits(args: ExportArguments, context: Context) {
  const { note, signal } = context;
  const { file } = await chooseModel(args.model, args.best ? "best" : undefined);
  const threads = whole("--threads", args.threads, 1, 1024);
  await checkOutput(args.output, { inputs: await modelFiles(file), bytes: await modelBytes(file) });
  const graph = await loadModel(file, { note });
  await stopIfAsked(signal);
  await checkRunnable(file);
  const inputs = await modelInputs(graph, context);
  const data = await openData(args.data!, { note, signal });
  const images = await calibrationData(graph, data, inputs, imageOptionsOf(args, context));
  if (images.all.guessed.length > 0) note(guessedText(images.all.guessed));
  const result = await quantizeFile({ graph, file }, args.output, images, args, given("threads", threads), context);
  const count = images.images.count * images.all.each;
  return { json: eightBitReport(result, count), text: eightBitText(result, count) };
}

// `export`: a model as it is to be shipped: normalisation folded, compressed layers in their fastest layout, weights
// stored in fewer bits, layers computed in eight bits; a run's model taken out of its folder. Without flags it changes
// nothing.
import { type Layout, layouts } from "../basis/layouts.js";
import { type ChooseLayoutOptions, fastestLayouts } from "../compress/fastest-layouts.js";
import { type Rewritten, writeRewritten } from "../compress/rewrite.js";
import { FilterBasisError } from "../errors/error.js";
import type { Graph } from "../graph/types.js";
import { chooseLayouts } from "../methods/layout.js";
import { readRecord } from "../methods/record.js";
import { foldBatchNorm } from "../passes/fold-batch-norm.js";
import { halfWeights, roundedToHalf } from "../passes/half-weights.js";
import { int8Weights, roundedToInt8 } from "../passes/int8-weights.js";
import { sequence } from "../passes/sequence.js";
import { worstOutput } from "../runtime/agreement.js";
import { loadModel } from "../runtime/files.js";
import { modelBytes, modelFiles } from "../runtime/model-bytes.js";
import { checkOutput } from "../runtime/output.js";
import { checkRunnable } from "../runtime/runnable.js";
import { agreementLines } from "./agreement-text.js";
import { grouped } from "./columns.js";
import { inputOptions as imageOptions } from "./data-options.js";
import { inEightBits, precisionOptions, precisionRules } from "./eight-bits.js";
import { eightBitData, exportInEightBits } from "./export-eight-bits.js";
import { type Context, command, stopIfAsked } from "./frame.js";
import { type ChosenModel, chooseModel } from "./model-file.js";
import { inputOptions, modelInputs } from "./model-inputs.js";
import type { OptionRule } from "./option-rules.js";
import { given, metricText, whole } from "./values.js";

const stores = ["fp16", "int8"] as const;
/** How weights are stored, and what they then are. */
const storages = {
  fp16: { pass: halfWeights, rounded: roundedToHalf },
  int8: { pass: int8Weights, rounded: roundedToInt8 },
  none: undefined,
} as const;

const exportRules: readonly OptionRule[] = [
  { oneOf: ["store", "fp16"], why: "each says how weights are stored" },
  ...precisionRules,
  ...["int8", "auto"].map((precision) => ({
    option: `precision=${precision}`,
    excludes: ["store", "fp16", "layout", "fold-bn"],
    why: "it folds, lays out and stores for eight bits by itself",
  })),
  ...["data", ...Object.keys(eightBitData), ...Object.keys(imageOptions)].map((option) => ({
    option,
    needs: ["precision=int8", "precision=auto"],
    why: "data is for eight bits only",
  })),
];

export default command({
  name: "export",
  summary: "take a model out of a run; fold batch norm, choose layouts, store half-precision weights; verified",
  examples: [
    "export model.onnx -o stored.onnx --store int8",
    "export model.onnx -o int8.onnx --precision int8 --data photos/",
  ],
  args: {
    model: { type: "positional", description: "an ONNX file or a run folder", required: true },
    output: { type: "string", alias: "o", description: "the file to write", required: true, valueHint: "FILE" },
    best: {
      type: "boolean",
      description: "of a run: the epoch that was best on the test data, instead of the last",
    },
    "fold-bn": { type: "boolean", description: "fold batch normalisation into the layer before or after it" },
    layout: {
      type: "enum",
      options: ["auto", ...layouts],
      description: "how compressed layers are written; auto measures; by default as they are",
    },
    store: {
      type: "enum",
      options: [...stores],
      description: "store weights in half precision or eight bits (computed in float32)",
    },
    fp16: { type: "boolean", description: "the same as --store fp16" },
    ...precisionOptions,
    data: { type: "string", description: "with --precision: images or arrays to measure on", valueHint: "D" },
    ...eightBitData,
    ...imageOptions,
    ...inputOptions,
    threads: { type: "string", description: "threads of ONNX Runtime while verifying", valueHint: "N" },
  },
  rules: exportRules,
  async run(args, context) {
    if (inEightBits(args)) return exportInEightBits(args, context);
    const { file, taken } = await chooseModel(args.model, args.best ? "best" : undefined);
    const threads = whole("--threads", args.threads, 1, 1024);
    await checkOutput(args.output, { inputs: await modelFiles(file), bytes: await modelBytes(file) });
    const before = await loadModel(file, { note: context.note });
    await stopIfAsked(context.signal);
    if (args.layout !== undefined && readRecord(before) === undefined)
      throw new FilterBasisError("usage", "--layout is for compressed models", { file });
    await checkRunnable(file);
    const inputs = await modelInputs(before, context);
    const place = { ...given("threads", threads), inputs };
    const folded = sequence(...(args["fold-bn"] ? [foldBatchNorm] : []))(before);
    const written = args.layout
      ? await inLayout(folded.graph, args.layout, { inputs, ...given("threads", threads) }, context)
      : folded.graph;
    const storing = storages[args.store ?? (args.fp16 ? "fp16" : "none")];
    const { graph, outcomes: stored } = sequence(...(storing ? [storing.pass] : []))(written);
    const outcomes = [...folded.outcomes, ...stored];
    for (const { layer, applied, reason } of outcomes) if (!applied) context.note(`skipped ${layer}: ${reason}`);
    const rounded = storing?.rounded(written);
    const result = await writeRewritten({ graph: before, file }, graph, outcomes, args.output, place, context, rounded);
    const report = reportOf(result, args.output, file, taken);
    const layouts = args.layout && layoutsOf(graph);
    return { json: { ...report, ...(layouts && { layouts }) }, text: show(result, report, layouts) };
  },
});

/** Writes every compressed layer in the layout asked for; `auto` measures as `compress` does. */
async function inLayout(graph: Graph, layout: "auto" | Layout, options: ChooseLayoutOptions, context: Context) {
  if (layout === "auto") return (await fastestLayouts(graph, options, context)).graph;
  return chooseLayouts(() => layout)(graph).graph;
}

function reportOf(result: Rewritten, output: string, file: string, taken: ChosenModel["taken"]) {
  const { outcomes, before, after, bytes, agreement, change, milliseconds } = result;
  const { weights, parameters } = after;
  return {
    file: output,
    from: { file, ...taken },
    applied: outcomes.filter(({ applied }) => applied),
    skipped: outcomes.filter(({ applied }) => !applied).map(({ layer, reason }) => ({ name: layer, reason })),
    before: { weights: before.weights, parameters: before.parameters, bytes: bytes.original ?? before.bytes },
    weights,
    parameters,
    bytes: bytes.written,
    verified: true,
    maxDifference: worstOutput(agreement)?.relativeMax ?? 0,
    change: (change && worstOutput(change)?.relativeMax) ?? worstOutput(agreement)?.relativeMax ?? 0,
    agreement: change ?? agreement,
    milliseconds,
  };
}

function show(
  { agreement, change, milliseconds: { original, written } }: Rewritten,
  report: ReturnType<typeof reportOf>,
  layouts: readonly string[] | undefined,
): string {
  const { file, from, applied, skipped, before, bytes, parameters } = report;
  return [
    ...(from.which ? [describe(from.file, { ...from, which: from.which, metrics: from.metrics ?? {} })] : []),
    `wrote ${file}: ${applied.length} ${applied.length === 1 ? "place" : "places"} rewritten, ${skipped.length} skipped`,
    ...(layouts ? [`layouts of the compressed layers: ${layouts.join(", ")}`] : []),
    `${grouped(before.bytes)} -> ${grouped(bytes)} bytes, parameters ${grouped(before.parameters)} -> ${grouped(parameters)}`,
    `${original.toFixed(2)} ms -> ${written.toFixed(2)} ms in ONNX Runtime, original and written file in turns`,
    ...(change ? ["verified in ONNX Runtime against the same network with its weights rounded"] : []),
    ...agreementLines(change ?? agreement),
  ].join("\n");
}

/** Which model of a run it is, and what the run measured of it. */
function describe(file: string, { which, epoch, metrics }: NonNullable<ChosenModel["taken"]>): string {
  const values = Object.entries(metrics).map((metric) => `, ${metricText(...metric)}`);
  const what = which === "last" ? "the model of the last epoch" : "the model of the best epoch on the test data";
  return `took ${file}: ${what}${epoch === undefined ? "" : ` (epoch ${epoch}${values.join("")})`}`;
}

/** How many layers have which layout: "3 dense". */
function layoutsOf(graph: Graph): readonly string[] {
  const layers = readRecord(graph)?.layers ?? [];
  const count = (layout: string) => layers.filter((layer) => layer.layout === layout).length;
  return layouts.filter((layout) => count(layout) > 0).map((layout) => `${count(layout)} ${layout}`);
}

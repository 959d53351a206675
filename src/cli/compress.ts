// `compress`: replaces the filters of a model's convolutions by a basis, chooses the layout of each layer by
// measurement, verifies the result in ONNX Runtime and writes it. With --undo the other way round.
import { realpath } from "node:fs/promises";
import { type Compressed, compressModel } from "../compress/compress.js";
import { type Given, type Place, placeOf } from "../compress/job.js";
import type { PlannedModel } from "../compress/plan.js";
import { undoModel } from "../compress/rewrite.js";
import { checkDataSource } from "../data/table.js";
import { FilterBasisError } from "../errors/error.js";
import type { Graph } from "../graph/types.js";
import { planAsOptions } from "../methods/plan.js";
import { readRecord } from "../methods/record.js";
import { chainRows } from "../report/recorded-layers.js";
import { worstOutput } from "../runtime/agreement.js";
import { loadModel } from "../runtime/files.js";
import { modelBytes, modelFiles } from "../runtime/model-bytes.js";
import { checkOutput } from "../runtime/output.js";
import { checkRunnable } from "../runtime/runnable.js";
import { readLaunch } from "../torch/launcher.js";
import { agreementLines } from "./agreement-text.js";
import { calibrateTogether } from "./calibrate-together.js";
import { columns } from "./columns.js";
import { onData, planningOptions } from "./compress-on-data.js";
import { checkPatterns, compressionOptions, jobOptions } from "./compress-options.js";
import { compressRules, isCalibrated } from "./compress-rules.js";
import { changesText, timesText, withBytes } from "./compress-text.js";
import { inputOptions as imageOptions } from "./data-options.js";
import { inEightBits, precisionOptions, precisionRules, targetRules } from "./eight-bits.js";
import { checkFineTuning, fineTune, fineTuningOptions } from "./fine-tune.js";
import { type FineTunedRun, keepFineTuned, removeFineTuned } from "./fine-tuned-run.js";
import { type Context, command, stopIfAsked } from "./frame.js";
import { modelFile } from "./model-file.js";
import { modelInputs } from "./model-inputs.js";

export default command({
  name: "compress",
  summary: "replace filters by a basis, on --data by what keeps the outputs; verified in ONNX Runtime",
  examples: [
    "compress model.onnx -o small.onnx --keep-params 0.5",
    "compress model.onnx -o small.onnx --data photos/ --speedup 1.5",
  ],
  args: {
    model: { type: "positional", description: "an ONNX file or a run folder", required: true },
    output: { type: "string", alias: "o", description: "the file to write", required: true, valueHint: "FILE" },
    ...compressionOptions,
    ...fineTuningOptions,
    ...planningOptions,
    ...precisionOptions,
    ...imageOptions,
    undo: { type: "boolean", description: "expand a compressed model back to dense filters" },
  },
  rules: [...compressRules, ...precisionRules, ...targetRules],
  async run(args, context) {
    const file = await modelFile(args.model);
    const options = jobOptions(args, context);
    if (isCalibrated(context.given)) readLaunch(process.env); // variables that are set by halves
    const calibrated = isCalibrated(context.given);
    if (inEightBits(args) && !calibrated)
      throw new FilterBasisError("usage", "--precision is of compression by calibration, without training");
    if (calibrated) await checkDataSource(args.data!);
    else await checkFineTuning(args);
    await checkOutput(args.output, { inputs: await modelFiles(file), bytes: await modelBytes(file) });
    const graph = await loadModel(file, { note: context.note });
    await stopIfAsked(context.signal);
    if (!args.undo) checkPatterns(graph, options, context);
    const place = options.runtime === undefined ? {} : { runtime: options.runtime };
    await checkRunnable(file, place);
    const inputs = await modelInputs(graph, context, place);
    if (args.undo) return undo({ graph, file }, args.output, placeOf(options, inputs), context);
    if (calibrated) {
      const asked = { graph, file, output: args.output, inputs, options, args };
      return calibrateTogether(asked, context, (own) => onData(own, context));
    }
    let trained: FineTunedRun | undefined;
    const train = async ({ plan }: PlannedModel) => {
      const asked = planAsOptions(plan, { ...options.plan, inputs: inputs.shapes });
      trained = (await fineTune(await realpath(file), graph, args.method, asked, args, context))!;
      return trained;
    };
    const job = { ...options, inputs };
    const result = await keepFineTuned(
      () => trained,
      args.output,
      context,
      () => compressModel<FineTunedRun>({ graph, file }, args.output, job, context, args.data ? train : undefined),
    );
    await removeFineTuned(trained);
    for (const { name, reason } of result.plan.skipped) context.note(`skipped ${name}: ${reason}`);
    const report = reportOf(result, args.method);
    return { json: report, text: show(report, result) };
  },
});

/** The result as plain data. */
function reportOf(result: Compressed<FineTunedRun>, method: string) {
  const { file, before, after, bytes, plan, graph, foldOutcomes, verified, written, trained } = result;
  return {
    file,
    method,
    before: withBytes(before, bytes.original),
    ...withBytes(after, bytes.written),
    layers: layerReport(graph),
    /** Layers that were chains of convolutions before, and still are. */
    chains: chainRows(graph),
    skipped: plan.skipped,
    ...(plan.why === undefined ? {} : { why: plan.why }),
    batchNormFolded: foldOutcomes.filter(({ pass, applied }) => applied && pass === "fold-batch-norm").length,
    verified: true,
    maxDifference: verified.maxDifference,
    agreement: verified.original,
    milliseconds: written,
    ...(trained ? { trained: { seconds: trained.seconds, epochs: trained.epochs } } : {}),
  };
}

async function undo(given: Given, output: string, place: Place, hooks: Context) {
  const { outcomes, before, after, bytes, milliseconds, ...rewritten } = await undoModel(given, output, place, hooks);
  const agreement = rewritten.change ?? rewritten.agreement;
  const skipped = outcomes.filter(({ applied }) => !applied).map(({ layer, reason }) => ({ name: layer, reason }));
  for (const { name, reason } of skipped) hooks.note(`skipped ${name}: ${reason}`);
  const layers = outcomes.filter(({ applied }) => applied).map(({ layer }) => ({ name: layer }));
  const [was, is] = [withBytes(before, bytes.original), withBytes(after, bytes.written)];
  const maxDifference = worstOutput(agreement)?.relativeMax ?? 0;
  return {
    json: { file: output, before: was, ...is, layers, skipped, verified: true, maxDifference, agreement, milliseconds },
    text: [
      `wrote ${output}: ${layers.length} layers expanded, ${skipped.length} skipped`,
      changesText(was, is),
      timesText(milliseconds),
      ...agreementLines(agreement),
    ].join("\n"),
  };
}

/** As in a plan, nodes that read the same weight are one layer, which has the first one's name. */
function layerReport(graph: Graph) {
  const recorded = readRecord(graph)?.layers ?? [];
  const layers = new Map<string, typeof recorded>();
  for (const layer of recorded) layers.set(layer.coefficients, [...(layers.get(layer.coefficients) ?? []), layer]);
  return [...layers.values()].map((nodes) => {
    const { name, output, splits, basisSize, shared, layout, error, shape } = nodes[0]!;
    const about = { name: name || output, filters: shape, splits, basis: basisSize, nodes: nodes.length };
    return { ...about, ...(shared === undefined ? {} : { shared }), layout, error };
  });
}

function show(report: ReturnType<typeof reportOf>, { outcomes }: Compressed<FineTunedRun>): string {
  const { file, layers, skipped, before, maxDifference, milliseconds, why, agreement } = report;
  const rows = layers.map(({ name, filters, splits, basis, shared, layout, error }) => [
    name,
    filters.join("x"),
    String(splits),
    String(basis),
    shared ?? "",
    layout,
    error === null ? "" : error.toFixed(3),
  ]);
  const chained = report.chains.map(({ name, filters, factors, error }) => [
    ...[name, filters.join("x"), "", "", "", factors],
    error?.toFixed(3) ?? "",
  ]);
  const warnings = outcomes.filter(({ applied, reason }) => applied && reason.includes("warning:"));
  return [
    columns([["layer", "filters", "splits", "basis", "shared", "layout", "error"], ...rows, ...chained]),
    "",
    ...warnings.map(({ layer, reason }) => `${layer}: ${reason}`),
    `wrote ${file}: ${layers.length} layers compressed, ${skipped.length} skipped`,
    changesText(before, report),
    ...(why === undefined ? [] : [`below the budget: ${why}`]),
    timesText(milliseconds),
    `verified in ONNX Runtime: ${maxDifference.toExponential(1)} of the largest output from what it should compute`,
    ...agreementLines(agreement),
    ...(report.trained
      ? []
      : [
          "without pictures filters are fitted to weights alone, and what is lost on real inputs is unknown:",
          "with --data FOLDER (no labels) the same budget keeps far more, and it is measured",
        ]),
  ].join("\n");
}

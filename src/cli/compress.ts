// `compress`: replaces the filters of a model's convolutions by a basis, chooses the layout of each layer by measurement,
// verifies the result in ONNX Runtime and writes it. With --undo the other way round.
import { realpath } from "node:fs/promises";
import { type Compressed, compressModel } from "../compress/compress.js";
import { type Given, type Place, placeOf } from "../compress/job.js";
import type { PlannedModel } from "../compress/plan.js";
import { undoModel } from "../compress/rewrite.js";
import type { Times } from "../compress/time.js";
import type { Graph } from "../graph/types.js";
import { planAsOptions } from "../methods/plan.js";
import { readRecord } from "../methods/record.js";
import type { Cost } from "../ops/cost/cost.js";
import { worstOutput } from "../runtime/agreement.js";
import { loadModel } from "../runtime/files.js";
import { modelBytes, modelFiles } from "../runtime/model-bytes.js";
import { checkOutput } from "../runtime/output.js";
import { checkRunnable } from "../runtime/runnable.js";
import { agreementLines } from "./agreement-text.js";
import { columns, grouped } from "./columns.js";
import { checkPatterns, compressionOptions, jobOptions } from "./compress-options.js";
import { compressRules } from "./compress-rules.js";
import { type Context, command, stopIfAsked } from "./frame.js";
import { checkLearning, learn, learningOptions } from "./learn.js";
import { keepingLearned, type LearnedRun, releaseLearned } from "./learned-run.js";
import { modelFile } from "./model-file.js";
import { modelInputs } from "./model-inputs.js";

export default command({
  name: "compress",
  summary: "replace filters by a basis; verified in ONNX Runtime",
  args: {
    model: { type: "positional", description: "an ONNX file or a run folder", required: true },
    output: { type: "string", alias: "o", description: "the file to write", required: true, valueHint: "FILE" },
    ...compressionOptions,
    ...learningOptions,
    undo: { type: "boolean", description: "expand a compressed model back to dense filters" },
  },
  rules: compressRules,
  async run(args, context) {
    const file = await modelFile(args.model);
    const options = jobOptions(args, context);
    await checkLearning(args);
    await checkOutput(args.output, { inputs: await modelFiles(file), bytes: await modelBytes(file) });
    const graph = await loadModel(file, { note: context.note });
    await stopIfAsked(context.signal);
    if (!args.undo) checkPatterns(graph, options, context);
    const place = options.runtime === undefined ? {} : { runtime: options.runtime };
    await checkRunnable(file, place);
    const inputs = await modelInputs(graph, context, place);
    if (args.undo) return undo({ graph, file }, args.output, placeOf(options, inputs), context);
    let learned: LearnedRun | undefined;
    const train = async ({ plan }: PlannedModel) => {
      const asked = planAsOptions(plan, { ...options.plan, inputs: inputs.shapes });
      learned = (await learn(await realpath(file), graph, args.method, asked, args, context))!;
      return learned;
    };
    const job = () =>
      compressModel<LearnedRun>({ graph, file }, args.output, { ...options, inputs }, context, args.data ? train : undefined);
    const result = await job().catch((error: unknown) =>
      keepingLearned(learned, args.output, context, () => Promise.reject(error)),
    );
    await releaseLearned(learned);
    for (const { name, because } of result.plan.refused) context.note(`skipped ${name}: ${because}`);
    const report = reportOf(result, args.method);
    return { json: report, text: show(report, result) };
  },
});

/** The result as plain data. */
function reportOf(result: Compressed<LearnedRun>, method: string) {
  const { file, before, after, bytes, plan, graph, foldOutcomes, verified, written, trained } = result;
  return {
    file,
    method,
    before: withBytes(before, bytes.original),
    ...withBytes(after, bytes.written),
    layers: layerReport(graph),
    refused: plan.refused,
    ...(plan.why === undefined ? {} : { why: plan.why }),
    batchNormFolded: foldOutcomes.filter(({ pass, done }) => done && pass === "fold-batch-norm").length,
    verified: true,
    maxDifference: verified.maxDifference,
    agreement: verified.original,
    milliseconds: written,
    ...(trained ? { learned: { seconds: trained.seconds, epochs: trained.epochs } } : {}),
  };
}

async function undo(given: Given, output: string, place: Place, hooks: Context) {
  const { outcomes, before, after, bytes, agreement, milliseconds } = await undoModel(given, output, place, hooks);
  const refused = outcomes.filter(({ done }) => !done).map(({ site, because }) => ({ name: site, because }));
  for (const { name, because } of refused) hooks.note(`skipped ${name}: ${because}`);
  const layers = outcomes.filter(({ done }) => done).map(({ site }) => ({ name: site }));
  const [was, is] = [withBytes(before, bytes.original), withBytes(after, bytes.written)];
  const maxDifference = worstOutput(agreement)?.relativeMax ?? 0;
  return {
    json: { file: output, before: was, ...is, layers, refused, verified: true, maxDifference, agreement, milliseconds },
    text: [
      `wrote ${output}: ${layers.length} layers expanded, ${refused.length} skipped`,
      changes(was, is),
      timesText(milliseconds),
      ...agreementLines(agreement),
    ].join("\n"),
  };
}

const withBytes = ({ weights, all, macs, bytes }: Cost, file = bytes) => ({ weights, all, macs, bytes: file });
type Totals = ReturnType<typeof withBytes>;

const timesText = ({ original, written, ratio, interval: [low, high], verdict }: Times): string =>
  `${original.toFixed(2)} ms -> ${written.toFixed(2)} ms in ONNX Runtime, original and written file in turns: ` +
  `${ratio.toFixed(2)} x (${low.toFixed(2)} to ${high.toFixed(2)}), ${verdict === "within noise" ? "no difference beyond noise" : verdict}`;

function layerReport(graph: Graph) {
  return (readRecord(graph)?.sites ?? []).map(({ name, output, splits, basisSize, shared, form, error, shape }) => ({
    name: name || output,
    filters: shape,
    splits,
    basis: basisSize,
    ...(shared === undefined ? {} : { shared }),
    form,
    error,
  }));
}

function show(report: ReturnType<typeof reportOf>, { outcomes }: Compressed<LearnedRun>): string {
  const { file, layers, refused, before, maxDifference, milliseconds, why, agreement } = report;
  const rows = layers.map(({ name, filters, splits, basis, shared, form, error }) => [
    name,
    filters.join("x"),
    String(splits),
    String(basis),
    shared ?? "",
    form,
    error === null ? "" : error.toFixed(3),
  ]);
  const warnings = outcomes.filter(({ done, because }) => done && because.includes("warning:"));
  return [
    columns([["layer", "filters", "splits", "basis", "shared", "layout", "error"], ...rows]),
    "",
    ...warnings.map(({ site, because }) => `${site}: ${because}`),
    `wrote ${file}: ${layers.length} layers compressed, ${refused.length} skipped`,
    changes(before, report),
    ...(why === undefined ? [] : [`below the budget: ${why}`]),
    timesText(milliseconds),
    `verified in ONNX Runtime: ${maxDifference.toExponential(1)} of the largest output from what it should compute`,
    ...agreementLines(agreement),
    ...(report.learned ? [] : [`no data was given: evaluate ${file} --against ORIGINAL --data D compares both on data`]),
  ].join("\n");
}

function changes(before: Totals, after: Totals): string {
  const change = (key: keyof Totals, label: string) =>
    `${label} ${grouped(before[key])} -> ${grouped(after[key])} (${((100 * after[key]) / (before[key] || 1)).toFixed(1)}%)`;
  return [change("weights", "weights"), change("macs", "MACs"), change("bytes", "bytes")].join(", ");
}

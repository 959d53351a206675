// `compress`: replaces the filters of a model's convolutions by a basis, chooses the layout of each layer by measurement,
// verifies the result in ONNX Runtime and writes it. With --undo the other way round.
import { realpath } from "node:fs/promises";
import { type Compressed, compressModel } from "../compress/compress.js";
import type { PlannedModel } from "../compress/plan.js";
import { FilterBasisError } from "../errors/error.js";
import { type Cost, cost } from "../graph/cost.js";
import type { Graph } from "../graph/types.js";
import { expand } from "../methods/expand.js";
import { planAsOptions } from "../methods/plan.js";
import { readRecord } from "../methods/record.js";
import { loadModel } from "../runtime/files.js";
import { columns, grouped } from "./columns.js";
import { asksForCompression, compressionOptions, jobOptions, readPlanOptions } from "./compress-options.js";
import { writeVerified } from "./finish.js";
import { type Context, command } from "./frame.js";
import { learn, learningOptions } from "./learn.js";
import { keepingLearned, type LearnedRun, releaseLearned } from "./learned-run.js";
import { modelFile } from "./model-file.js";

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
  async run(args, context) {
    const file = await modelFile(args.model);
    if (await sameFile(file, args.output)) throw new FilterBasisError("usage", "the output would replace the input", { file });
    const graph = await loadModel(file);
    if (args.undo) {
      if (asksForCompression(args)) throw new FilterBasisError("usage", "--undo takes no budget, splits or basis");
      return undo(graph, args.output, context);
    }
    const asked = readPlanOptions(graph, args, context.repeated);
    let learned: LearnedRun | undefined;
    const train = async ({ plan }: PlannedModel) => {
      learned = (await learn(await realpath(file), graph, args.method, planAsOptions(plan, asked), args, context))!;
      return learned;
    };
    if (args.data === undefined) await learn(file, graph, args.method, asked, args, context); // refuses options that need --data
    const options = jobOptions(args, asked);
    const job = () =>
      compressModel<LearnedRun>({ graph, file }, args.output, options, context, args.data === undefined ? undefined : train);
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
  const { file, before, after, bytes, plan, graph, foldOutcomes, verified, milliseconds, trained } = result;
  return {
    file,
    method,
    before: { ...totals(before), ...(bytes.original === undefined ? {} : { bytes: bytes.original }) },
    ...totals(after),
    bytes: bytes.written,
    layers: layerReport(graph),
    refused: plan.refused,
    ...(plan.why === undefined ? {} : { why: plan.why }),
    batchNormFolded: foldOutcomes.filter(({ done }) => done).length,
    verified: true,
    maxDifference: verified.maxDifference,
    milliseconds,
    ...(trained ? { learned: { seconds: trained.seconds, epochs: trained.epochs } } : {}),
  };
}

async function undo(graph: Graph, output: string, { note }: Context) {
  const before = cost(graph);
  const { graph: dense, outcomes } = expand(graph);
  const refused = outcomes.filter(({ done }) => !done).map(({ site, because }) => ({ name: site, because }));
  for (const { name, because } of refused) note(`left ${name}: ${because}`);
  if (refused.length === outcomes.length) {
    throw new FilterBasisError("unsupported", `nothing can be expanded (${refused[0]?.name}: ${refused[0]?.because})`);
  }
  const { maxDifference } = await writeVerified(dense, output, new Map(), {}, graph);
  const after = cost(dense);
  const layers = outcomes.filter(({ done }) => done).map(({ site }) => ({ name: site }));
  return {
    json: { file: output, before: totals(before), ...totals(after), layers, refused, verified: true, maxDifference },
    text: [
      `wrote ${output}: ${layers.length} layers expanded, ${refused.length} left`,
      changes(totals(before), totals(after)),
      `verified in ONNX Runtime: ${maxDifference.toExponential(1)} of the largest output from the compressed model`,
    ].join("\n"),
  };
}

const totals = ({ weights, all, macs, bytes }: Cost) => ({ weights, all, macs, bytes });
type Totals = ReturnType<typeof totals>;

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
  const { file, layers, refused, before, maxDifference, milliseconds, why } = report;
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
  const { original, written } = milliseconds;
  return [
    columns([["layer", "filters", "splits", "basis", "shared", "layout", "error"], ...rows]),
    "",
    ...warnings.map(({ site, because }) => `${site}: ${because}`),
    `wrote ${file}: ${layers.length} layers compressed, ${refused.length} skipped`,
    changes(before, report),
    ...(why === undefined ? [] : [`below the budget: ${why}`]),
    `${original.toFixed(2)} ms -> ${written.toFixed(2)} ms in ONNX Runtime, original file and written file in turns (${(original / written).toFixed(2)} x)`,
    `verified in ONNX Runtime: ${maxDifference.toExponential(1)} of the largest output from what it should compute`,
  ].join("\n");
}

function changes(before: Totals, after: Totals): string {
  const change = (key: keyof Totals, label: string) =>
    `${label} ${grouped(before[key])} -> ${grouped(after[key])} (${((100 * after[key]) / (before[key] || 1)).toFixed(1)}%)`;
  return [change("weights", "weights"), change("macs", "MACs"), change("bytes", "bytes")].join(", ");
}

async function sameFile(a: string, b: string): Promise<boolean> {
  const [one, other] = await Promise.all([a, b].map((path) => realpath(path).catch(() => undefined)));
  return one !== undefined && one === other;
}

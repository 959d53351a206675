// `compress`: replaces the filters of a model's convolutions by a basis, chooses the form of each layer by measurement,
// verifies the result in ONNX Runtime and writes it. With --undo the other way round.
import { realpath } from "node:fs/promises";
import { FilterBasisError } from "../errors/error.js";
import { type Cost, cost } from "../graph/cost.js";
import type { Graph, Outcome } from "../graph/types.js";
import { expand } from "../methods/expand.js";
import { readRecord } from "../methods/record.js";
import { foldBatchNorm } from "../passes/fold-batch-norm.js";
import type { FormChoice } from "../runtime/choose-form.js";
import { loadModel } from "../runtime/files.js";
import { columns, grouped } from "./columns.js";
import { asksForCompression, compressionOptions, methodPass, readPlanOptions, wholeNumber } from "./compress-options.js";
import { chooseForm, writeVerified } from "./finish.js";
import { type Context, command } from "./frame.js";
import { learn, learningOptions } from "./learn.js";
import { modelFile } from "./model-file.js";

export default command({
  name: "compress",
  summary: "replace filters by a basis; verified in ONNX Runtime",
  args: {
    model: { type: "positional", description: "an ONNX file or a run folder", required: true },
    output: { type: "string", alias: "o", description: "the file to write", required: true, valueHint: "FILE" },
    ...compressionOptions,
    form: {
      type: "enum",
      options: ["auto", "separate", "folded", "grouped", "dense"],
      default: "auto",
      description: "how layers are written; auto measures",
    },
    runtime: { type: "enum", options: ["node", "web"], description: "where forms are measured; node where it is there" },
    threads: { type: "string", description: "threads of ONNX Runtime", valueHint: "N" },
    "keep-bn": { type: "boolean", description: "leave batch normalisation as it is instead of folding it first" },
    ...learningOptions,
    undo: { type: "boolean", description: "expand a compressed model back to dense filters" },
  },
  async run(args, context) {
    const file = await modelFile(args.model);
    if (await sameFile(file, args.output)) throw new FilterBasisError("usage", "the output would replace the input", { file });
    const original = await loadModel(file);
    if (args.undo) {
      if (asksForCompression(args)) throw new FilterBasisError("usage", "--undo takes no budget, splits or basis");
      return undo(original, args.output, context);
    }
    const options = readPlanOptions(original, args, context.repeated);
    const { inputs = new Map() } = options;
    const threads = args.threads === undefined ? {} : { threads: wholeNumber("--threads", args.threads) };
    const folded = args["keep-bn"] ? { graph: original, outcomes: [] } : foldBatchNorm(original);
    const { graph: approximated, outcomes } = methodPass(args, options)(folded.graph);
    for (const { site, because } of outcomes.filter(({ done }) => !done)) context.note(`left ${site}: ${because}`);
    const learned = await learn(await realpath(file), original, args.method, options, args, context);
    // Learning keeps batch norms, which are then folded behind it.
    const compressed =
      learned === undefined ? approximated : args["keep-bn"] ? learned.graph : foldBatchNorm(learned.graph).graph;
    const formed = await chooseForm(
      compressed,
      args.form,
      { ...(args.runtime ? { runtime: args.runtime } : {}), inputs, ...threads },
      context,
    );
    const { maxDifference } = await writeVerified(
      formed.graph,
      args.output,
      inputs as ReadonlyMap<string, readonly number[]>,
      threads,
    );
    const before = cost(original, inputs);
    const after = cost(formed.graph, inputs);
    const report = {
      file: args.output,
      method: args.method,
      before: totals(before),
      ...totals(after),
      layers: layerReport(formed.graph, formed.choice),
      refused: outcomes.filter(({ done }) => !done).map(({ site, because }) => ({ name: site, because })),
      batchNormFolded: folded.outcomes.filter(({ done }) => done).length,
      verified: true,
      maxDifference,
      ...(learned ? { learned: { seconds: learned.seconds, epochs: learned.epochs } } : {}),
      ...(formed.choice ? { forms: { winner: formed.choice.winner, milliseconds: formed.choice.model } } : {}),
    };
    return { json: report, text: show(report, outcomes) };
  },
});

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

function layerReport(graph: Graph, choice: FormChoice | undefined) {
  return (readRecord(graph)?.sites ?? []).map(({ name, output, splits, basisSize, shared, form, error, shape }) => {
    const label = name || output;
    const timed = choice?.layers.find(({ layers }) => layers.includes(label));
    return {
      name: label,
      filters: shape,
      splits,
      basis: basisSize,
      ...(shared === undefined ? {} : { shared }),
      form,
      error,
      ...(timed ? { milliseconds: timed.milliseconds } : {}),
    };
  });
}

interface Report {
  readonly file: string;
  readonly before: Totals;
  readonly layers: ReturnType<typeof layerReport>;
  readonly refused: readonly { readonly name: string; readonly because: string }[];
  readonly maxDifference: number;
  readonly forms?: { readonly winner: string; readonly milliseconds: FormChoice["model"] };
}

function show(report: Report & Totals, outcomes: readonly Outcome[]): string {
  const { file, layers, refused, before, maxDifference, forms: timed } = report;
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
    columns([["layer", "filters", "splits", "basis", "shared", "form", "error"], ...rows]),
    "",
    ...warnings.map(({ site, because }) => `${site}: ${because}`),
    `wrote ${file}: ${layers.length} layers compressed, ${refused.length} left`,
    changes(before, report),
    ...(timed
      ? [
          `${timed.milliseconds.chosen.toFixed(2)} ms in ONNX Runtime, ${(timed.milliseconds.dense ?? timed.milliseconds.chosen).toFixed(2)} ms with dense filters (forms: ${timed.winner})`,
        ]
      : []),
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

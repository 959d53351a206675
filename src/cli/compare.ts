// `compare`: are two models the same function? Agreement by output on data, and milliseconds in turns. With --methods:
// which method makes the best of one network at one budget (compare-methods.ts).
import { placeOf } from "../compress/job.js";
import { type Times, timeNetworks } from "../compress/time.js";
import { checkDataSource, dataHelp, openData } from "../data/table.js";
import { FilterBasisError } from "../errors/error.js";
import { type ComparedOnData, compareOnData } from "../evaluate/compare-on-data.js";
import { lossKinds } from "../evaluate/loss.js";
import { type ModelFeeds, modelFeeds } from "../evaluate/model-feeds.js";
import { dataInput } from "../evaluate/placement.js";
import type { Graph } from "../graph/types.js";
import { layerPrecisions } from "../methods/precision-record.js";
import { loadModel } from "../runtime/files.js";
import { modelBytes } from "../runtime/model-bytes.js";
import { grouped } from "./columns.js";
import { compareMethods, methodOptions } from "./compare-methods.js";
import { guessedText, inputOptions as imageOptions, readInputOptions } from "./data-options.js";
import { command, stopIfAsked } from "./frame.js";
import { lossLines } from "./loss-text.js";
import { modelFile } from "./model-file.js";
import { inputOptions, latencyOption, modelInputs, runtimeOptions } from "./model-inputs.js";
import { given, whole } from "./values.js";

const kinds = lossKinds.filter((kind) => kind !== "decibels");

export default command({
  name: "compare",
  summary: "are two models the same function on data? or, with --methods, all methods on one model at one budget",
  examples: [
    "compare model.onnx small.onnx --data photos/",
    "compare model.onnx --methods all --keep-params 0.25 --data cifar10",
  ],
  args: {
    model: { type: "positional", description: "the original: an ONNX file or a run folder", required: true },
    other: { type: "positional", description: "the other one", required: false },
    data: { type: "string", description: dataHelp, valueHint: "DATA", required: true },
    output: { type: "string", description: "the output whose loss counts (default: the first)", valueHint: "NAME" },
    loss: { type: "enum", options: [...kinds], description: "what its loss is, where its values do not tell" },
    "data-input": { type: "string", description: "the input that the data goes into", valueHint: "NAME" },
    ...imageOptions,
    scale: { type: "string", description: "super-resolution: images are degraded by 2, 3 or 4", valueHint: "S" },
    seed: { type: "string", description: "draws the inputs that --limit keeps", valueHint: "N" },
    ...inputOptions,
    ...runtimeOptions,
    ...methodOptions,
    latency: latencyOption,
  },
  rules: [
    {
      option: "methods",
      excludes: ["OTHER", "output", "loss"],
      why: "methods are compared with the model",
    },
    { oneOf: ["keep-params", "keep-macs", "speedup"], why: "each says how far to compress; give one" },
    { oneOf: ["task", "jobs"], why: "a task makes one row" },
    { oneOf: ["epochs", "steps"], why: "both say how long to fine-tune" },
    ...Object.keys(methodOptions)
      .filter((option) => option !== "methods")
      .map((option) => ({ option, needs: ["methods"], why: "it is of a comparison of methods" })),
  ],
  readsOnly: ({ methods }) => methods === undefined,
  async run(args, context) {
    if (args.methods !== undefined) return compareMethods(await modelFile(args.model), args, context);
    if (args.other === undefined)
      throw new FilterBasisError("usage", "there is nothing to compare the model with", {
        expected: "another model, or --methods",
      });
    const [file, other] = [await modelFile(args.model), await modelFile(args.other)];
    await checkDataSource(args.data);
    const stated = readInputOptions(args);
    const { note, signal } = context;
    const graph = await loadModel(file, { note });
    await stopIfAsked(signal);
    const options = {
      ...given("runtime", args.runtime),
      ...given("threads", whole("--threads", args.threads, 1, 1024)),
    };
    const inputs = await modelInputs(graph, context, options);
    const named = given("input", args["data-input"]);
    const data = await openData(args.data, { note, signal });
    const beside = await loadModel(other, { note });
    const together = fixedBatch(beside, dataInput(graph, data, inputs, { ...stated, ...named }).name);
    const feeds = await modelFeeds(graph, data, inputs, {
      ...stated,
      ...given("fixed", together),
      ...{ note, signal, part: "test" },
      ...given("scale", whole("--scale", args.scale, 2, 4)),
      ...given("seed", whole("--seed", args.seed, 0, 2 ** 31)),
      ...named,
    });
    if (feeds.guessed.length > 0) note(guessedText(feeds.guessed));
    const bar = context.progress("comparing", feeds.batches);
    const compared = await compareOnData(file, other, feeds, {
      ...options,
      ...given("output", args.output),
      ...given("kind", args.loss),
      signal,
      progress: (done) => bar.update(done),
    }).finally(() => bar.stop());
    const place = placeOf(options, inputs);
    const times = args.latency ? await timeNetworks(file, other, place, context) : undefined;
    const bytes = { original: await modelBytes(file), other: await modelBytes(other) };
    const precision = { original: layersOf(graph), other: layersOf(beside) };
    const json = {
      model: file,
      other,
      data: args.data,
      ...report(compared, feeds),
      bytes,
      precision,
      ...(times && { milliseconds: times }),
    };
    return { json, text: show({ file, other, compared, bytes, precision, times, feeds }) };
  },
});

/** What the other model takes at once, where its file says so. */
function fixedBatch(graph: Graph, input: string): number | undefined {
  const dim = graph.inputs.find(({ name }) => name === input)?.tensor?.dims?.[0];
  return typeof dim === "number" && dim > 0 ? dim : undefined;
}

/** How many layers compute in eight bits, and how many in floats. */
function layersOf(graph: Graph) {
  const { int8, float } = layerPrecisions(graph);
  return { int8: int8.length, float: float.length };
}

/** A comparison as plain data. */
export function report(
  { inputs, outputs, loss }: ComparedOnData,
  { how, skipped }: Pick<ModelFeeds, "how" | "skipped">,
) {
  return { inputs, loss, outputs, images: how, skipped };
}

interface Shown {
  readonly file: string;
  readonly other: string;
  readonly compared: ComparedOnData;
  readonly bytes: { readonly original: number; readonly other: number };
  readonly precision: Readonly<Record<"original" | "other", ReturnType<typeof layersOf>>>;
  readonly times: Times | undefined;
  readonly feeds: ModelFeeds;
}

function show({ file, other, compared, bytes, precision, times, feeds }: Shown): string {
  return [
    `${file} and ${other} on ${compared.inputs} inputs`,
    ...lossLines(compared),
    `bytes ${grouped(bytes.original)} -> ${grouped(bytes.other)}`,
    ...precisionLine(precision),
    ...(times === undefined ? [] : [timesLine(times)]),
    ...(feeds.skipped.length > 0 ? [`${feeds.skipped.length} files could not be used`] : []),
  ].join("\n");
}

function precisionLine({ original, other }: Shown["precision"]): readonly string[] {
  if (original.int8 + other.int8 === 0) return [];
  const told = ({ int8, float }: typeof original) => `${int8} of ${int8 + float}`;
  return [`layers in eight bits ${told(original)} -> ${told(other)}`];
}

const timesLine = ({ original, written, ratio, interval: [low, high], verdict }: Times): string =>
  `${original.toFixed(2)} ms -> ${written.toFixed(2)} ms, in turns: ${ratio.toFixed(2)} x (${low.toFixed(2)} to ${high.toFixed(2)}), ${verdict}`;

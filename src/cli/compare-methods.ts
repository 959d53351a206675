// `compare MODEL --methods`: methods side by side on one network, at one budget, on the same data, for as many steps,
// from the same seed. A row lies in a folder of its own; what is finished is not made again, and what fails is a row
// with its reason.
import { resolve } from "node:path";
import { placeOf } from "../compress/job.js";
import type { Data } from "../data/dataset.js";
import type { ImageData } from "../data/image-set.js";
import { checkDataSource, namedDatasets, openData } from "../data/table.js";
import { FilterBasisError, isError } from "../errors/error.js";
import { modelFeeds } from "../evaluate/model-feeds.js";
import type { Graph } from "../graph/types.js";
import { loadModel } from "../runtime/files.js";
import { modelBytes } from "../runtime/model-bytes.js";
import { checkOutputFolder } from "../runtime/output.js";
import { deviceForms } from "../torch/device.js";
import { requireDevice } from "../torch/index.js";
import { columns, grouped } from "./columns.js";
import { guessedText, type InputArguments, readInputOptions } from "./data-options.js";
import type { Context } from "./frame.js";
import { beginComparison, type ComparisonRequest, methodNames } from "./method-comparison.js";
import { type OriginalRow, originalRow, type Quality } from "./method-quality.js";
import { finishedRow, type MethodRow, methodRow, type RowTask } from "./method-rows.js";
import { modelInputs } from "./model-inputs.js";
import { runProcesses, sameProgram } from "./processes.js";
import { given, number, whole } from "./values.js";

const text = (description: string, valueHint: string) => ({ type: "string" as const, description, valueHint });

/** The options of a comparison of methods. */
export const methodOptions = {
  methods: text("compare methods instead of another model: all, or their names with commas", "NAMES"),
  "keep-params": text("with --methods: keep this fraction of the weights", "F"),
  "keep-macs": text("with --methods: keep this fraction of the multiply-accumulates", "F"),
  speedup: text("with --methods: the original's measured time divided by the result's", "X"),
  epochs: text("with --methods: epochs of fine-tuning (default 1)", "N"),
  steps: text("with --methods: steps of fine-tuning instead; 0: none", "N"),
  batch: text("with --methods: images of a batch (default 128; 16 where the network gives images)", "N"),
  lr: text("with --methods: learning rate (default 0.01 for classifiers, else 0.0002)", "RATE"),
  calibrate: text("with --methods: calibration batches (default 4)", "N"),
  "train-threads": text("with --methods: threads of libtorch", "N"),
  device: text(`with --methods: where libtorch trains: ${deviceForms}`, "DEVICE"),
  out: text("with --methods: the folder of the rows (default: compared/ and the model's name)", "FOLDER"),
  task: text("with --methods: only row N, from 0: a task of an array job", "N"),
  jobs: text("with --methods: rows that are made at the same time, each in a process", "N"),
};

export type MethodArguments = { readonly [K in keyof typeof methodOptions]?: string | undefined } & InputArguments & {
    readonly model: string;
    readonly data: string;
    readonly seed?: string | undefined;
    readonly scale?: string | undefined;
    readonly runtime?: "node" | "web" | undefined;
    readonly threads?: string | undefined;
    readonly latency?: boolean | undefined;
    readonly "data-input"?: string | undefined;
  };

export async function compareMethods(file: string, args: MethodArguments, context: Context) {
  const all = methodNames(args.methods!);
  const row = whole("--task", args.task, 0, all.length - 1);
  const names = row === undefined ? all : [all[row]!];
  const asked = requestOf(args);
  const folder = args.out ?? `compared/${baseName(args.model)}`;
  const jobs = whole("--jobs", args.jobs, 1, 256) ?? 1;
  await checkOutputFolder(folder, { bytes: 4 * names.length * (await modelBytes(file)) });
  const task = await rowTask(file, folder, asked, args, context);
  const original = await originalRow(task, context);
  if (jobs > 1) await inProcesses(names, folder, jobs, args, context);
  const rows: MethodRow[] = [];
  for (const name of names) {
    const made = await methodRow(name, task, context);
    context.note(`${name}: ${made.reason ?? "done"}`);
    rows.push(made);
  }
  return {
    json: { model: file, folder, ...task.request, original: { folder, ...original }, rows },
    text: show(task, original, rows),
  };
}

const baseName = (path: string): string =>
  resolve(path)
    .split(/[\\/]/)
    .at(-1)!
    .replace(/\.onnx$/, "");

/** What was asked for; how many images a batch has is the network's where nobody says it. */
type Asked = Omit<ComparisonRequest, "batch"> & Partial<Pick<ComparisonRequest, "batch">>;

function requestOf(args: MethodArguments): Asked {
  const budgets = [
    { kind: "keepParams", value: number("--keep-params", args["keep-params"], 1e-6, 1) },
    { kind: "keepMacs", value: number("--keep-macs", args["keep-macs"], 1e-6, 1) },
    { kind: "speedup", value: number("--speedup", args.speedup, 1, 100) },
  ] as const;
  const budget = budgets.find(({ value }) => value !== undefined);
  if (budget === undefined)
    throw new FilterBasisError("usage", "methods are compared at one budget", {
      expected: "--keep-params, --keep-macs or --speedup",
    });
  const known = namedDatasets.some(({ name }) => name === args.data);
  const { limit, ...images } = readInputOptions(args);
  return {
    budget: { kind: budget.kind, value: budget.value! },
    data: known ? args.data : resolve(args.data),
    ...given("epochs", number("--epochs", args.epochs, 1e-6, 1e6)),
    ...given("steps", whole("--steps", args.steps, 0, 1e9)),
    ...given("batch", whole("--batch", args.batch, 1, 65536)),
    ...given("lr", number("--lr", args.lr, 1e-12, 1e3)),
    seed: whole("--seed", args.seed, 0, 2 ** 31) ?? 1,
    ...given("device", args.device === undefined ? undefined : requireDevice(args.device)),
    ...given("threads", whole("--train-threads", args["train-threads"], 1, 1024)),
    calibrate: whole("--calibrate", args.calibrate, 0, 1e6) ?? 4,
    ...given("limit", limit),
    images: { ...images, ...given("scale", whole("--scale", args.scale, 2, 4)) },
  };
}

async function rowTask(
  file: string,
  folder: string,
  asked: Asked,
  args: MethodArguments,
  context: Context,
): Promise<RowTask> {
  const { note, signal } = context;
  await checkDataSource(args.data);
  const model = await loadModel(file, { note });
  const request = { ...asked, batch: asked.batch ?? usualBatch(model) };
  const place = {
    ...given("runtime", args.runtime),
    ...given("threads", whole("--threads", args.threads, 1, 1024)),
  };
  const inputs = await modelInputs(model, context, place);
  const data = await openData(args.data, { note, signal });
  const feeds = await modelFeeds(model, data, inputs, {
    ...request.images,
    ...given("limit", request.limit),
    ...given("input", args["data-input"]),
    ...{ note, signal, part: "test" },
  });
  if (feeds.guessed.length > 0) note(guessedText(feeds.guessed));
  const at = { ...inputs, shapes: feeds.shapes };
  const { network, graph } = await beginComparison(folder, model, request, at.shapes);
  const labelled = await labelsFor(model, data, context);
  const timed = args.latency !== false;
  const common = { timed, request, folder, original: resolve(file), network: resolve(network), graph, feeds, labelled };
  return { ...common, inputs: at, place: placeOf(place, at) };
}

/** Images of a batch: few where each is many pixels that come out again. */
const usualBatch = ({ outputs }: Graph): number => (outputs[0]?.tensor?.dims?.length === 4 ? 16 : 128);

/** Images with labels, where the data has some and the network gives a score for each of their classes. */
async function labelsFor(graph: Graph, data: Data, { note }: Context): Promise<ImageData | undefined> {
  const dims = graph.outputs[0]?.tensor?.dims;
  if (data.labelled === undefined || (dims !== undefined && dims.length !== 2)) return undefined;
  const labelled = await data.labelled().catch((error: unknown) => {
    if (!isError(error, "data-mismatch")) throw error;
    note(`labels are not used: ${error.message}`);
    return undefined;
  });
  const classes = (labelled?.test ?? labelled?.train)?.classes.length;
  const scores = dims?.[1];
  if (typeof scores !== "number" || classes === undefined || scores === classes) return labelled;
  note(`labels are not used: the data has ${classes} classes, the network ${scores}`);
  return undefined;
}

/** Each row in a process of its own; what fails there, other than a row's reason, is told when the row is made here. */
async function inProcesses(
  names: readonly string[],
  folder: string,
  jobs: number,
  args: MethodArguments,
  context: Context,
): Promise<void> {
  const finished = await Promise.all(names.map((name) => finishedRow(folder, name)));
  const open = names.filter((_, at) => finished[at] === undefined);
  const passed = Object.entries(args).filter(
    ([key, value]) =>
      value !== undefined &&
      typeof value === "string" &&
      !["_", "model", "methods", "jobs", "out", "task"].includes(key),
  );
  const options = passed.map(([key, value]) => `--${key}=${value}`);
  const repeated = ["input", "value"].flatMap((key) => context.repeated(key).map((value) => `--${key}=${value}`));
  if (args.latency === false) options.push("--no-latency");
  const own = options.filter((option) => !/^--(input|value)=/.test(option));
  await runProcesses(
    open.map((name) => ({
      name,
      ...sameProgram(["compare", args.model, `--methods=${name}`, `--out=${folder}`, ...own, ...repeated, "--json"]),
    })),
    jobs,
    context,
  );
}

function show({ request, feeds, folder }: RowTask, original: OriginalRow, rows: readonly MethodRow[]) {
  const errors = rows.some(({ compressed }) => compressed?.top1Error !== undefined);
  const otherwise = rows.flatMap(({ method, macs, paperMacs }) =>
    paperMacs === undefined || paperMacs === macs
      ? []
      : [`${method}: ${share(paperMacs, original.macs)} MACs as its paper counts them`],
  );
  const reasons = rows.flatMap(({ method, reason }) => (reason === undefined ? [] : [`${method}: ${reason}`]));
  const what = errors ? "top-1 error" : `loss (${rows.find((row) => row.compressed)?.compressed?.loss.kind ?? "-"})`;
  const { kind, value } = request.budget;
  const time = rows.find(({ milliseconds }) => milliseconds)?.milliseconds?.original;
  const before = [
    ...(original.top1Error === undefined ? [] : [`${original.top1Error.toFixed(2)} % top-1 error`]),
    `${grouped(original.weights)} weights, ${grouped(original.macs)} MACs, ${grouped(original.bytes)} bytes`,
    ...(time === undefined ? [] : [`${time.toFixed(2)} ms`]),
  ];
  return [
    `${rows.length} methods at ${kind} ${value} on ${request.data}: ${what} on ${feeds.count * feeds.each} inputs, seed ${request.seed}`,
    columns([heads, ...rows.map((row) => cellsOf(row, original, errors))]),
    `original: ${before.join(", ")}`,
    ...otherwise,
    ...reasons,
    `rows: ${folder}`,
  ].join("\n");
}

const heads = [
  ...["method", "compressed", "calibrated", "fine-tuned", "weights"],
  ...["parameters", "MACs", "bytes", "ms", "faster"],
];

const share = (value: number | undefined, all: number): string =>
  value === undefined ? "-" : `${grouped(value)} (${((100 * value) / all).toFixed(1)} %)`;

function cellsOf(row: MethodRow, original: OriginalRow, errors: boolean): readonly string[] {
  const quality = (one: Quality | undefined): string =>
    one === undefined ? "-" : errors ? `${one.top1Error?.toFixed(2)} %` : one.loss.mean.toPrecision(3);
  return [
    row.method,
    ...[row.compressed, row.calibrated, row.tuned].map(quality),
    share(row.weights, original.weights),
    row.parameters === undefined ? "-" : grouped(row.parameters),
    share(row.macs, original.macs),
    row.bytes === undefined ? "-" : grouped(row.bytes),
    row.milliseconds === undefined ? "-" : row.milliseconds.written.toFixed(2),
    row.milliseconds === undefined ? "-" : `${row.milliseconds.ratio.toFixed(2)} x`,
  ];
}

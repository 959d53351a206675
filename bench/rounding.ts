// Ways to round weights to eight bits, beside the float network: to nearest, with biases corrected, with maps between
// factors scaled to one size or turned, in order (GPTQ), and with the second of two factors fitted again to the rounded
// first one; each on the network as it is and with half of its multiply-accumulates. Ranges of activations are those by
// which rounding to nearest loses least on the calibration images. Run: npm run bench:rounding [-- NETWORK,NETWORK]
import { existsSync, readFileSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { type RangeChoice, rangeChoices, rangeOf } from "../src/calibrate/histogram.js";
import { findCalibratedLayers } from "../src/calibrate/layers.js";
import { type MomentSource, momentSource } from "../src/calibrate/moment-source.js";
import { orderedWeights, placesForOrder } from "../src/calibrate/ordered-weights.js";
import { type Activations, activationRanges } from "../src/calibrate/ranges.js";
import { bestEngine } from "../src/compress/best-engine.js";
import { type CalibrationData, type CalibrationOptions, calibrationData } from "../src/compress/calibration-data.js";
import { compressOnData } from "../src/compress/compress-calibrated.js";
import { floatForm } from "../src/compress/eight-bits.js";
import type { Given } from "../src/compress/job.js";
import { openData } from "../src/data/table.js";
import { compareOnData } from "../src/evaluate/compare-on-data.js";
import { type EvaluateOptions, evaluateModel } from "../src/evaluate/evaluate.js";
import type { Graph } from "../src/graph/types.js";
import { equalise, freeMaps } from "../src/passes/quantize/equalise.js";
import { quantize } from "../src/passes/quantize/quantize.js";
import { regionsOf } from "../src/passes/quantize/regions.js";
import { rotate } from "../src/passes/quantize/rotate.js";
import { type WeightFormatName, weightFormats } from "../src/passes/quantize/steps.js";
import { loadModel, saveModel } from "../src/runtime/files.js";
import { findInputs } from "../src/runtime/index.js";
import { shared } from "../test/shared.js";
import { writeResult } from "./result.js";
import { refitRounded } from "./rounding/refit-rounded.js";

interface Subject {
  readonly model: string | undefined;
  readonly data: string | undefined;
  readonly options: CalibrationOptions;
  readonly evaluated: EvaluateOptions;
}

/** Test images whose outputs are compared with the float network's, beside the test error on all of them. */
const compared = 1000;
const cifar = (normalize: string) => ({
  data: "cifar10",
  options: { normalize, images: 256, heldOut: compared },
  evaluated: { data: "cifar10", normalize, threads: 1, latency: false },
});

const subjects: Readonly<Record<string, Subject>> = {
  resnet20: { model: "weights/resnet20.onnx", ...cifar("cifar10") },
  "vgg16-half": { model: "weights/vgg16-half.onnx", ...cifar("cifar10") },
  "edsr-8-56-x2": {
    model: "weights/edsr-8-56-x2.onnx",
    data: shared("data/bsds500/train"),
    options: {
      ...{ size: { width: 96, height: 96 }, fit: "cover", images: 16, heldOut: 16 },
      ...{ range: 255, normalize: "none" },
    },
    evaluated: { data: shared("data/set5/image_SRF_2") ?? "", scale: 2, range: 255, threads: 1, latency: false },
  },
  resnet56: { model: shared("data/models/resnet56.onnx"), ...cifar("imagenet") },
};

const engine = bestEngine();
const threads = 1;
const say = (text: string) => process.stdout.write(`${text}\n`);

/** A float network, and what was seen of its values. */
interface Material {
  readonly maps: string;
  readonly graph: Graph;
  readonly activations: ReadonlyMap<string, Activations>;
  readonly moments: MomentSource;
}

interface Way {
  readonly weights: WeightFormatName;
  readonly corrected: boolean;
  readonly ordered: boolean;
}

const ways: readonly Way[] = [
  { weights: "int8", corrected: false, ordered: false },
  { weights: "int8", corrected: true, ordered: false },
  { weights: "int8", corrected: false, ordered: true },
  { weights: "int8", corrected: true, ordered: true },
  { weights: "int7", corrected: true, ordered: false },
  { weights: "int7", corrected: true, ordered: true },
];

/** As it is; with factors also with maps scaled, turned, and second factors fitted again. */
async function materialsOf(graph: Graph, { images }: CalibrationData): Promise<readonly Material[]> {
  const seen = async (maps: string, made: Graph): Promise<Material> => {
    const values = [...new Set(regionsOf(made).rounded.values())];
    const activations = await activationRanges(made, values, images, engine);
    return { maps, graph: made, activations, moments: momentSource(made, images, engine, placesForOrder(images)) };
  };
  const plain = await seen("as they are", graph);
  const between = freeMaps(graph).flatMap(({ value }) => (plain.activations.has(value) ? [value] : []));
  if (between.length === 0) return [plain];
  const peaks = new Map(between.map((value) => [value, plain.activations.get(value)!.peaks]));
  const refitted = async (of: Graph) => (await refitRounded(of, weightFormats.int8, images, engine)).graph;
  const scaled = equalise(peaks)(graph).graph;
  return [
    plain,
    await seen("scaled", scaled),
    await seen("turned", rotate(graph).graph),
    await seen("as they are, second factor refitted", await refitted(graph)),
    await seen("scaled, second factor refitted", await refitted(scaled)),
  ];
}

async function rounded({ graph, activations, moments }: Material, way: Way, ranges: RangeChoice) {
  const format = weightFormats[way.weights];
  const ordered = () => orderedWeights(graph, format, way.corrected, moments, engine.algebra);
  return quantize({
    ranges: new Map([...activations].map(([value, { histogram }]) => [value, rangeOf(histogram, ranges)])),
    weights: way.weights,
    ...(way.corrected ? { means: new Map([...activations].map(([value, { means }]) => [value, means])) } : {}),
    ...(way.ordered ? { rounded: await ordered() } : {}),
  })(graph).graph;
}

interface Job extends Subject {
  readonly images: CalibrationData;
  readonly folder: string;
}

/** Test error or PSNR of a file, and how far its outputs are from those of the float network it was made of. */
async function measured(graph: Graph, float: Graph, { images, folder, evaluated }: Job) {
  const file = join(folder, "measured.onnx");
  await saveModel(graph, file);
  const { top1Error, psnr } = await evaluateModel(file, evaluated);
  const { outputs } = await compareOnData(float, graph, images.heldOut!, { threads });
  const { relative } = outputs[0]!;
  return { ...(top1Error === undefined ? { psnr } : { top1Error }), relative: relative.mean };
}

async function rowsOf(form: string, { graph: given }: Given, job: Job): Promise<readonly object[]> {
  const graph = floatForm(given).graph;
  const rows: object[] = [];
  const add = (row: object): void => {
    rows.push({ form, ...row });
    say(JSON.stringify(rows.at(-1)));
  };
  add({ precision: "fp32", ...(await measured(graph, graph, job)) });
  const materials = await materialsOf(graph, job.images);
  const [plain] = materials;
  const started = performance.now();
  for await (const _ of plain!.moments(findCalibratedLayers(graph).layers));
  const momentsSeconds = (performance.now() - started) / 1000;
  const lost = async (ranges: RangeChoice): Promise<number> => {
    const candidate = await rounded(plain!, ways[1]!, ranges);
    const feeds = job.images.all.part(0, Math.min(64, job.images.images.count));
    return (await compareOnData(graph, candidate, feeds, { threads })).outputs[0]!.relative.mean;
  };
  const losses = new Map<RangeChoice, number>();
  for (const ranges of rangeChoices) losses.set(ranges, await lost(ranges));
  const [ranges] = [...losses].reduce((a, b) => (b[1] < a[1] ? b : a));
  for (const material of materials)
    for (const way of ways) {
      if (material !== plain && (way.weights !== "int8" || !way.corrected)) continue;
      const begun = performance.now();
      const candidate = await rounded(material, way, ranges);
      const seconds = (performance.now() - begun) / 1000;
      add({ maps: material.maps, ...way, ranges, ...(await measured(candidate, graph, job)), seconds });
    }
  rows.push({ form, momentsSeconds });
  return rows;
}

interface Measured {
  readonly network: string;
  readonly [more: string]: unknown;
}

async function measure(name: string, subject: Subject): Promise<Measured> {
  const { model, data, options } = subject;
  if (model === undefined || !existsSync(model) || data === undefined)
    return { network: name, skipped: "the network or its images are not here" };
  const started = performance.now();
  const given = { graph: await loadModel(model), file: model };
  const shapes = new Map(
    options.size === undefined ? [] : [[given.graph.inputs[0]!.name, [1, 3, options.size.height, options.size.width]]],
  );
  const inputs = await findInputs(given.graph, { shapes });
  const images = await calibrationData(given.graph, await openData(data), inputs, { ...options, note: say });
  const folder = await mkdtemp(join(tmpdir(), "filterbasis-bench-"));
  try {
    const job = { ...subject, images, folder };
    const rows = [...(await rowsOf("original", given, job))];
    const half = join(folder, "half.onnx");
    await compressOnData(given, half, images, { budget: { keepMacs: 0.5 }, threads });
    rows.push(...(await rowsOf("half of the MACs", { graph: await loadModel(half), file: half }, job)));
    const counts = { images: images.images.count, compared: images.heldOut!.count };
    return { network: name, ...counts, minutes: (performance.now() - started) / 60_000, rows };
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

const [asked] = process.argv.slice(2);
const names = asked ?? Object.keys(subjects).join(",");
const path = fileURLToPath(new URL("../results/bench-rounding.json", import.meta.url));
/** Networks that are not asked for stay as they were measured. */
const before = asked !== undefined && existsSync(path) ? JSON.parse(readFileSync(path, "utf8")).networks : [];
const networks: Measured[] = before.filter(({ network }: Measured) => !names.split(",").includes(network));
for (const name of names.split(",")) {
  const subject = subjects[name];
  if (subject === undefined) throw new Error(`there is no network ${name}: ${Object.keys(subjects).join(", ")}`);
  networks.push(await measure(name, subject));
  // What was measured stays, should a later network take too long.
  await writeResult("bench-rounding", "npm run bench:rounding", { networks });
}

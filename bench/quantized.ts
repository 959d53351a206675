// Low rank and eight bits, each alone and together, beside the original: milliseconds in turns, in Node and in
// WebAssembly, bytes, what is lost on images that nothing was fitted to, and the quality where truths are there.
// Networks and images are looked for in FILTERBASIS_SHARED, else in `shared` beside the project, and in the cache
// (scripts/get-networks.mjs). Run: npm run bench:quantized [-- NETWORK,NETWORK [KEEP]]; KEEP of the
// multiply-accumulates, 0.5 by default. Networks that are not named keep what an earlier run measured of them.
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type CalibrationData, type CalibrationOptions, calibrationData } from "../src/compress/calibration-data.js";
import { compressOnData } from "../src/compress/compress-calibrated.js";
import type { Given } from "../src/compress/job.js";
import { quantizeOnData } from "../src/compress/quantize-on-data.js";
import { openData } from "../src/data/table.js";
import { isError } from "../src/errors/error.js";
import { compareOnData } from "../src/evaluate/compare-on-data.js";
import type { Graph } from "../src/graph/types.js";
import { type TimedModel, timeInTurns } from "../src/runtime/compare-times.js";
import { loadModel } from "../src/runtime/files.js";
import { findInputs, sampleFeeds } from "../src/runtime/index.js";
import { describeMachine } from "../src/runtime/machine.js";
import { modelBytes } from "../src/runtime/model-bytes.js";
import type { RuntimeName } from "../src/runtime/session.js";
import { fetched } from "../test/fetched.js";
import { shared } from "../test/shared.js";
import { set5 } from "./compress/rows.js";
import { qualityOf, type Truths } from "./quality.js";
import { type FormRow, type Measured, tableOf } from "./quantized/table.js";
import { writeResult } from "./result.js";

interface Subject {
  readonly model: string | undefined;
  readonly data: string | undefined;
  readonly options: CalibrationOptions;
  readonly truths?: Truths;
}

const photos = shared("data/bsds500/train");
/** Images as a network takes them; sixteen to fit to, and as many that are held out. */
const pictures = (width: number, height: number, how: CalibrationOptions): CalibrationOptions => ({
  ...{ size: { width, height }, fit: "cover", images: 16, heldOut: 16, ...how },
});
/** A classifier of CIFAR-10, as `evaluate` and `compress` take it by themselves or are told to. */
const cifar = (model: string | undefined, normalize: string): Subject => ({
  ...{ model, data: "cifar10", options: { normalize, images: 256, heldOut: 512 } },
  truths: { name: "CIFAR-10 test", data: "cifar10", options: ["--normalize", normalize] },
});

/** A network for super-resolution, whose white is 1 or 255. */
const enlarging = (model: string | undefined, range: 1 | 255, how: CalibrationOptions = {}): Subject => ({
  ...{ model, data: photos, options: pictures(96, 96, { range, normalize: "none", ...how }) },
  ...set5(2),
});

const subjects: Readonly<Record<string, Subject>> = {
  resnet20: cifar("weights/resnet20.onnx", "cifar10"),
  resnet56: cifar(shared("data/models/resnet56.onnx"), "imagenet"),
  "vgg16-half": cifar("weights/vgg16-half.onnx", "cifar10"),
  "edsr-8-56-x2": enlarging("weights/edsr-8-56-x2.onnx", 255),
  // It sharpens images that were enlarged before.
  vdsr: enlarging(shared("data/models/vdsr.onnx"), 1, { scale: 2 }),
  imdn_x2: enlarging(shared("data/models/imdn_x2.onnx"), 1),
  "rfb-320": {
    model: shared("data/models/version-RFB-320.onnx"),
    data: photos,
    options: pictures(320, 240, { range: 255, normalize: "127,127,127/128,128,128" }),
  },
  ppocrv4_det: {
    model: fetched("ppocrv4_det"),
    data: photos,
    options: pictures(320, 320, { range: 1, normalize: "imagenet" }),
  },
  isnet: {
    model: fetched("isnet"),
    data: photos,
    options: pictures(1024, 1024, { range: 255, normalize: "128,128,128/256,256,256", images: 6, heldOut: 6 }),
  },
};

const [names = Object.keys(subjects).join(","), keep = "0.5"] = process.argv.slice(2);
const threads = 2;
const of = (quality: number | undefined): string => (quality === undefined ? "" : `, ${quality.toFixed(2)}`);
const say = (text: string) => process.stdout.write(`${text}\n`);
const hooks = { note: say };
const { instructions, processor } = describeMachine();

/** Rows of other instruction sets are not to be compared. */
const conditions = { instructions };

/** What a form of the network is, or why there is none. */
type Made = { readonly file: string; readonly how: object } | { readonly reason: string };

async function made(make: () => Promise<Made>): Promise<Made> {
  try {
    return await make();
  } catch (error) {
    if (!isError(error)) throw error;
    return { reason: error.message };
  }
}

/** Every input at the size that images are brought to. */
const sizedShapes = (graph: Graph, { width, height }: NonNullable<CalibrationOptions["size"]>) =>
  new Map(
    graph.inputs
      .filter(({ name }) => !graph.initializers.has(name))
      .map(({ name, tensor }) => [name, [1, Number(tensor!.dims![1]), height, width]] as const),
  );

/** The forms, each in a file of its own. */
async function formsOf(given: Given, images: CalibrationData, folder: string): Promise<Readonly<Record<string, Made>>> {
  const factors = (to: string, precision: "fp32" | "int8") =>
    made(async () => {
      const file = join(folder, to);
      await compressOnData(given, file, images, { budget: { keepMacs: Number(keep) }, threads, precision });
      return { file, how: { keepMacs: Number(keep) } };
    });
  const eight = (of: Given, to: string) =>
    made(async () => {
      const file = join(folder, to);
      const { rounding, float, layers } = await quantizeOnData(of, file, images, {
        ...{ precision: "int8", threads, original: given },
      });
      return { file, how: { rounding, layers: layers.length, float } };
    });
  const int8 = await eight(given, "int8.onnx");
  const basis = await factors("basis.onnx", "fp32");
  // Ranks are chosen by times in eight bits where that is what they will be.
  const planned = await factors("planned.onnx", "int8");
  const both =
    "reason" in planned
      ? planned
      : await eight({ graph: await loadModel(planned.file), file: planned.file }, "both.onnx");
  // What `--precision auto` makes of the same factors where nothing asks for them.
  const auto =
    "reason" in planned
      ? planned
      : await made(async () => {
          const file = join(folder, "auto.onnx");
          const float = { graph: await loadModel(planned.file), file: planned.file };
          const { contestants, layers, alone } = await quantizeOnData(float, file, images, {
            ...{ precision: "auto", threads, original: given, against: given },
          });
          return { file, how: { contestants, layers: layers.length, alone } };
        });
  return { original: { file: given.file!, how: {} }, int8, basis, both, auto };
}

/** Milliseconds of all files in turns, and how many times as fast as the first each is. */
async function timesOf(files: readonly TimedModel[], { inputs }: CalibrationData, runtime: RuntimeName) {
  const options = { threads, runtime };
  const { models, ratios, rounds } = await timeInTurns(files, (ports) => sampleFeeds(ports, inputs), options);
  return {
    rounds,
    rows: new Map(
      models.map(({ name, milliseconds }, i) => [name, { milliseconds, faster: ratios[i - 1]?.wall ?? null }] as const),
    ),
  };
}

async function measure(
  name: string,
  { model, data, options, truths }: Subject,
): Promise<Omit<Measured, "network" | "date">> {
  if (model === undefined) return { skipped: "the network is not here (scripts/get-networks.mjs)" };
  if (data === undefined) return { skipped: "its images are not here" };
  const started = performance.now();
  const graph = await loadModel(model);
  const shapes = options.size === undefined ? new Map() : sizedShapes(graph, options.size);
  const inputs = await findInputs(graph, { shapes });
  const images = await calibrationData(graph, await openData(data, hooks), inputs, { ...options, ...hooks });
  const folder = await mkdtemp(join(tmpdir(), "filterbasis-bench-"));
  try {
    const forms = await formsOf({ graph, file: model }, images, folder);
    const there = Object.entries(forms).flatMap(([form, one]) =>
      "file" in one ? [{ name: form, model: one.file }] : [],
    );
    say(`${name}: timing ${there.map(({ name: form }) => form).join(", ")}`);
    const node = await timesOf(there, images, "node");
    const web = await timesOf(there, images, "web");
    const rows: FormRow[] = [];
    for (const [form, one] of Object.entries(forms)) {
      if ("reason" in one) {
        rows.push({ form, ...conditions, skipped: one.reason });
        say(`${name} ${form}: ${one.reason}`);
        continue;
      }
      const { loss, outputs } = await compareOnData(model, one.file, images.heldOut!, { threads });
      const [inNode, inWeb] = [node.rows.get(form)!, web.rows.get(form)!];
      const bytes = await modelBytes(one.file);
      const lost = { loss, psnr: outputs[0]!.psnr, relative: outputs[0]!.relative.mean };
      const quality = truths && { data: truths.name, value: await qualityOf(one.file, truths) };
      rows.push({
        form,
        ...conditions,
        node: inNode,
        web: inWeb,
        bytes,
        ...lost,
        top1: outputs[0]!.top1Error,
        ...(quality === undefined ? {} : { quality }),
        how: one.how,
      });
      const ms = [inNode, inWeb].map(({ milliseconds: { median } }) => median.toFixed(2));
      const told = `${bytes} bytes, loss ${loss.mean} (${loss.kind})${of(quality?.value)}`;
      say(`${name} ${form}: ${ms[0]} ms, wasm ${ms[1]} ms, ${told}`);
    }
    const minutes = (performance.now() - started) / 60_000;
    const counts = { images: images.images.count, heldOut: images.heldOut!.count };
    return { threads, rounds: { node: node.rounds, web: web.rounds }, ...counts, minutes, rows };
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** What an earlier run measured at the same budget, of networks that are not asked for now. */
async function earlier(asked: readonly string[]): Promise<readonly Measured[]> {
  const text = await readFile(new URL("../results/bench-quantized.json", import.meta.url), "utf8").catch(() => "{}");
  const { keepMacs, networks = [] } = JSON.parse(text) as { keepMacs?: number; networks?: readonly Measured[] };
  return keepMacs === Number(keep) ? networks.filter(({ network }) => !asked.includes(network)) : [];
}

const asked = names.split(",");
const unknown = asked.find((name) => !(name in subjects));
if (unknown !== undefined) throw new Error(`there is no network ${unknown}: ${Object.keys(subjects).join(", ")}`);
const measured = [...(await earlier(asked))];
for (const name of asked) {
  measured.push({ network: name, date: new Date().toISOString(), ...(await measure(name, subjects[name]!)) });
  // What was measured stays, should a later network take too long.
  const networks = Object.keys(subjects).flatMap((one) => measured.filter(({ network }) => network === one));
  const machine = `${processor} (${instructions.join(", ")}), ${threads} threads`;
  const where = `${machine}, factors at ${keep} of the multiply-accumulates`;
  const table = tableOf(networks, where);
  await writeResult("bench-quantized", "npm run bench:quantized", { keepMacs: Number(keep), networks, table });
}

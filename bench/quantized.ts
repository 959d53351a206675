// Low rank and eight bits, each alone and together, beside the original: milliseconds in turns, bytes, and what is lost
// on images that nothing was fitted to. Networks and images are looked for in FILTERBASIS_SHARED, else in `shared`
// beside the project. Run: npm run bench:quantized [-- NETWORK,NETWORK [KEEP]]; KEEP of the multiply-accumulates, 0.5
// by default.
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type CalibrationOptions, calibrationData } from "../src/compress/calibration-data.js";
import { compressOnData } from "../src/compress/compress-calibrated.js";
import type { Given } from "../src/compress/job.js";
import { quantizeOnData } from "../src/compress/quantize-on-data.js";
import { openData } from "../src/data/table.js";
import { isError } from "../src/errors/error.js";
import { compareOnData } from "../src/evaluate/compare-on-data.js";
import type { Graph } from "../src/graph/types.js";
import { timeInTurns } from "../src/runtime/compare-times.js";
import { loadModel } from "../src/runtime/files.js";
import { findInputs, sampleFeeds } from "../src/runtime/index.js";
import { modelBytes } from "../src/runtime/model-bytes.js";
import { shared } from "../test/shared.js";
import { writeResult } from "./result.js";

interface Subject {
  readonly model: string | undefined;
  readonly data: string | undefined;
  readonly options: CalibrationOptions;
}

const photos = shared("data/bsds500/train");
const size = { width: 96, height: 96 };
const subjects: Readonly<Record<string, Subject>> = {
  "edsr-8-56-x2": {
    model: "weights/edsr-8-56-x2.onnx",
    data: photos,
    options: { size, fit: "cover", range: 255, normalize: "none", images: 16, heldOut: 16 },
  },
  vdsr: {
    model: shared("data/models/vdsr.onnx"),
    data: photos,
    options: { size, fit: "cover", range: 1, normalize: "none", images: 16, heldOut: 16 },
  },
  imdn_x2: {
    model: shared("data/models/imdn_x2.onnx"),
    data: photos,
    options: { size, fit: "cover", range: 1, normalize: "none", images: 16, heldOut: 16 },
  },
  resnet56: {
    model: shared("data/models/resnet56.onnx"),
    data: "cifar10",
    options: { normalize: "imagenet", images: 256, heldOut: 512 },
  },
};

const [names = Object.keys(subjects).join(","), keep = "0.5"] = process.argv.slice(2);
const threads = 1;
const say = (text: string) => process.stdout.write(`${text}\n`);
const hooks = { note: say };

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
const sizedShapes = (graph: Graph) =>
  new Map(
    graph.inputs
      .filter(({ name }) => !graph.initializers.has(name))
      .map(({ name, tensor }) => [name, [1, Number(tensor!.dims![1]), size.height, size.width]] as const),
  );

async function measure(name: string, { model, data, options }: Subject): Promise<object> {
  if (model === undefined || data === undefined) return { network: name, skipped: "it is not here" };
  const graph = await loadModel(model);
  const inputs = await findInputs(graph, { shapes: options.size === undefined ? new Map() : sizedShapes(graph) });
  const images = await calibrationData(graph, await openData(data, hooks), inputs, { ...options, ...hooks });
  const folder = await mkdtemp(join(tmpdir(), "filterbasis-bench-"));
  try {
    const given: Given = { graph, file: model };
    say(`${name}: low rank`);
    const basis = await made(async () => {
      const file = join(folder, "basis.onnx");
      await compressOnData(given, file, images, { budget: { keepMacs: Number(keep) }, threads });
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
    say(`${name}: eight bits`);
    const int8 = await eight(given, "int8.onnx");
    const both =
      "reason" in basis ? basis : await eight({ graph: await loadModel(basis.file), file: basis.file }, "both.onnx");
    const forms: Readonly<Record<string, Made>> = { original: { file: model, how: {} }, int8, basis, both };
    const there = Object.entries(forms).flatMap(([form, one]) =>
      "file" in one ? [{ name: form, model: one.file }] : [],
    );
    say(`${name}: timing ${there.map(({ name: form }) => form).join(", ")}`);
    const { models, ratios, rounds } = await timeInTurns(there, (ports) => sampleFeeds(ports, images.inputs), {
      threads,
    });
    const rows: object[] = [];
    for (const [form, one] of Object.entries(forms)) {
      if ("reason" in one) {
        rows.push({ form, skipped: one.reason });
        continue;
      }
      const at = there.findIndex(({ name: other }) => other === form);
      const { loss, outputs } = await compareOnData(model, one.file, images.heldOut!, { threads });
      const row = {
        ...{ form, milliseconds: models[at]!.milliseconds, faster: ratios[at - 1]?.wall ?? null },
        ...{ bytes: await modelBytes(one.file), loss, psnr: outputs[0]!.psnr, relative: outputs[0]!.relative.mean },
        how: one.how,
      };
      rows.push(row);
      say(
        `${name} ${form}: ${models[at]!.milliseconds.median.toFixed(2)} ms, ${row.bytes} bytes, loss ${loss.mean}, ${row.psnr} dB`,
      );
    }
    return { network: name, threads, rounds, images: images.images.count, heldOut: images.heldOut!.count, rows };
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

const networks: object[] = [];
for (const name of names.split(",")) {
  networks.push(await measure(name, subjects[name]!));
  // What was measured stays, should a later network take too long.
  await writeResult("bench-quantized", "npm run bench:quantized", { keepMacs: Number(keep), networks });
}

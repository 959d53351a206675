// What calibrated compression costs, in seconds by phase (those of the clock, and of the processor, which other work on
// the machine disturbs less) and in memory: errors of the candidates of single layers, a
// network of large images from file to verified file (ISNet, where it is in the cache folder or named), and one of
// ResNet-50's size with 256 images of 224 x 224. Caches are empty at first. Run: npm run bench:calibration-cost
// [-- --parts fits,large,resnet50] [--threads N] [--model FILE] [--pictures FOLDER] [--images N] [--channels 64,128]
// It writes results/bench-calibration-cost.json; parts that are not run stay as they were there.
import { existsSync } from "node:fs";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { candidatesOf } from "../src/basis/candidates.js";
import type { LayerShape } from "../src/basis/factors.js";
import { candidateErrors } from "../src/basis/fit.js";
import { openCalibrationCache } from "../src/calibrate/cache.js";
import { calibrate, compressCalibrated, planByMacs } from "../src/calibrate/calibrated.js";
import type { CalibrationImages } from "../src/calibrate/engine.js";
import { torchEngine } from "../src/calibrate/torch-engine.js";
import { calibrationData } from "../src/compress/calibration-data.js";
import { compressOnData } from "../src/compress/compress-calibrated.js";
import type { JobHooks } from "../src/compress/job.js";
import { candidatesFor } from "../src/compress/plan-candidates.js";
import { openData } from "../src/data/table.js";
import { float32Tensor } from "../src/graph/attributes.js";
import { Random } from "../src/linalg/random.js";
import { cacheFolder } from "../src/runtime/cache-folder.js";
import { loadModel } from "../src/runtime/files.js";
import { findInputs } from "../src/runtime/index.js";
import { engineInfo, setThreads } from "../src/torch/index.js";
import { torchLinearAlgebra } from "../src/torch/linalg.js";
import { shared } from "../test/shared.js";
import { covarianceOf, targetOf } from "./random-layer.js";
import { resnet50 } from "./resnet50.js";
import { writeResult } from "./result.js";

const { values: options } = parseArgs({
  options: {
    parts: { type: "string", default: "fits,large,resnet50" },
    threads: { type: "string", default: "1" },
    model: { type: "string", default: join(cacheFolder(), "isnet.onnx") },
    pictures: { type: "string", default: shared("data/bsds500/train") ?? "" },
    normalize: { type: "string", default: "0.50196/1.00392" },
    images: { type: "string", default: "16" },
    channels: { type: "string", default: "64,128,256,512" },
  },
});
const threads = Number(options.threads);
setThreads(threads);
const started = performance.now();
const round = (value: number) => Number(value.toPrecision(4));
const say = (text: string) => process.stderr.write(`${((performance.now() - started) / 1000).toFixed(0)} s: ${text}\n`);

interface Spent {
  readonly wall: number;
  readonly processor: number;
}

const present = (): Spent => {
  const { user, system } = process.cpuUsage();
  return { wall: performance.now() / 1000, processor: (user + system) / 1e6 };
};

const since = (then: Spent, more: Spent = { wall: 0, processor: 0 }): Spent => {
  const now = present();
  return {
    wall: round(more.wall + now.wall - then.wall),
    processor: round(more.processor + now.processor - then.processor),
  };
};

/** Seconds by what the hooks are told to wait for, and those between. */
function phases(): { readonly hooks: JobHooks; seconds(): Record<string, Spent> } {
  const spent: Record<string, Spent> = {};
  let [label, then] = ["reading", present()];
  const enter = (next: string): void => {
    spent[label] = since(then, spent[label]);
    [label, then] = [next, present()];
  };
  return {
    hooks: {
      note: say,
      progress(next) {
        enter(next);
        say(next);
        return { update() {}, stop: () => enter("between") };
      },
    },
    seconds() {
      enter(label);
      return spent;
    },
  };
}

const memory = () => Math.round(process.resourceUsage().maxRSS / 1024);

/** Processor seconds for the errors of a layer's candidates, as a plan by time asks for them. */
function fits() {
  return options.channels
    .split(",")
    .map(Number)
    .map((channels) => {
      const shape: LayerShape = { n: channels, c: channels, kernel: [3, 3], stride: [1, 1] };
      const random = new Random(1);
      const covariance = covarianceOf(shape, random);
      const target = targetOf(shape, random);
      const candidates = candidatesOf(shape, candidatesFor(shape, "time"));
      const before = present();
      candidateErrors(target, covariance, shape, candidates, torchLinearAlgebra, { floor: 1e-3 });
      const row = { channels, candidates: candidates.length, seconds: since(before) };
      say(JSON.stringify(row));
      return row;
    });
}

async function large(folder: string) {
  if (!existsSync(options.model) || options.pictures === "")
    return { skipped: "the network or the pictures are not here" };
  const begun = present();
  const { hooks, seconds } = phases();
  const graph = await loadModel(options.model);
  const inputs = await findInputs(graph, {});
  const data = await openData(options.pictures, {});
  const images = await calibrationData(graph, data, inputs, {
    images: Number(options.images),
    normalize: options.normalize,
  });
  const place = { latencies: join(folder, "latencies"), threads };
  const result = await compressOnData(
    { graph, file: options.model },
    join(folder, "out.onnx"),
    images,
    { budget: { keepMacs: 0.5 }, ...place },
    hooks,
  );
  const spent = seconds();
  return {
    images: images.images.count,
    keepMacs: 0.5,
    seconds: spent,
    allSeconds: since(begun),
    peakMegabytes: memory(),
    layers: result.layers.length,
    times: result.times,
    predicted: result.plan.times,
    loss: result.compared.loss,
  };
}

/** Smooth noise, so that neighbouring values go together. */
function noise(count: number, size: number): CalibrationImages {
  return {
    count,
    key: `noise ${count} ${size}`,
    feeds(first, number) {
      const values = new Float32Array(number * 3 * size * size);
      for (let image = 0, at = 0; image < number; image++) {
        const random = new Random(`image ${first + image}`);
        let value = 0;
        for (let i = 0; i < 3 * size * size; i++, at++) {
          value = 0.9 * value + 0.6 * (random.next() - 0.5);
          values[at] = value;
        }
      }
      return { input: float32Tensor([number, 3, size, size], values) };
    },
  };
}

async function wide(folder: string) {
  const [graph, images, engine] = [resnet50(), noise(256, 224), torchEngine()];
  const seconds: Record<string, Spent> = {};
  const timed = async <T>(name: string, run: () => Promise<T>): Promise<T> => {
    const before = present();
    const result = await run();
    seconds[name] = since(before);
    say(`${name}: ${JSON.stringify(seconds[name])}`);
    return result;
  };
  const cache = openCalibrationCache(graph, images, engine, { folder: join(folder, "calibrations") });
  const settings = { candidates: (shape: LayerShape) => candidatesFor(shape, "time"), cache };
  const calibration = await timed("moments and candidates", () => calibrate(graph, images, engine, settings));
  const { chosen } = planByMacs(calibration, 0.5);
  await timed("factors and refit", () =>
    compressCalibrated(calibration, chosen, images, engine, { refit: { fewer: true } }),
  );
  await timed("planning again", async () => planByMacs(await calibrate(graph, images, engine, settings), 0.6));
  return { images: 256, size: 224, keepMacs: 0.5, seconds, peakMegabytes: memory() };
}

const parts = options.parts.split(",");
const folder = await mkdtemp(join(tmpdir(), "filterbasis-cost-"));
/** Threads, and which processor's kernels multiply matrices. */
const computing = () => ({ threads, blas: engineInfo().blasCore });

process.env.FILTERBASIS_CACHE = join(folder, "cache");
const path = fileURLToPath(new URL("../results/bench-calibration-cost.json", import.meta.url));
const before = JSON.parse(await readFile(path, "utf8").catch(() => "{}"));
try {
  const measured = {
    ...(parts.includes("fits") ? { fits: { threads, rows: fits() } } : { fits: before.fits }),
    ...(parts.includes("large") ? { large: { ...computing(), ...(await large(folder)) } } : { large: before.large }),
    ...(parts.includes("resnet50")
      ? { resnet50: { ...computing(), ...(await wide(folder)) } }
      : { resnet50: before.resnet50 }),
  };
  const told = ["npm run bench:calibration-cost", ...(process.argv.length > 2 ? ["--", ...process.argv.slice(2)] : [])];
  await writeResult("bench-calibration-cost", told.join(" "), measured);
} finally {
  await rm(folder, { recursive: true, force: true });
}

// What loading data costs: a CIFAR-10 batch with crop and flip, and a batch of super-resolution patches, in
// milliseconds, medians. usage: npm run bench:data [-- --pictures FOLDER]      writes results/bench-data.json; without
// a folder the patches are cut from drawn images
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { cropFlipBatch } from "../src/data/augment.js";
import { type ImageSet, normalizations, permutation } from "../src/data/image-set.js";
import { openPatches } from "../src/data/patches.js";
import { findPairs } from "../src/data/sr-pairs.js";
import { Random } from "../src/linalg/random.js";
import { median } from "../src/runtime/latency.js";
import { someImage, writePng } from "../test/images.js";
import { writeResult } from "./result.js";

const { values } = parseArgs({ options: { pictures: { type: "string" } } });
const rounds = 50;

function time(run: () => void): number {
  for (let i = 0; i < 5; i++) run();
  return median(
    Array.from({ length: rounds }, () => {
      const start = performance.now();
      run();
      return performance.now() - start;
    }),
  );
}

function cifar(): number {
  const count = 10_000; // as many as pass the processor's caches
  const images = Uint8Array.from({ length: count * 3072 }, (_, i) => (i * 31) % 256);
  const set: ImageSet = {
    name: "drawn",
    images,
    labels: new Uint8Array(count),
    classes: ["a"],
    count,
    height: 32,
    width: 32,
  };
  const random = new Random(1);
  const out = new Float32Array(128 * 3072);
  return time(() =>
    cropFlipBatch(set, permutation(count, random).subarray(0, 128), random, normalizations.cifar10, out),
  );
}

async function patches(folder: string, scale: number, patch: number, cache: string): Promise<number> {
  const source = await openPatches((await findPairs(folder, scale)).pairs, { scale, patch, folder: cache });
  const random = new Random(1);
  const taken = time(() => source.next(16, random));
  source.close();
  return taken;
}

const temporary = await mkdtemp(join(tmpdir(), "filterbasis-bench-"));
try {
  const drawn = join(temporary, "hr");
  if (values.pictures === undefined)
    for (let i = 0; i < 20; i++) await writePng(join(drawn, `${i}.png`), someImage(640, 480, { seed: i }));
  const folder = values.pictures ?? drawn;
  await writeResult("bench-data", "npm run bench:data", {
    what: "loading and augmenting, milliseconds a batch (median)",
    rounds,
    cifar10CropFlip128: cifar(),
    srPatches16x96x2: await patches(folder, 2, 96, join(temporary, "cache")),
    srPatches16x192x4: await patches(folder, 4, 192, join(temporary, "cache")),
  });
} finally {
  await rm(temporary, { recursive: true, force: true });
}

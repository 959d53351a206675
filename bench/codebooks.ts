// What codebooks cost and save as files: a trained ResNet-20 as it is and by K-means and KSE, bytes, bits at the true
// width of indices, milliseconds of a run and of loading; and the scan of KSE over G and T on its filters. usage, on a
// quiet machine: npx tsx bench/codebooks.ts      writes results/bench-codebooks.json
import { performance } from "node:perf_hooks";
import { fileURLToPath } from "node:url";
import { writeModel } from "../src/formats/onnx/index.js";
import type { Graph } from "../src/graph/types.js";
import { countsOf } from "../src/methods/counts.js";
import { methodPass } from "../src/methods/methods.js";
import { foldBatchNorm } from "../src/passes/fold-batch-norm.js";
import { timeInTurns } from "../src/runtime/compare-times.js";
import { loadModel } from "../src/runtime/files.js";
import { sampleFeeds } from "../src/runtime/index.js";
import { openOrtSession } from "../src/runtime/session.js";
import { writeResult } from "./result.js";

const threads = 1;
const original = foldBatchNorm(
  await loadModel(fileURLToPath(new URL("../weights/resnet20.onnx", import.meta.url))),
).graph;
const rows: readonly (readonly [string, string, object])[] = [
  ["K-means, 128 kernels", "kmeans", { kernels: 128 }],
  ["K-means, 128 kernels, 8 transforms", "kmeans", { kernels: 128, transforms: 8 }],
  ["K-means, 256 kernels a layer", "kmeans", { kernels: 256, codebook: "layer", keepFirst: 1 }],
  ["KSE, G = 4, T = 0", "kse", { levels: 4 }],
  ["KSE, G = 6, T = 1", "kse", { levels: 6, halvings: 1 }],
  ["KSE, G = 6, T = 1, zeros", "kse", { levels: 6, halvings: 1, dropped: "zeros" }],
];

const inputs = new Map([["input", [1, 3, 32, 32]]]);
const models = [
  { name: "original", model: original },
  ...rows.map(([name, method, options]) => ({ name, model: methodPass(method, options)(original).graph })),
];

/** The median of nine. */
async function loading(graph: Graph): Promise<number> {
  const bytes = writeModel(graph);
  const times: number[] = [];
  for (let i = 0; i < 9; i++) {
    const start = performance.now();
    const session = await openOrtSession(bytes, { threads });
    times.push(performance.now() - start);
    await session.release();
  }
  return times.sort((a, b) => a - b)[4]!;
}

const { models: timed } = await timeInTurns(models, (ports) => sampleFeeds(ports), { threads });
const made = [];
for (const [i, { name, model }] of models.entries()) {
  const { weights, storedBits, macs, paperMacs } = countsOf(model, inputs);
  const load = Number((await loading(model)).toFixed(2));
  const run = Number(timed[i]!.milliseconds.median.toFixed(3));
  made.push({ name, bytes: writeModel(model).length, weights, storedBits, macs, paperMacs, run, load });
}

const base = countsOf(original, inputs);
const scan = [3, 4, 5, 6, 7, 8].flatMap((levels) =>
  [0, 1, 2].map((halvings) => {
    const { weights, macs, paperMacs } = countsOf(
      methodPass("kse", { levels, halvings, sweeps: 1 })(original).graph,
      inputs,
    );
    const percent = (part: number, all: number) => Number(((100 * part) / all).toFixed(2));
    return {
      G: levels,
      T: halvings,
      weights,
      weightsPercent: percent(weights, base.weights),
      paperMacsPercent: percent(paperMacs, base.macs),
      macsPercent: percent(macs, base.macs),
    };
  }),
);
await writeResult("bench-codebooks", "npx tsx bench/codebooks.ts", { threads, models: made, kse: scan });

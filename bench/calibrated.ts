// Compressing ResNet-20 without labels and without training: test error on CIFAR-10 at 70, 50 and 35 % of the
// multiply-accumulates, symmetric and refitted. The network is the public one with batch norms (folded here); it is
// looked for in FILTERBASIS_SHARED, else in `shared` beside the project. Mirror images count with the images (MIRROR=0:
// they do not). Layers count by what their errors do to the output (COUNTS=0: all alike). RECORD=1 keeps the rows in
// results/, NETWORK=resnet56 and IMAGES=1024 in files of their own. Run: npm run bench:calibrated
// [-- SEEDS [KEEPS [VARIANTS [FAMILIES]]]]
import type { CandidateOptions } from "../src/basis/candidates.js";
import type { FittedFamily } from "../src/basis/factors.js";
import { blockSteps } from "../src/calibrate/block-steps.js";
import { openCalibrationCache } from "../src/calibrate/cache.js";
import { type Calibration, calibrate, compressCalibrated, fixedMacs, planByMacs } from "../src/calibrate/calibrated.js";
import { withChains } from "../src/calibrate/chain.js";
import { usualCandidates } from "../src/calibrate/choices.js";
import type { CalibrationImages } from "../src/calibrate/engine.js";
import { withMirrored } from "../src/calibrate/mirrored.js";
import { sensitivitiesOf, withSensitivities } from "../src/calibrate/sensitivity.js";
import { torchEngine } from "../src/calibrate/torch-engine.js";
import { prepare } from "../src/compress/prepare.js";
import { normalizeBatch } from "../src/data/augment.js";
import { loadCifar10 } from "../src/data/cifar10.js";
import { type ImageSet, normalizations, permutation } from "../src/data/image-set.js";
import { topOne } from "../src/evaluate/classify.js";
import { float32Tensor } from "../src/graph/attributes.js";
import type { Graph } from "../src/graph/types.js";
import { Network } from "../src/interpreter/network.js";
import { Random } from "../src/linalg/random.js";
import { cost } from "../src/ops/cost/cost.js";
import { loadModel } from "../src/runtime/files.js";
import { describeMachine } from "../src/runtime/machine.js";
import { runnable } from "../src/train/runnable.js";
import { shared } from "../test/shared.js";
import { type CalibratedRow, tableOf } from "./calibrated-table.js";
import { writeResult } from "./result.js";

const network = process.env.NETWORK ?? "resnet20";
const [seeds = "1", keeps = "0.7,0.5,0.35", only, families] = process.argv.slice(2);
const count = Number(process.env.IMAGES ?? 256);
/** Images on which ridges and families are chosen: training images that no calibration draws. */
const aside = process.env.JUDGE === "train";

const path = shared(`data/models/${network}-bn.onnx`);
if (path === undefined) throw new Error(`${network}-bn.onnx is not here`);
const { graph } = prepare(await loadModel(path));
const { train, test } = await loadCifar10();
const order = permutation(train.count, new Random("choices"));
const reserve = order.subarray(0, 10_000);

function pick(set: ImageSet, indices: Uint32Array): ImageSet {
  const size = 3 * set.height * set.width;
  const images = new Uint8Array(indices.length * size);
  const labels = new Uint8Array(indices.length);
  for (const [i, index] of indices.entries()) {
    images.set(set.images.subarray(index * size, (index + 1) * size), i * size);
    labels[i] = set.labels[index]!;
  }
  return { ...set, images, labels, count: indices.length };
}

const evaluated = aside ? pick(train, reserve) : test;

function calibrationImages(seed: number): CalibrationImages {
  const rest = order.subarray(10_000);
  const drawn = permutation(rest.length, new Random(`calibration ${seed}`)).subarray(0, count);
  const set = pick(
    train,
    drawn.map((at) => rest[at]!),
  );
  return {
    count: set.count,
    key: `cifar10 train ${seed} ${count}`,
    feeds(first, number) {
      const values = new Float32Array(number * 3 * 32 * 32);
      const indices = Uint32Array.from({ length: number }, (_, i) => first + i);
      normalizeBatch(set, indices, normalizations.imagenet, values);
      return { input: float32Tensor([number, 3, 32, 32], values) };
    },
  };
}

async function errorOf(model: Graph): Promise<number> {
  using running = new Network(model, { trainable: () => false });
  return (await topOne(runnable(running, model), evaluated, normalizations.imagenet, { batch: 250 })).top1Error;
}

const engine = torchEngine();

/** Layers count by what they do to the output, as in the command. */
async function counted(calibration: Calibration, images: CalibrationImages): Promise<Calibration> {
  const found = await sensitivitiesOf(calibration, images, engine, { output: calibration.graph.outputs[0]!.name });
  return withSensitivities(calibration, (layer) => found.get(layer));
}

const say = (text: string) => process.stdout.write(`${text}\n`);
const macsOf = (model: Graph) =>
  cost({
    ...model,
    inputs: model.inputs.map(({ name }) => ({ name, tensor: { type: "float32", dims: [1, 3, 32, 32] } })),
  }).macs;
const rows: CalibratedRow[] = [];
const options: CandidateOptions = {
  ...usualCandidates,
  ...(families === undefined ? {} : { families: families.split(",") as FittedFamily[] }),
};
const started = performance.now();
const seconds = () => `${((performance.now() - started) / 1000).toFixed(1)} s`;
say(
  `${network}: ${(await errorOf(graph)).toFixed(2)} %, ${aside ? "10,000 training images set aside" : "10,000 test images"} (${seconds()})`,
);
for (const seed of seeds.split(",").map(Number)) {
  const own = calibrationImages(seed);
  const images = process.env.MIRROR === "0" ? own : withMirrored(own);
  const cache = openCalibrationCache(graph, images, engine);
  const alike = await calibrate(graph, images, engine, { candidates: options, cache });
  const calibration = process.env.COUNTS === "0" ? alike : await counted(alike, images);
  say(
    `seed ${seed}: calibrated, ${calibration.layers.reduce((n, { choices }) => n + choices.length, 0)} choices (${seconds()})`,
  );
  for (const keep of keeps.split(",").map(Number)) {
    const plan = planByMacs(calibration, keep);
    const kept = (plan.price + fixedMacs(calibration)) / calibration.extents.macs;
    const holds =
      process.env.HOLD === undefined
        ? {}
        : {
            holdEvery: Number(process.env.HOLD),
            ...(process.env.RIDGES && { ridges: process.env.RIDGES.split(",").map(Number) }),
          };
    const variants = {
      symmetric: {},
      refit: { refit: holds },
      activation: { refit: { ...holds, activation: true } },
      blocks: { refit: { ...holds, activation: true } },
    };
    const errors: Record<string, number> = {};
    for (const [name, how] of Object.entries(variants)) {
      if (only !== undefined && !only.split(",").includes(name)) continue;
      const closed = await compressCalibrated(calibration, plan.chosen, images, engine, how);
      const { layers } = closed;
      const learned = name === "blocks" ? await blockSteps(graph, closed.replacements, images, engine) : undefined;
      for (const { layers: own, before, after, kept: better } of learned?.outcomes ?? [])
        say(`  ${own.join(" ")}: ${before.toFixed(4)} -> ${after.toFixed(4)}${better ? "" : ", not kept"}`);
      const { replacements } = learned ?? closed;
      const compressed = withChains(graph, replacements);
      errors[name] = await errorOf(compressed);
      const took = layers.map(({ refit }) => refit?.took[0]).join("");
      const reached = macsOf(compressed) / calibration.extents.macs;
      say(
        `seed ${seed} keep ${keep} (${kept.toFixed(4)}, counted ${reached.toFixed(4)}) ${name}: ${errors[name].toFixed(2)} %  ${took} (${seconds()})`,
      );
    }
    rows.push({
      ...{ seed, keep, kept, errors },
      families: plan.chosen.map(({ candidate: { family, ranks } }) => `${family} ${ranks.join(" ")}`),
    });
  }
}
if (!aside && process.env.RECORD === "1") {
  const [of, on] = [network === "resnet20" ? "" : `-${network}`, count === 256 ? "" : `-${count}`];
  await writeResult(`bench-calibrated${of}${on}`, "npm run bench:calibrated", {
    network,
    images: count,
    mirrored: process.env.MIRROR !== "0",
    sensitivities: process.env.COUNTS !== "0",
    evaluated: "10,000 test images of CIFAR-10",
    rows,
    table: tableOf(rows, describeMachine().processor),
  });
}

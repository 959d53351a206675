// A GPU: do 20 steps there lose what they lose on the processor, and how many images a second are trained beside
// PyTorch's own loop, in turns.
//   npm run bench:cuda [-- --device cuda:0] [--rounds 5] [--steps 60] [--brief]
// writes results/bench-cuda.json. Without a GPU it ends with the reason. On a GPU tf32 is off for the losses and as
// libtorch and PyTorch have it (convolutions only) for the speed.
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import type { Graph } from "../src/graph/types.js";
import { Random } from "../src/linalg/random.js";
import { resnet } from "../src/nets/resnet.js";
import { vgg16 } from "../src/nets/vgg.js";
import { median } from "../src/runtime/latency.js";
import {
  type Device,
  engineInfo,
  gpus,
  manualSeed,
  type Precision,
  requireDevice,
  setSwitch,
} from "../src/torch/index.js";
import { measureGpu } from "../src/torch/speed.js";
import type { Batch } from "../src/train/sources.js";
import { Contender } from "./contender.js";
import { Python, pythonWithTorch } from "./python.js";
import { writeResult } from "./result.js";

const { values: options } = parseArgs({
  options: {
    device: { type: "string", default: "cuda" },
    rounds: { type: "string", default: "5" },
    steps: { type: "string", default: "60" },
    batch: { type: "string", default: "128" },
    brief: { type: "boolean", default: false },
  },
});
const device = requireDevice(options.device);
const [rounds, count, size] = [Number(options.rounds), Number(options.steps), Number(options.batch)];
const seed = 1;
const sgd = { name: "sgd", momentum: 0.9, nesterov: true, weightDecay: 1e-4 } as const;
/** Small: at 0.01 the first steps of ResNet-56 make of a difference of 1e-4 one of 4e-2. */
const rate = 1e-3;

const nets: Readonly<Record<string, () => Graph>> = {
  resnet20: () => resnet(20, { init: "kaiming", seed }),
  resnet56: () => resnet(56, { init: "kaiming", seed }),
  vgg16: () => vgg16({ widthDivisor: 2, init: "kaiming", seed }),
};

/** Images of noise, each of a class that its mean colour tells: something can be learned. */
function batches(images: number, many: number): readonly Batch[] {
  const random = new Random(`batches ${seed}`);
  return Array.from({ length: many }, () => {
    const labels = BigInt64Array.from({ length: images }, () => BigInt(Math.floor(10 * random.next())));
    const input = new Float32Array(images * 3072);
    for (let i = 0; i < images; i++)
      for (let k = 0; k < 3072; k++)
        input[3072 * i + k] = 2 * random.next() - 1 + (Number(labels[i]) === Math.floor(k / 308) ? 0.5 : 0);
    return { input, inputDims: [images, 3, 32, 32], target: labels, targetDims: [images] };
  });
}

async function losses(net: string, where: Device, precision: Precision): Promise<readonly number[]> {
  manualSeed(seed);
  using one = new Contender(nets[net]!(), "cross-entropy", sgd, rate, { device: where, precision });
  const found: number[] = [];
  for (const batch of batches(options.brief ? 16 : size, 20)) found.push((await one.step(batch)).loss);
  return found;
}

async function agreement(net: string) {
  setSwitch("tf32", false);
  setSwitch("deterministic", true);
  const cpu = await losses(net, "cpu", "float32");
  const all = ["float32", "bfloat16", ...(device === "cpu" ? [] : ["float16" as const])] as const;
  const precisions: { precision: Precision; losses: readonly number[]; furthest: number }[] = [];
  for (const precision of all) {
    const found = await losses(net, device, precision);
    precisions.push({
      precision,
      losses: found,
      furthest: Math.max(...found.map((loss, i) => Math.abs(loss - cpu[i]!))),
    });
  }
  const again = await losses(net, device, "float32");
  setSwitch("deterministic", false);
  const same = again.every((loss, i) => loss === precisions[0]!.losses[i]);
  return { net, steps: 20, cpu, repeatable: same, [device]: precisions };
}

/** Images a second of both, in turns. */
async function speed(net: string, precision: Precision, python: Python | undefined) {
  using one = new Contender(nets[net]!(), "cross-entropy", sgd, rate, { device, precision });
  const [batch] = batches(size, 1);
  const steps = async (many: number): Promise<number> => {
    const start = performance.now();
    for (let i = 0; i < many; i++) await one.step(batch!);
    return (performance.now() - start) / 1000;
  };
  await steps(10);
  await python?.ask("begin", { net, precision, batch: size, benchmark: true });
  await python?.ask("steps", { count: 10 });
  const [ours, theirs]: [number[], number[]] = [[], []];
  for (let round = 0; round < rounds; round++) {
    ours.push((size * count) / (await steps(count)));
    const answer = await python?.ask<{ seconds: number }>("steps", { count });
    if (answer !== undefined) theirs.push((size * count) / answer.seconds);
  }
  const [own, other] = [median(ours), theirs.length > 0 ? median(theirs) : undefined];
  return { net, precision, imagesPerSecond: own, ours, pytorch: other, theirs, ratio: other && own / other };
}

const gpu = gpus()[Number(device.slice(5))];
setSwitch("tf32", false);
const agreements: Awaited<ReturnType<typeof agreement>>[] = [];
for (const net of Object.keys(nets)) agreements.push(await agreement(net));
for (const { net, repeatable, ...rest } of agreements)
  console.log(
    `${net}: furthest losses of 20 steps`,
    JSON.stringify((rest as never as Record<string, { furthest: number }[]>)[device]!.map(({ furthest }) => furthest)),
    repeatable ? "repeatable" : "not repeatable",
  );
setSwitch("tf32", true);
setSwitch("cudnnBenchmark", true);
const found = pythonWithTorch();
const script = fileURLToPath(new URL("./cuda-torch.py", import.meta.url));
using python = found === undefined || device === "cpu" ? undefined : new Python(found, script, {});
const speeds = [];
for (const net of Object.keys(nets))
  for (const precision of ["float32", "bfloat16"] as const) {
    const row = await speed(net, precision, python);
    speeds.push(row);
    console.log(net, precision, `${row.imagesPerSecond.toFixed(0)} images/s`, `${row.ratio?.toFixed(2)} x PyTorch`);
  }
const rates = device === "cpu" ? undefined : measureGpu(device);
const libtorch = engineInfo().version;
if (!options.brief)
  await writeResult("bench-cuda", "npm run bench:cuda", {
    ...{ device, gpu, rates, libtorch, python: found ?? null, seed, batch: size, steps: count, rounds },
    ...{ agreements, speeds },
  });

// How long planning and decomposing take: ResNet-56, and a graph with the layers of ResNet-50, by pure TypeScript and
// with libtorch; time and peak memory. Every run is a process of its own, as a command is. Run on a quiet machine:
// npx tsx bench/planning.ts

import { execFileSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { float32Tensor, ints, makeNode } from "../src/graph/attributes.js";
import type { Graph, Node, TensorData } from "../src/graph/types.js";
import { pureLinearAlgebra } from "../src/linalg/low-rank.js";
import { Random } from "../src/linalg/random.js";
import { applyPlan } from "../src/methods/basis.js";
import { planCompression } from "../src/methods/plan.js";
import { resnet } from "../src/nets/resnet.js";
import { cost } from "../src/ops/cost/cost.js";
import { engineInfo } from "../src/torch/index.js";
import { bestLinearAlgebra } from "../src/torch/linalg.js";
import { writeResult } from "./result.js";

const repeats = 3;
const seed = 1;
const networks = { "ResNet-56": () => resnet(56, { seed }), "ResNet-50-sized": resnet50 };
const implementations = { typescript: () => pureLinearAlgebra, libtorch: bestLinearAlgebra };

interface Run {
  readonly planSeconds: number;
  readonly decomposeSeconds: number;
  readonly seconds: number;
  /** Of all threads, user and system: what a machine that others use too does not stretch as much. */
  readonly processSeconds: number;
  readonly peakBytes: number;
  readonly layers: number;
  readonly weights: number;
  readonly reached: number;
}

/**
 * ResNet-50's convolutions with their sizes, one after the other, with a spectrum that falls as in trained networks.
 */
function resnet50(): Graph {
  const random = new Random(seed);
  const nodes: Node[] = [];
  const initializers = new Map<string, TensorData>();
  let [value, channels] = ["x", 3];
  const conv = (outChannels: number, kernel: number, stride = 1): void => {
    const name = `conv${initializers.size}`;
    const size = channels * kernel * kernel;
    const values = new Float32Array(outChannels * size);
    for (let o = 0; o < outChannels; o++)
      for (let i = 0; i < size; i++) values[o * size + i] = random.normal() * Math.exp((-3 * i) / size);
    initializers.set(`${name}.weight`, float32Tensor([outChannels, channels, kernel, kernel], values));
    const pad = kernel >> 1;
    nodes.push(
      makeNode(
        "Conv",
        [value, `${name}.weight`],
        [name],
        { strides: ints([stride, stride]), pads: ints([pad, pad, pad, pad]) },
        { name },
      ),
    );
    [value, channels] = [name, outChannels];
  };
  conv(64, 7, 2);
  for (const [stage, blocks] of [3, 4, 6, 3].entries()) {
    const width = 64 << stage;
    for (let block = 0; block < blocks; block++) {
      if (block === 0) conv(4 * width, 1, stage === 0 ? 1 : 2); // the shortcut, in a row with the others here
      conv(width, 1);
      conv(width, 3);
      conv(4 * width, 1);
    }
  }
  return {
    name: "resnet50-sized",
    nodes,
    initializers,
    inputs: [{ name: "x", tensor: { type: "float32", dims: ["N", 3, 224, 224] } }],
    outputs: [{ name: value, tensor: { type: "float32" } }],
    values: new Map(),
    opsets: new Map([["", 17]]),
    irVersion: 8,
    metadata: new Map(),
  };
}

function run(name: keyof typeof networks, keepParams: number, implementation: keyof typeof implementations): Run {
  const graph = networks[name]();
  const linear = implementations[implementation]();
  const before = process.cpuUsage();
  const started = performance.now();
  const plan = planCompression(graph, { keepParams, linear });
  const planned = performance.now();
  const { graph: compressed } = applyPlan(graph, plan, { linear });
  const done = performance.now();
  const { user, system } = process.cpuUsage(before);
  return {
    planSeconds: (planned - started) / 1000,
    decomposeSeconds: (done - planned) / 1000,
    seconds: (done - started) / 1000,
    processSeconds: (user + system) / 1e6,
    peakBytes: process.resourceUsage().maxRSS * 1024,
    layers: graph.nodes.filter(({ op }) => op === "Conv").length,
    weights: cost(graph).weights,
    reached: cost(compressed).weights / cost(graph).weights,
  };
}

/** The run whose seconds are the median, with all runs' seconds beside. */
function measured(name: string, keepParams: number, implementation: string) {
  const script = fileURLToPath(import.meta.url);
  const once = () =>
    JSON.parse(
      execFileSync(process.execPath, [...process.execArgv, script, name, `${keepParams}`, implementation], {
        encoding: "utf8",
      }),
    ) as Run;
  const runs = Array.from({ length: repeats }, once).sort((a, b) => a.seconds - b.seconds);
  const median = runs[Math.floor(repeats / 2)]!;
  const row = { name, keepParams, linearAlgebra: implementation, ...median, all: runs.map(({ seconds }) => seconds) };
  process.stdout.write(
    `${name} at ${keepParams}, ${implementation}: plan ${row.planSeconds.toFixed(2)} s, decompose ${row.decomposeSeconds.toFixed(2)} s, ` +
      `process time ${row.processSeconds.toFixed(2)} s, peak ${(row.peakBytes / 1e6).toFixed(0)} MB\n`,
  );
  return row;
}

const [, , name, keepParams, implementation] = process.argv;
if (name !== undefined) {
  const found = run(name as keyof typeof networks, Number(keepParams), implementation as keyof typeof implementations);
  process.stdout.write(JSON.stringify(found));
} else {
  const rows = Object.keys(networks).flatMap((network) =>
    [0.5, 0.25].flatMap((keep) => Object.keys(implementations).map((one) => measured(network, keep, one))),
  );
  const { version, blas, threads } = engineInfo();
  await writeResult("bench-planning", "npx tsx bench/planning.ts", {
    seed,
    n: repeats,
    libtorch: { version, blas, threads },
    rows,
  });
}

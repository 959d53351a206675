// A training step (forward, L1 loss, backward, Adam) of EDSR-8-128 x4 on 16 patches of 48 x 48 against PyTorch,
// alternated in one run: with a split basis here as trainings run it, there the paper's way (s convolutions,
// concatenation, 1 x 1); with one split; dense. Then what else could have been done: other layouts here, section 3.3's
// 3D convolution and the batch-folded layout in PyTorch, and PyTorch with glibc told to keep large blocks, as the
// engine tells it. usage, on a quiet machine: npm run bench:training [-- --rounds 20] [--further 5] [--patches 16]
// [--threads 2] [--brief] writes results/bench-training.json, not with --brief (one round on two patches)
import { mkdtempSync, rmSync } from "node:fs";
import { availableParallelism, loadavg, tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { type Layout, layouts } from "../src/basis/layouts.js";
import type { Graph } from "../src/graph/types.js";
import { Random } from "../src/linalg/random.js";
import { basisScratch } from "../src/methods/basis-scratch.js";
import { chooseLayouts } from "../src/methods/layout.js";
import { readRecord } from "../src/methods/record.js";
import { edsr } from "../src/nets/edsr.js";
import { cost } from "../src/ops/cost/cost.js";
import { lowerBasisConv } from "../src/passes/lower-basis-conv.js";
import { median } from "../src/runtime/latency.js";
import { environmentDefaults } from "../src/torch/environment.js";
import { engineInfo, setThreads } from "../src/torch/index.js";
import type { Batch } from "../src/train/sources.js";
import { Contender, type Elements, writeTensors } from "./contender.js";
import { Python, pythonWithTorch } from "./python.js";
import { writeResult } from "./result.js";

const { values: options } = parseArgs({
  options: {
    rounds: { type: "string", default: "20" },
    further: { type: "string", default: "5" },
    patches: { type: "string" },
    threads: { type: "string" },
    brief: { type: "boolean", default: false },
  },
});
const given = process.argv.length > 2 ? ["--", ...process.argv.slice(2)] : [];
const rounds = options.brief ? 1 : Number(options.rounds);
const further = options.brief ? 1 : Number(options.further);
const patches = Number(options.patches ?? (options.brief ? 2 : 16));
const threads = options.threads === undefined ? Math.min(2, availableParallelism()) : Number(options.threads);
const [blocks, width, scale, patch, rate, seed] = [8, 128, 4, 48, 1e-4, 1] as const;
/** How many of the first losses are held against each other. */
const compared = 3;
/** glibc's variables for what native/module.cpp sets. */
const keepBlocks = {
  MALLOC_MMAP_THRESHOLD_: "1073741824",
  MALLOC_TRIM_THRESHOLD_: "2147483647",
  MALLOC_TOP_PAD_: "67108864",
};

/** Whoever makes steps, one after another on the same batch. */
interface Runner {
  readonly name: string;
  step(): Promise<{ readonly loss: number; readonly ns: number }>;
  end(): Promise<void>;
}

interface Timing {
  readonly name: string;
  readonly n: number;
  readonly milliseconds: number;
  readonly samples: readonly number[];
  readonly losses: readonly number[];
}

const network = edsr({ blocks, width, scale, seed });
const overBasis = (splits: number, basis: number): Graph =>
  basisScratch({ preset: "edsr", basis, channels: width / splits, seed })(network).graph;

const random = new Random(seed);
const numbers = (count: number) => Float32Array.from({ length: count }, () => 255 * random.next());
const inputDims = [patches, 3, patch, patch];
const targetDims = [patches, 3, scale * patch, scale * patch];
const size = (dims: readonly number[]) => dims.reduce((a, b) => a * b, 1);
const batch: Batch = { input: numbers(size(inputDims)), inputDims, target: numbers(size(targetDims)), targetDims };

/** The weights that every runner of a case starts from. */
type Weights = { readonly path: string; readonly index: ReturnType<typeof writeTensors> };

function ours(name: string, graph: Graph): Runner & { readonly tensors: readonly Elements[] } {
  const contender = new Contender(graph, "l1", { name: "adam", betas: [0.9, 0.999], eps: 1e-8, weightDecay: 0 }, rate);
  return {
    name,
    tensors: contender.tensors(),
    step: async () => contender.step(batch),
    end: async () => contender[Symbol.dispose](),
  };
}

async function theirs(python: Python, name: string, way: string, weights: Weights): Promise<Runner> {
  await python.ask("net", { key: name, ...weights, blocks, way, rate });
  return {
    name,
    step: () => python.ask("step", { key: name }),
    end: async () => void (await python.ask("drop", { key: name })),
  };
}

/** Medians of alternated steps; every second round runs in reverse order, a first one only warms up. */
async function alternate(runners: readonly Runner[], times: number): Promise<readonly Timing[]> {
  const found = runners.map(({ name }) => ({ name, samples: [] as number[], losses: [] as number[] }));
  for (let round = 0; round <= times; round++) {
    const order = runners.map((runner, i) => ({ runner, own: found[i]! }));
    for (const { runner, own } of round % 2 === 0 ? order : order.reverse()) {
      const { loss, ns } = await runner.step();
      if (round > 0) own.samples.push(ns / 1e6);
      own.losses.push(loss);
    }
  }
  return found.map((one) => ({ ...one, n: times, milliseconds: median(one.samples) }));
}

/** Runs, then gives everything back. */
async function timed(runners: readonly Runner[], times: number): Promise<readonly Timing[]> {
  try {
    return await alternate(runners, times);
  } finally {
    for (const runner of runners) await runner.end();
  }
}

/** The largest relative difference of the first losses. */
function apart(a: Timing, b: Timing): number {
  return Math.max(
    ...a.losses.slice(0, compared).map((loss, i) => Math.abs(loss - b.losses[i]!) / Math.abs(b.losses[i]!)),
  );
}

const found = pythonWithTorch();
if (found === undefined)
  console.log("python3-torch is not here: only the engine is measured (apt-get install python3-torch)");
const load = loadavg()[0]!;
const script = fileURLToPath(new URL("./training-torch.py", import.meta.url));
const env = environmentDefaults();
using python = found === undefined ? undefined : new Python(found, script, env);
using keeping = found === undefined ? undefined : new Python(found, script, { ...env, ...keepBlocks });
setThreads(threads);
const folder = mkdtempSync(join(tmpdir(), "filterbasis-bench-"));
const started = performance.now();
const shapes = new Map([["input", inputDims]]);
const rows = [];
const others = [];
try {
  const batchPath = join(folder, "batch");
  const batchIndex = writeTensors(batchPath, [
    ["input", inputDims, batch.input],
    ["target", targetDims, batch.target as Float32Array],
  ]);
  const version = await python?.ask<{ version: string }>("setup", { threads });
  await keeping?.ask("setup", { threads });
  for (const one of [python, keeping]) await one?.ask("batch", { path: batchPath, index: batchIndex });

  const cases = [
    { name: "basis, s = 4, m = 32", graph: overBasis(4, 32), aim: 1 / 1.1 },
    { name: "basis, s = 1, m = 32", graph: overBasis(1, 32), aim: 1.05 },
    { name: "dense", graph: network, aim: 1.05 },
  ];
  console.log(
    `EDSR-${blocks}-${width} x${scale}, ${patches} patches of ${patch} x ${patch}, ${threads} threads, load ${load.toFixed(1)}`,
  );
  console.log(
    `\n${"training step (ms)".padEnd(24)}${"layout here".padEnd(12)}    engine   PyTorch     ratio   at most   losses differ by`,
  );
  for (const { name, graph, aim } of cases) {
    const layout = readRecord(graph)?.layers[0]?.layout ?? "dense";
    const mine = ours("engine", graph);
    const path = join(folder, "weights");
    const weights = { path, index: writeTensors(path, mine.tensors) };
    const pair = python === undefined ? [mine] : [mine, await theirs(python, "the paper's way", "split", weights)];
    const [a, b] = (await timed(pair, rounds)) as [Timing, Timing?];
    const ratio = b === undefined ? null : a.milliseconds / b.milliseconds;
    const lossDifference = b === undefined ? null : apart(a, b);
    rows.push({
      name,
      layout,
      macs: cost(graph, shapes).macs,
      ours: a,
      pytorch: b ?? null,
      ratio,
      aim,
      lossDifference,
    });
    const cells = [
      a.milliseconds.toFixed(0),
      b?.milliseconds.toFixed(0) ?? "-",
      ratio?.toFixed(3) ?? "-",
      aim.toFixed(3),
    ];
    const said = cells.map((cell) => cell.padStart(10)).join("");
    console.log(`${name.padEnd(24)}${layout.padEnd(12)}${said}   ${lossDifference?.toExponential(1) ?? "-"}`);
    if (name !== cases[0]!.name) continue;

    // What else could have been done with the same weights.
    const nodes = (other: Layout): Graph => lowerBasisConv(chooseLayouts(() => other)(graph).graph);
    const runners: Runner[] = layouts.map((other: Layout) => ours(`engine, ${other}`, nodes(other)));
    if (python !== undefined && keeping !== undefined) {
      runners.push(await theirs(python, "PyTorch, split (the paper's way)", "split", weights));
      runners.push(await theirs(python, "PyTorch, batch-folded", "batch-folded", weights));
      runners.push(await theirs(python, "PyTorch, 3D convolution (section 3.3)", "conv3d", weights));
      runners.push(await theirs(keeping, "PyTorch, split, large blocks kept", "split", weights));
    }
    const timings = await timed(runners, further);
    const base = timings.find((timing) => timing.name.startsWith(`engine, ${layout}`))!;
    for (const timing of timings) others.push({ ...timing, lossDifference: apart(timing, base) });
  }
  const heading = `s = 4, m = 32 otherwise (ms, medians of ${further})`;
  console.log(`\n${heading.padEnd(46)}${"losses differ by".padStart(20)}`);
  for (const { name, milliseconds, lossDifference } of others)
    console.log(
      `${name.padEnd(38)}${milliseconds.toFixed(0).padStart(8)}${lossDifference.toExponential(1).padStart(20)}`,
    );
  const minutes = (performance.now() - started) / 60000;
  console.log(`\nmedians of ${rounds}; the first ${compared} losses compared; ${minutes.toFixed(1)} minutes`);
  if (!options.brief)
    await writeResult("bench-training", ["npm run bench:training", ...given].join(" "), {
      network: `EDSR-${blocks}-${width} x${scale}`,
      step: "forward, L1 loss, backward, Adam",
      patches,
      patch: [patch, patch],
      threads,
      seed,
      n: rounds,
      loadBefore: load,
      versions: { libtorch: engineInfo().version, pytorch: version?.version ?? null, blas: engineInfo().blas },
      environment: env,
      rows,
      further: others,
      lossesCompared: compared,
      minutes,
    });
} finally {
  rmSync(folder, { recursive: true, force: true });
}

// The engine against PyTorch on this machine: overhead of operators, training steps, losses; alternated in one run,
// both with the same environment. usage: npm run bench:engine [-- --quick | --overhead]      writes
// results/bench-engine.json; not with --quick (few rounds) or --overhead (operators only)
import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { availableParallelism, cpus, loadavg, tmpdir, totalmem } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { writeAside } from "../src/runtime/write.js";
import { environmentDefaults } from "../src/torch/environment.js";
import { engineInfo, packageRoot, setThreads } from "../src/torch/index.js";
import { pythonSetup, rows } from "./engine-overhead.js";
import { makeBatches, rate, sendBatches, startResnet } from "./engine-training.js";
import { Python, pythonWithTorch } from "./python.js";

const { quick, overhead: operatorsOnly } = parseArgs({
  options: { quick: { type: "boolean", default: false }, overhead: { type: "boolean", default: false } },
}).values;
const rounds = { overhead: quick ? 3 : 21, training: quick ? 2 : 12, losses: quick ? 3 : 20 };
const count = availableParallelism();

const found = pythonWithTorch();
if (found === undefined)
  console.log("python3-torch is not here: only the engine is measured (apt-get install python3-torch)");
// The same variables for both; the engine sets its own while it is loaded.
const env = environmentDefaults();
const load = loadavg();
using python =
  found === undefined
    ? undefined
    : new Python(found, fileURLToPath(new URL("./engine-torch.py", import.meta.url)), env);
setThreads(count);
const theirs = await python?.ask<{ version: string }>("setup", { code: pythonSetup, threads: count });

interface Measured {
  readonly name: string;
  readonly n: number;
  /** Medians. */
  readonly ours: number;
  readonly pytorch: number | null;
  readonly ratio: number | null;
}

const median = (values: readonly number[]): number => values.toSorted((a, b) => a - b)[values.length >> 1]!;

/** Medians of alternated measurements, the order changing from round to round. The first round only warms up. */
async function alternate(
  name: string,
  times: number,
  ours: () => number | Promise<number>,
  pytorch: (() => Promise<number>) | undefined,
): Promise<Measured> {
  const [mine, other]: [number[], number[]] = [[], []];
  for (let round = 0; round <= times; round++) {
    const steps = [async () => mine.push(await ours()), async () => pytorch && other.push(await pytorch())];
    for (const step of round % 2 === 0 ? steps : steps.toReversed()) await step();
  }
  const [a, b] = [median(mine.slice(1)), pytorch === undefined ? null : median(other.slice(1))];
  return { name, n: times, ours: a, pytorch: b, ratio: b === null ? null : a / b };
}

function overheadOf(run: () => void, n: number): number {
  const start = process.hrtime.bigint();
  for (let i = 0; i < n; i++) run();
  return Number(process.hrtime.bigint() - start) / n / 1000;
}

// Overheads are those of one thread: what is compared is the way to the kernel.
setThreads(1);
await python?.ask("setup", { code: "", threads: 1 });
const overhead: Measured[] = [];
for (const { name, n, run, python: code } of rows())
  overhead.push(
    await alternate(
      name,
      rounds.overhead,
      () => overheadOf(run, n),
      python && (async () => (await python.ask<{ ns: number }>("overhead", { code, n })).ns / 1000),
    ),
  );
setThreads(count);
await python?.ask("setup", { code: "", threads: count });

const folder = mkdtempSync(join(tmpdir(), "filterbasis-bench-"));
const training: Measured[] = [];
const losses: { name: string; ours: number[]; pytorch: number[]; worst: number | null }[] = [];
try {
  const batches = makeBatches(operatorsOnly ? 0 : rounds.losses, 5);
  if (python !== undefined) await sendBatches(python, join(folder, "batches"), batches);
  for (const depth of operatorsOnly ? [] : [20, 56]) {
    const name = `ResNet-${depth}`;
    {
      using ours = await startResnet(depth, name, join(folder, name), python);
      const [mine, other]: [number[], number[]] = [[], []];
      for (const [batch, data] of batches.entries()) {
        mine.push((await ours.step(data)).loss);
        if (python !== undefined) other.push((await python.ask<{ loss: number }>("step", { key: name, batch })).loss);
      }
      const worst =
        python === undefined
          ? null
          : Math.max(...mine.map((loss, i) => Math.abs(loss - other[i]!) / Math.abs(other[i]!)));
      losses.push({ name, ours: mine, pytorch: other, worst });
      const step = python && (async () => (await python.ask<{ ns: number }>("step", { key: name, batch: 0 })).ns / 1e6);
      training.push(
        await alternate(
          `${name}, batch 128`,
          rounds.training,
          async () => (await ours.step(batches[0]!)).ns / 1e6,
          step,
        ),
      );
    }
  }
} finally {
  rmSync(folder, { recursive: true, force: true });
}

const figure = (value: number | null, digits: number) => (value === null ? "-" : value.toFixed(digits)).padStart(10);
const table = (title: string, unit: string, digits: number, measured: readonly Measured[]) => {
  console.log(
    `\n${title} (${unit}, medians of ${measured[0]!.n})\n${" ".repeat(36)}${"engine".padStart(10)}${"PyTorch".padStart(10)}${"ratio".padStart(10)}`,
  );
  for (const { name, ours, pytorch, ratio } of measured)
    console.log(`${name.padEnd(36)}${figure(ours, digits)}${figure(pytorch, digits)}${figure(ratio, 2)}`);
};
const ratios = overhead.flatMap(({ ratio }) => (ratio === null ? [] : [ratio]));
const mean =
  ratios.length === 0 ? null : Math.exp(ratios.reduce((sum, ratio) => sum + Math.log(ratio), 0) / ratios.length);
console.log(
  `${cpus()[0]?.model}, ${count} threads, libtorch ${engineInfo().version}, PyTorch ${theirs?.version ?? "absent"}, Node ${process.version}, load ${load[0]?.toFixed(1)}`,
);
table("Overhead of operators", "us", 2, overhead);
console.log(`${"geometric mean of the ratios".padEnd(56)}${figure(mean, 2)}`);
if (!operatorsOnly) table("Training step", "ms", 0, training);
for (const { name, worst } of losses)
  console.log(
    `${name}: largest relative difference of the first ${rounds.losses} losses at rate ${rate}: ${worst === null ? "-" : worst.toExponential(1)}`,
  );

if (!quick && !operatorsOnly) {
  const report = {
    command: "npm run bench:engine",
    date: new Date().toISOString().slice(0, 10),
    machine: {
      processor: cpus()[0]?.model,
      threads: count,
      memoryGiB: Math.round(totalmem() / 2 ** 30),
      loadBefore: load,
    },
    versions: {
      node: process.version,
      libtorch: engineInfo().version,
      pytorch: theirs?.version ?? null,
      blas: engineInfo().blas,
    },
    environment: env,
    commit: execFileSync("git", ["rev-parse", "--short", "HEAD"], { encoding: "utf8" }).trim(),
    overheadMicroseconds: overhead,
    overheadGeometricMean: mean,
    trainingMilliseconds: training,
    losses,
  };
  await writeAside(
    join(packageRoot(), "results/bench-engine.json"),
    new TextEncoder().encode(`${JSON.stringify(report, null, 2)}\n`),
  );
}

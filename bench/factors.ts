// How long the factors of a layer take: all families at nine fractions of its MACs, 3x3 kernels, in TypeScript and by
// libtorch on one thread; process time, random filters (which need the most steps).
// usage: npx tsx bench/factors.ts [--channels 16,64] [--pure 64]      writes results/bench-factors.json
// --pure: the largest layer that TypeScript is waited for.
import { parseArgs } from "node:util";
import { candidatesOf } from "../src/basis/candidates.js";
import { type Candidate, type Family, families, type LayerShape, macsOf } from "../src/basis/factors.js";
import { fitCandidates, ridged } from "../src/basis/fit.js";
import type { LinearAlgebra } from "../src/linalg/linear-algebra.js";
import { pureLinearAlgebra } from "../src/linalg/pure.js";
import { Random } from "../src/linalg/random.js";
import { engineInfo, setThreads } from "../src/torch/index.js";
import { torchLinearAlgebra } from "../src/torch/linalg.js";
import { covarianceOf, targetOf } from "./random-layer.js";
import { writeResult } from "./result.js";

const options = parseArgs({
  options: { channels: { type: "string" }, pure: { type: "string", default: "64" } },
}).values;
const sizes = (options.channels ?? "16,64,128,256,512").split(",").map(Number);
const fractions = [0.1, 0.16, 0.25, 0.33, 0.42, 0.5, 0.62, 0.75, 0.9];
const seed = 1;

function measure(channels: number, algebra: LinearAlgebra) {
  const random = new Random(seed);
  const shape: LayerShape = { n: channels, c: channels, kernel: [3, 3], stride: [1, 1] };
  const { covariance, ridge } = ridged(covarianceOf(shape, random), 1e-3);
  const target = targetOf(shape, random);
  const candidates = candidatesOf(shape, { fractions });
  const run = (list: readonly Candidate[]) => {
    const before = process.cpuUsage();
    const found = fitCandidates(target, covariance, shape, list, algebra, { ridge });
    const { user, system } = process.cpuUsage(before);
    return { seconds: (user + system) / 1e6, found };
  };
  const seconds: Partial<Record<Family, number>> = {};
  const errorAtHalf: Partial<Record<Family, number>> = {};
  for (const family of Object.keys(families) as Family[]) {
    const list = candidates.filter((candidate) => candidate.family === family);
    if (list.length === 0) continue;
    const { seconds: spent, found } = run(list);
    seconds[family] = round(spent);
    const half = found.filter(({ candidate }) => macsOf(candidate, shape, [1, 1]) <= 0.5 * channels * covariance.rows);
    errorAtHalf[family] = round(Math.min(...half.map(({ error }) => error!)));
  }
  const all = Object.values(seconds).reduce((sum, value) => sum + value, 0);
  return {
    channels,
    algebra: algebra.name,
    candidates: candidates.length,
    allSeconds: round(all),
    seconds,
    errorAtHalf,
  };
}

const round = (value: number) => Number(value.toPrecision(3));

setThreads(1);
const rows = [];
for (const channels of sizes)
  for (const algebra of [torchLinearAlgebra, pureLinearAlgebra]) {
    if (algebra === pureLinearAlgebra && channels > Number(options.pure)) continue;
    const row = measure(channels, algebra);
    rows.push(row);
    process.stdout.write(`${JSON.stringify(row)}\n`);
  }
const { version, blas, threads } = engineInfo();
const command = `npx tsx bench/factors.ts --channels ${sizes.join(",")} --pure ${options.pure}`;
await writeResult("bench-factors", command, { seed, fractions, libtorch: { version, blas, threads }, rows });

// The interpreter in inference against PyTorch on this machine, alternated in one run: ResNet-56 at batch 128; and what
// a node costs beside its work. usage: npm run bench:interpreter [-- --rounds 15]      writes
// results/bench-interpreter.json
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { availableParallelism, loadavg, tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { makeNode } from "../src/graph/attributes.js";
import type { Graph } from "../src/graph/types.js";
import { Network } from "../src/interpreter/network.js";
import { Random } from "../src/linalg/random.js";
import { resnet } from "../src/nets/resnet.js";
import { median } from "../src/runtime/latency.js";
import { environmentDefaults } from "../src/torch/environment.js";
import { call, engineInfo, fromArray, noGrad, setThreads, type Tensor, TensorScope } from "../src/torch/index.js";
import { Python, pythonWithTorch } from "./python.js";
import { writeResult } from "./result.js";

const options = parseArgs({
  options: { rounds: { type: "string", default: "15" }, threads: { type: "string" } },
}).values;
const rounds = Number(options.rounds);
const threads = options.threads === undefined ? Math.min(2, availableParallelism()) : Number(options.threads);
const dims = [128, 3, 32, 32];
const depth = 56;

setThreads(threads);
const graph = resnet(depth, { seed: 1 });
using network = new Network(graph);
const random = new Random(3);
const input = Float32Array.from({ length: dims.reduce((a, b) => a * b, 1) }, () => random.next() * 2 - 1);

/** All tensors in one raw file, and where each lies. */
function writeTensors(path: string): Record<string, [readonly number[], number]> {
  const index: Record<string, [readonly number[], number]> = {};
  const parts: Uint8Array[] = [];
  let offset = 0;
  const add = (name: string, shape: readonly number[], data: Float32Array): void => {
    index[name] = [shape, offset];
    parts.push(new Uint8Array(data.buffer, data.byteOffset, data.byteLength));
    offset += data.byteLength;
  };
  for (const [name, tensor] of [...network.parameters, ...network.buffers]) add(name, tensor.shape, tensor.floats());
  add("the input", dims, input);
  writeFileSync(path, Buffer.concat(parts));
  return index;
}

function infer(x: Tensor): { readonly milliseconds: number; readonly output: readonly number[] } {
  using _scope = new TensorScope();
  const start = performance.now();
  const output = noGrad(() => network.forward(new Map([["input", x]]))).get("output")!;
  const milliseconds = performance.now() - start;
  return { milliseconds, output: [...output.floats().subarray(0, 10)] };
}

/**
 * Microseconds of a node in a chain of a thousand on four numbers: in the interpreter, and called one after another by
 * hand.
 */
function overhead(): { readonly interpreter: number; readonly calls: number; readonly nodes: number } {
  const nodes = 1000;
  const chain: Graph = {
    ...graph,
    nodes: Array.from({ length: nodes }, (_, i) => makeNode("Abs", [`v${i}`], [`v${i + 1}`])),
    initializers: new Map(),
    inputs: [{ name: "v0", tensor: { type: "float32", dims: [4] } }],
    outputs: [{ name: `v${nodes}` }],
    values: new Map(),
  };
  using abs = new Network(chain);
  const x = fromArray(new Float32Array(4), [4]);
  const times = (run: () => void): number => {
    const measured = Array.from({ length: 30 }, () => {
      using _scope = new TensorScope();
      const start = performance.now();
      noGrad(run);
      return ((performance.now() - start) * 1000) / nodes;
    });
    return median(measured.slice(10));
  };
  const interpreter = times(() => void abs.forward(new Map([["v0", x]])));
  const calls = times(() => {
    let y = x;
    for (let i = 0; i < nodes; i++) {
      const next = call("abs", y);
      if (y !== x) y.dispose();
      y = next;
    }
  });
  x.dispose();
  return { interpreter, calls, nodes };
}

const load = loadavg()[0]!;
const found = pythonWithTorch();
if (found === undefined)
  console.log("python3-torch is not here: only the interpreter is measured (apt-get install python3-torch)");
const script = fileURLToPath(new URL("./interpreter-torch.py", import.meta.url));
using python = found === undefined ? undefined : new Python(found, script, environmentDefaults());
const folder = mkdtempSync(join(tmpdir(), "filterbasis-bench-"));
try {
  const path = join(folder, "tensors");
  const index = writeTensors(path);
  const theirs = await python?.ask<{ version: string }>("net", { depth, path, index, threads });
  const x = fromArray(input, dims);
  const [ours, others]: [number[], number[]] = [[], []];
  let worst = 0;
  for (let round = 0; round < rounds + 2; round++) {
    const mine = infer(x);
    const answer = await python?.ask<{ ns: number; output: number[] }>("infer", {});
    if (round < 2) continue; // both warm up
    ours.push(mine.milliseconds);
    if (answer === undefined) continue;
    others.push(answer.ns / 1e6);
    const largest = Math.max(...answer.output.map(Math.abs));
    worst = Math.max(worst, ...answer.output.map((value, i) => Math.abs(value - mine.output[i]!) / largest));
  }
  const [a, b] = [median(ours), others.length === 0 ? null : median(others)];
  const cost = overhead();
  const metrics = {
    libtorch: engineInfo().version,
    pytorch: theirs?.version ?? null,
    threads,
    loadBefore: load,
    rounds,
    inference: {
      network: `ResNet-${depth}`,
      batch: 128,
      milliseconds: a,
      pytorchMilliseconds: b,
      ratio: b === null ? null : a / b,
    },
    largestRelativeDifference: b === null ? null : worst,
    overheadMicroseconds: cost,
  };
  console.log(
    `ResNet-${depth}, batch 128, ${threads} threads, load ${load.toFixed(1)}: ${a.toFixed(0)} ms, PyTorch ${b?.toFixed(0) ?? "-"} ms`,
  );
  console.log(
    `ratio ${b === null ? "-" : (a / b).toFixed(3)}; outputs differ by at most ${worst.toExponential(1)} of the largest`,
  );
  console.log(
    `a node costs ${cost.interpreter.toFixed(2)} us in the interpreter, a call by hand ${cost.calls.toFixed(2)} us`,
  );
  await writeResult("bench-interpreter", "npm run bench:interpreter", metrics);
} finally {
  rmSync(folder, { recursive: true, force: true });
}

// Milliseconds of a chain of four layers over bases of many ranks, in ONNX Runtime: which ranks cost what (see
// src/runtime/channel-block.ts). One session is open at a time: threads of others would spin on. On a quiet machine:
// npx tsx bench/ranks.ts [--runtime web] [--threads 2]
import { parseArgs } from "node:util";
import { ints, makeNode } from "../src/graph/attributes.js";
import type { Graph, Node, TensorData } from "../src/graph/types.js";
import { channelBlock } from "../src/runtime/channel-block.js";
import { lowerQuartile } from "../src/runtime/latency.js";
import { openSession } from "../src/runtime/open.js";
import { sampleFeeds } from "../src/runtime/samples.js";
import { randomTensor } from "../test/small-graphs.js";
import { writeResult } from "./result.js";

const { values } = parseArgs({
  options: { runtime: { type: "string", default: "node" }, threads: { type: "string", default: "2" } },
});
const runtime = values.runtime === "web" ? "web" : "node";
const threads = runtime === "web" ? 1 : Number(values.threads);
const side = runtime === "web" ? 32 : 64;
const channels = 64;
const rounds = 3;
const ranks = [4, 8, 12, 16, 18, 20, 24, 28, 32, 33, 36, 40, 47, 48, 51, 56, 64];
const kinds = {
  "one basis": [
    [3, 3],
    [1, 1],
  ],
  separable: [
    [3, 1],
    [1, 3],
  ],
} as const;

function chain(kernels: (typeof kinds)[keyof typeof kinds], rank: number): Graph {
  const nodes: Node[] = [];
  const initializers = new Map<string, TensorData>();
  let x = "x";
  const conv = (out: string, to: number, from: number, [kh, kw]: readonly [number, number]) => {
    initializers.set(`${out}.w`, randomTensor([to, from, kh, kw], nodes.length));
    const pads = ints([kh >> 1, kw >> 1, kh >> 1, kw >> 1]);
    nodes.push(makeNode("Conv", [x, `${out}.w`], [out], { kernel_shape: ints([kh, kw]), pads }));
    x = out;
  };
  for (let layer = 0; layer < 4; layer++) {
    conv(`a${layer}`, rank, channels, kernels[0]);
    conv(`b${layer}`, channels, rank, kernels[1]);
    nodes.push(makeNode("Relu", [x], [`y${layer}`]));
    x = `y${layer}`;
  }
  return {
    ...{ name: "ranks", nodes, initializers, values: new Map(), opsets: new Map([["", 17]]), irVersion: 8 },
    inputs: [{ name: "x", tensor: { type: "float32", dims: [1, channels, side, side] } }],
    outputs: [{ name: x, tensor: { type: "float32" } }],
    metadata: new Map(),
  };
}

async function timed(graph: Graph): Promise<number[]> {
  const session = await openSession(graph, { runtime, threads });
  const feeds = sampleFeeds(session.inputs);
  const samples: number[] = [];
  for (let run = 0; run < 16; run++) {
    const begun = performance.now();
    await session.run(feeds);
    if (run >= 4) samples.push(performance.now() - begun);
  }
  await session.release();
  return samples;
}

const rows = [];
for (const [kind, kernels] of Object.entries(kinds)) {
  const samples: number[][] = ranks.map(() => []);
  for (let round = 0; round < rounds; round++)
    for (const [i, rank] of ranks.entries()) samples[i]!.push(...(await timed(chain(kernels, rank))));
  const milliseconds = Object.fromEntries(
    ranks.map((rank, i) => [rank, Number(lowerQuartile(samples[i]!).toFixed(3))]),
  );
  rows.push({ kind, milliseconds });
  console.log(kind, ranks.map((rank) => `${rank}: ${milliseconds[rank]}`).join("  "));
}
const conditions = { layers: 4, channels, side, runs: 12 * rounds, threads, block: channelBlock(runtime) };
await writeResult(`bench-ranks${runtime === "web" ? "-web" : ""}`, "npx tsx bench/ranks.ts", {
  seed: 0,
  conditions,
  rows,
});

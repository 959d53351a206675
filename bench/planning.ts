// How long planning and decomposing take: ResNet-56, and a graph with the layers of ResNet-50; time and peak memory.
// Run on a quiet machine: npx tsx bench/planning.ts

import { float32Tensor, ints, makeNode } from "../src/graph/attributes.js";
import { cost } from "../src/graph/cost.js";
import type { Graph, Node, TensorData } from "../src/graph/types.js";
import { Random } from "../src/linalg/random.js";
import { applyPlan } from "../src/methods/basis.js";
import { planCompression } from "../src/methods/plan.js";
import { resnet } from "../src/nets/resnet.js";
import { writeResult } from "./result.js";

/** ResNet-50's convolutions with their sizes, one after the other, with a spectrum that falls as in trained networks. */
function resnet50(): Graph {
  const random = new Random(1);
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

const rows = [];
for (const [name, graph] of [
  ["ResNet-56", resnet(56)],
  ["ResNet-50-sized", resnet50()],
] as const) {
  for (const keepParams of [0.5, 0.25]) {
    const started = performance.now();
    const plan = planCompression(graph, { keepParams });
    const planned = performance.now();
    const { graph: compressed } = applyPlan(graph, plan);
    const done = performance.now();
    const row = {
      name,
      keepParams,
      reached: cost(compressed).weights / cost(graph).weights,
      layers: graph.nodes.filter(({ op }) => op === "Conv").length,
      weights: cost(graph).weights,
      planSeconds: (planned - started) / 1000,
      decomposeSeconds: (done - planned) / 1000,
      seconds: (done - started) / 1000,
      peakBytes: process.resourceUsage().maxRSS * 1024,
    };
    rows.push(row);
    process.stdout.write(
      `${name} at ${keepParams}: plan ${row.planSeconds.toFixed(2)} s, decompose ${row.decomposeSeconds.toFixed(2)} s, peak ${(row.peakBytes / 1e6).toFixed(0)} MB\n`,
    );
  }
}
await writeResult("bench-planning", "npx tsx bench/planning.ts", { rows });

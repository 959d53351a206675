// How much faster a convolution over a split basis is than the dense one, in ONNX Runtime, beside what its
// multiply-accumulates promise; then the body of EDSR-8-128 as a whole (s = 4, m = 32, batch 1, 48 x 48). Run on a
// quiet machine: npx tsx bench/layouts.ts [--threads 2] [--rounds 40] [--brief]
import { parseArgs } from "node:util";
import { type Layout, layouts } from "../src/basis/layouts.js";
import { fastestLayouts } from "../src/compress/fastest-layouts.js";
import { float32Tensor, ints, makeNode } from "../src/graph/attributes.js";
import type { Graph } from "../src/graph/types.js";
import { Random } from "../src/linalg/random.js";
import { basis } from "../src/methods/basis.js";
import { chooseLayouts } from "../src/methods/layout.js";
import { readRecord } from "../src/methods/record.js";
import { edsr } from "../src/nets/edsr.js";
import { cost } from "../src/ops/cost/cost.js";
import { findInputs } from "../src/runtime/find-inputs.js";
import { alternate } from "../src/runtime/latency.js";
import { openSession } from "../src/runtime/open.js";
import { sampleFeeds } from "../src/runtime/samples.js";
import { writeResult } from "./result.js";

const { values: options } = parseArgs({
  options: {
    threads: { type: "string", default: "2" },
    rounds: { type: "string", default: "40" },
    brief: { type: "boolean", default: false },
  },
});
const threads = Number(options.threads);
const rounds = options.brief ? 5 : Number(options.rounds);

interface LayerCase {
  readonly channels: number;
  readonly size: number;
  readonly splits: number;
  readonly basis: number;
}

const layers: readonly LayerCase[] = [
  { channels: 64, size: 48, splits: 4, basis: 16 },
  { channels: 128, size: 48, splits: 1, basis: 32 },
  { channels: 128, size: 48, splits: 4, basis: 32 },
  { channels: 256, size: 48, splits: 4, basis: 32 },
  { channels: 256, size: 24, splits: 4, basis: 64 },
  { channels: 64, size: 8, splits: 4, basis: 16 },
  { channels: 512, size: 4, splits: 4, basis: 64 },
];

/** Three convolutions of one shape in a row, as layers stand in networks. */
function chain({ channels, size }: LayerCase): Graph {
  const random = new Random(1);
  const weight = () =>
    float32Tensor(
      [channels, channels, 3, 3],
      Float32Array.from({ length: channels * channels * 9 }, () => random.normal() / Math.sqrt(9 * channels)),
    );
  const attributes = { pads: ints([1, 1, 1, 1]) };
  const nodes = [0, 1, 2].flatMap((i) => [
    makeNode("Conv", [i === 0 ? "x" : `r${i - 1}`, `w${i}`], [`y${i}`], attributes, { name: `conv${i}` }),
    makeNode("Relu", [`y${i}`], [`r${i}`]),
  ]);
  return {
    name: "chain",
    nodes,
    initializers: new Map([0, 1, 2].map((i) => [`w${i}`, weight()])),
    inputs: [{ name: "x", tensor: { type: "float32", dims: [1, channels, size, size] } }],
    outputs: [{ name: "r2", tensor: { type: "float32", dims: [1, channels, size, size] } }],
    values: new Map(),
    opsets: new Map([["", 17]]),
    irVersion: 8,
    metadata: new Map(),
  };
}

async function time(
  graphs: readonly Graph[],
  shapes: ReadonlyMap<string, readonly number[]>,
): Promise<readonly number[]> {
  const sessions = [];
  for (const graph of graphs) sessions.push(await openSession(graph, { threads }));
  const feeds = sampleFeeds(sessions[0]!.inputs, { shapes });
  const { medians } = await alternate(
    sessions.map((session) => () => session.run(feeds)),
    { rounds, warmup: 3 },
  );
  for (const session of sessions) await session.release();
  return medians;
}

/** Original, every layout, and the mixture that `--layout auto` takes, alternated in one run. */
async function compare(original: Graph, compressed: Graph, shapes: ReadonlyMap<string, readonly number[]>) {
  const choice = await fastestLayouts(compressed, { threads, inputs: await findInputs(compressed, { shapes }) });
  const written = layouts.map((layout: Layout) => chooseLayouts(() => layout)(compressed).graph);
  const [dense, chosen, ...each] = await time([original, choice.graph, ...written], shapes);
  const macRatio = cost(original, shapes).macs / cost(written[0]!, shapes).macs;
  return {
    original: dense,
    chosen,
    winner: [...new Set(readRecord(choice.graph)?.layers.map(({ layout }) => layout))].join(", "),
    layouts: Object.fromEntries(layouts.map((layout, i) => [layout, each[i]])),
    speedUp: dense! / chosen!,
    macRatio,
    efficiency: dense! / chosen! / macRatio,
  };
}

const rows = [];
for (const layer of options.brief ? layers.slice(2, 4) : layers) {
  const original = chain(layer);
  const { graph } = basis({ splits: layer.splits, basis: layer.basis })(original);
  const row = { ...layer, ...(await compare(original, graph, new Map())) };
  rows.push(row);
  process.stdout.write(
    `${JSON.stringify(layer)}: ${row.speedUp.toFixed(2)} x dense of ${row.macRatio.toFixed(2)} x in MACs (${(100 * row.efficiency).toFixed(0)} %), ${row.winner}\n`,
  );
}

/** EDSR-8-128 without head, upsampler and mean shifts: its 8 residual blocks and the convolution behind them. */
function body(): Graph {
  const whole = edsr({ blocks: 8, width: 128, scale: 4 });
  const first = whole.nodes.findIndex(({ name }) => name.startsWith("body."));
  const last = whole.nodes.findLastIndex(({ name }) => name.startsWith("body."));
  const nodes = whole.nodes.slice(first, last + 1);
  const [input, output] = [nodes[0]!.inputs[0]!, nodes.at(-1)!.outputs[0]!];
  const used = new Set(nodes.flatMap(({ inputs }) => inputs));
  return {
    ...whole,
    nodes,
    initializers: new Map([...whole.initializers].filter(([name]) => used.has(name))),
    inputs: [{ name: input, tensor: { type: "float32", dims: ["N", 128, "H", "W"] } }],
    outputs: [{ name: output, tensor: { type: "float32", dims: ["N", 128, "H", "W"] } }],
    values: new Map(),
  };
}

const original = body();
const shapes = new Map([[original.inputs[0]!.name, [1, 128, 48, 48]]]);
const { graph } = basis({ splits: 4, basis: 32 })(original);
const network = await compare(original, graph, shapes);
process.stdout.write(
  `EDSR-8-128 body, s = 4, m = 32: ${network.speedUp.toFixed(2)} x dense of ${network.macRatio.toFixed(2)} x in MACs (${network.winner})\n`,
);
await writeResult("bench-layouts", `npx tsx bench/layouts.ts ${process.argv.slice(2).join(" ")}`.trim(), {
  unit: "milliseconds, medians of alternated runs",
  threads,
  rounds,
  brief: options.brief,
  layers: rows,
  edsr8x128Body: network,
});

// Reading and writing a model of 200 MB beside copying its file with Node's own fs, alternated, medians of wall time.
// The model is changed between reading and writing, so that nothing is handed through whole, and it is verified both
// times. Run on a quiet machine: npx tsx bench/onnx.ts [--rounds 15] [--megabytes 200] [--folder DIR] [--brief]
import { copyFile, mkdtemp, open, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { writeModelChunks } from "../src/formats/onnx/index.js";
import { float32Tensor, ints, makeNode } from "../src/graph/attributes.js";
import type { Graph } from "../src/graph/types.js";
import { verifyGraph } from "../src/ops/verify/verify.js";
import { loadModel, saveModel } from "../src/runtime/files.js";
import { median } from "../src/runtime/latency.js";
import { writeResult } from "./result.js";

const { values: options } = parseArgs({
  options: {
    rounds: { type: "string", default: "15" },
    megabytes: { type: "string", default: "200" },
    folder: { type: "string", default: tmpdir() },
    brief: { type: "boolean", default: false },
  },
});
const rounds = options.brief ? 3 : Number(options.rounds);

/** Convolutions [256, 256, 3, 3] in a row, each with batch norm's four vectors: 2.4 MB a layer. */
function network(megabytes: number): Graph {
  const layers = Math.ceil((megabytes * 1e6) / (256 * 256 * 9 * 4 + 5 * 1024));
  const initializers = new Map<string, ReturnType<typeof float32Tensor>>();
  const nodes = Array.from({ length: layers }, (_, at) => {
    const weight = Float32Array.from({ length: 256 * 256 * 9 }, (_, index) => Math.fround(Math.sin(index + at)));
    initializers.set(`w${at}`, float32Tensor([256, 256, 3, 3], weight));
    const vectors = ["scale", "bias", "mean", "variance"].map((name) => `${name}${at}`);
    for (const name of vectors) initializers.set(name, float32Tensor([256], new Float32Array(256).fill(1)));
    const input = at === 0 ? "input" : `r${at - 1}`;
    const output = at === layers - 1 ? "output" : `r${at}`;
    return [
      makeNode(
        "Conv",
        [input, `w${at}`],
        [`c${at}`],
        { kernel_shape: ints([3, 3]), pads: ints([1, 1, 1, 1]) },
        { name: `conv${at}` },
      ),
      makeNode("BatchNormalization", [`c${at}`, ...vectors], [`b${at}`], {}, { name: `norm${at}` }),
      makeNode("Relu", [`b${at}`], [output], {}, { name: `relu${at}` }),
    ];
  }).flat();
  const tensor = { type: "float32", dims: ["N", 256, "H", "W"] } as const;
  return {
    name: "network",
    nodes,
    initializers,
    inputs: [{ name: "input", tensor }],
    outputs: [{ name: "output", tensor }],
    values: new Map(),
    opsets: new Map([["", 17]]),
    irVersion: 8,
    metadata: new Map(),
  };
}

/** The same model with every node and constant a new object, as after a pass that touched them all. */
function touched(graph: Graph): Graph {
  return {
    ...graph,
    nodes: graph.nodes.map((node) => ({ ...node })),
    initializers: new Map([...graph.initializers].map(([name, tensor]) => [name, { ...tensor }])),
    metadata: new Map([["touched", "yes"]]),
  };
}

async function sync(path: string): Promise<void> {
  const file = await open(path, "r+");
  await file.sync();
  await file.close();
}

/** Writes without syncing or renaming, as copyFile does. */
async function writePlainly(graph: Graph, path: string): Promise<void> {
  verifyGraph(graph);
  const file = await open(path, "w");
  for (const chunk of writeModelChunks(graph).chunks) await file.write(chunk);
  await file.close();
}

const folder = await mkdtemp(join(options.folder, "filterbasis-bench-"));
try {
  const source = join(folder, "model.onnx");
  await saveModel(network(Number(options.megabytes)), source);
  const { size } = await stat(source);
  const target = (name: string): string => join(folder, `${name}.onnx`);
  const subjects: Record<string, () => Promise<void>> = {
    copy: () => copyFile(source, target("copy")),
    // The same through memory, which is what a program does that looks at the bytes.
    copyThroughMemory: async () => writeFile(target("copyThroughMemory"), await readFile(source)),
    readWrite: async () => writePlainly(touched(await loadModel(source)), target("readWrite")),
    copySynced: async () => {
      await copyFile(source, target("copySynced"));
      await sync(target("copySynced"));
    },
    readWriteSynced: async () => saveModel(touched(await loadModel(source)), target("readWriteSynced")),
    read: async () => void (await loadModel(source)),
  };
  const times = new Map(Object.keys(subjects).map((name): [string, number[]] => [name, []]));
  for (let round = 0; round <= rounds; round++) {
    for (const [name, run] of Object.entries(subjects)) {
      await rm(target(name), { force: true });
      const start = performance.now();
      await run();
      // The first round warms the compiler and the page cache.
      if (round > 0) times.get(name)!.push(performance.now() - start);
    }
  }
  const milliseconds = Object.fromEntries([...times].map(([name, list]) => [name, median(list)]));
  const {
    copy = 0,
    copyThroughMemory = 0,
    readWrite = 1,
    copySynced = 0,
    readWriteSynced = 1,
    read = 1,
  } = milliseconds;
  const ratios = {
    plain: copy / readWrite,
    throughMemory: copyThroughMemory / readWrite,
    synced: copySynced / readWriteSynced,
    readingAlone: copy / read,
  };
  await writeResult("bench-onnx", "npx tsx bench/onnx.ts", {
    what: "Reading, verifying, changing, verifying and writing a model, beside fs.copyFile of its file; throughMemory: readFile and writeFile, synced: with fsync in both",
    rounds,
    bytes: size,
    milliseconds,
    throughputOfCopy: ratios,
    target: "at least 0.5",
  });
  for (const [name, time] of Object.entries(milliseconds))
    console.log(`${name.padEnd(16)} ${time.toFixed(1)} ms, ${(size / time / 1e6).toFixed(2)} GB/s`);
  console.log(
    `throughput as a fraction of copying: ${ratios.plain.toFixed(2)}, through memory ${ratios.throughMemory.toFixed(2)}, with fsync ${ratios.synced.toFixed(2)} (at least 0.5 is wanted)`,
  );
} finally {
  await rm(folder, { recursive: true, force: true });
}

// What is fetched from runs that are timed: little, with everything computed all the same.
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { randomTensor, smallGraph } from "../../test/small-graphs.js";
import { makeNode } from "../graph/attributes.js";
import type { Graph } from "../graph/types.js";
import type { TimedLayer } from "../methods/latencies.js";
import { done, layerGraph } from "./layer-graph.js";
import { openSession } from "./open.js";
import { sampleFeeds } from "./samples.js";
import { timedRun } from "./timed-run.js";

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "filterbasis-timed-run-"));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

/** A large map and its mean over the area; the map is computed behind it too. */
const graph = smallGraph({
  nodes: [
    makeNode("GlobalAveragePool", ["x"], ["mean"]),
    makeNode("Conv", ["x", "W"], ["map"]),
    makeNode("Relu", ["map"], ["y"]),
  ],
  initializers: { W: randomTensor([16, 8, 3, 3], 1) },
  outputs: ["y", "mean"],
});
const shapes = new Map([["x", [1, 8, 32, 32]]]);

/** Operators that were computed in runs with some outputs, by ONNX Runtime's own profile. */
async function computed(model: Graph, sizes: ReadonlyMap<string, readonly number[]>, wanted: readonly string[]) {
  const session = await openSession(model, { runtime: "node", threads: 1, profile: join(folder, "profile") });
  const outputs = await session.run(sampleFeeds(session.inputs, { shapes: sizes }), wanted);
  await session.release();
  expect(Object.keys(outputs)).toEqual(wanted);
  const events = JSON.parse(readFileSync(join(folder, readdirSync(folder)[0]!), "utf8")) as readonly {
    readonly name: string;
    readonly args?: { readonly op_name?: string };
  }[];
  return events.filter(({ name }) => name.endsWith("_kernel_time")).map(({ args }) => args?.op_name);
}

test.each([
  ["node", ["mean"]],
  ["web", ["mean", "y"]], // where a GPU may still compute what is not waited for
] as const)("a timed run on %s hands over %s", async (runtime, names) => {
  const session = await openSession(graph, { runtime, threads: 1 });
  const feeds = sampleFeeds(session.inputs, { shapes });
  const all = await session.run(feeds);
  const run = await timedRun(session, feeds);
  expect(await run()).toEqual(Object.fromEntries(names.map((name) => [name, all[name]])));
  await session.release();
});

test("of a network that is run already the outputs tell", async () => {
  const session = await openSession(graph, { runtime: "node", threads: 1 });
  const feeds = sampleFeeds(session.inputs, { shapes });
  const outputs = await session.run(feeds);
  const spied = vi.spyOn(session, "run");
  const run = await timedRun(session, feeds, outputs);
  expect(spied).not.toHaveBeenCalled();
  await run();
  expect(spied).toHaveBeenCalledExactlyOnceWith(feeds, ["mean"]);
  await session.release();
});

test("what is not handed over is computed", async () => {
  expect(await computed(graph, shapes, ["mean"])).toContain("Conv");
});

const convolution: TimedLayer = {
  input: [1, 16, 24, 24],
  shape: [32, 16, 3, 3],
  attributes: { pads: [1, 1, 1, 1] },
  type: "float32",
  opset: 17,
};

test.each<readonly [string, TimedLayer, string, number]>([
  ["convolution", convolution, "Conv", 3],
  [
    "chain",
    {
      ...convolution,
      chain: [
        { shape: [8, 16, 3, 3], attributes: convolution.attributes },
        { shape: [32, 8, 1, 1], attributes: {} },
      ],
    },
    "Conv",
    4,
  ],
  ["convolution in eight bits", { ...convolution, precision: "int8" }, "QLinearConv", 3],
  ["matrix", { input: [4, 16], shape: [32, 16], attributes: {}, type: "float32", opset: 17 }, "FusedGemm", 1],
])("all of a timed layer is computed: %s", async (_, layer, operator, times) => {
  const operators = await computed(layerGraph(layer), new Map([["x", layer.input]]), [done]);
  expect(operators.filter((one) => one === operator)).toHaveLength(times);
});

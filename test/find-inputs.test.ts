// Every network that is at hand gets inputs with which ONNX Runtime runs it, or an error that names the option to give.
import { spawnSync } from "node:child_process";
import { readdirSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Command } from "../src/cli/frame.js";
import inspect from "../src/cli/inspect.js";
import { FilterBasisError, isError } from "../src/errors/error.js";
import { float, floats, int, ints, makeNode, string } from "../src/graph/attributes.js";
import type { Dim, Graph, Node, Value } from "../src/graph/index.js";
import { chooseInputs, cost, inferShapes } from "../src/ops/index.js";
import { loadModel, saveModel } from "../src/runtime/files.js";
import { findInputs, openSession, sampleFeeds } from "../src/runtime/index.js";
import { noShared, shared } from "./shared.js";
import { multiplesOf, randomTensor, smallGraph } from "./small-graphs.js";

const folders = ["cases", "wild", "data/models"];
const here = folders.every((folder) => shared(folder) !== undefined);
const files = here
  ? folders.flatMap((folder) =>
      readdirSync(shared(folder)!)
        .filter((name) => name.endsWith(".onnx"))
        .map((name) => join(folder, name)),
    )
  : [];

/** The model, or the error that keeps it from being opened: that is another test's business. */
const open = (file: string): Promise<Graph | FilterBasisError> =>
  loadModel(shared(file)!).catch((error: unknown) => {
    if (error instanceof FilterBasisError) return error;
    throw error;
  });

describe.skipIf(!here)(`inputs of real networks${here ? "" : ` (${noShared})`}`, () => {
  it.each(files)("%s", async (file) => {
    const graph = await open(file);
    if (graph instanceof FilterBasisError) return;
    const found = await findInputs(graph).catch((error: unknown) => {
      expect(isError(error, "shape-mismatch", "runtime", "unsupported")).toBe(true);
      expect((error as FilterBasisError).message).toMatch(/--input|--value|refuses the model|has no operator/);
      return undefined;
    });
    if (found === undefined) return;
    const { macs } = cost(graph, found.shapes);
    if (found.guessed) expect(macs).toBeLessThan(5e9);
    if (macs > 5e9) return; // fixed by the file: nothing was decided, and it takes long
    const session = await openSession(graph, { threads: 1 }).catch((error: unknown) => {
      if (isError(error, "runtime", "unsupported")) return undefined; // operators that ONNX Runtime does not have
      throw error;
    });
    await session?.run(sampleFeeds(session.inputs, found));
    await session?.release();
  });

  it("are counted at one size before and after compression, and by every command", async () => {
    for (const name of ["imdn_x2", "rfdn_x4", "vdsr"]) {
      const graph = await loadModel(shared(`data/models/${name}.onnx`)!);
      expect((await findInputs(graph)).shapes).toEqual(cost(graph).inputs);
      const [, , height] = [...cost(graph).inputs.values()][0]!;
      expect(height).toBe(64);
    }
  });

  it("are counted whole where recurrent layers, Crop and ImageScaler stand before convolutions", async () => {
    for (const name of ["candy", "gtcrn", "gtcrn_simple"]) {
      expect([name, cost(await loadModel(shared(`wild/${name}.onnx`)!)).uncounted]).toEqual([name, []]);
    }
  });

  it("have the shapes that ONNX Runtime computes behind GRU layers", async () => {
    const graph = await loadModel(shared("wild/gtcrn.onnx")!);
    await expectShapes(graph, (node) => node.op === "GRU");
  });
});

it("what recurrent layers, Crop and ImageScaler make has the shape that ONNX Runtime computes", async () => {
  const recurrent = (op: string, gates: number, direction: string, layout: number) => {
    const [hidden, directions] = [5, direction === "bidirectional" ? 2 : 1];
    const initializers = {
      w: randomTensor([directions, gates * hidden, 4], 1),
      r: randomTensor([directions, gates * hidden, hidden], 2),
    };
    const outputs = ["all", "last", ...(op === "LSTM" ? ["cell"] : [])];
    const attributes = {
      hidden_size: int(hidden),
      direction: string(direction),
      ...(layout ? { layout: int(1) } : {}),
    };
    const nodes = [makeNode(op, ["x", "w", "r"], outputs, attributes), makeNode("Identity", ["last"], ["y"])];
    return smallGraph({ nodes, initializers, inputs: [port("x", ["A", "B", "F"])], outputs: ["y"] });
  };
  for (const [op, gates] of [
    ["RNN", 1],
    ["GRU", 3],
    ["LSTM", 4],
  ] as const) {
    await expectShapes(recurrent(op, gates, "forward", 0), (node) => node.op === op);
    await expectShapes(recurrent(op, gates, "bidirectional", 0), (node) => node.op === op);
  }
  const scaled = makeNode("ImageScaler", ["x"], ["s"], { scale: float(0.5), bias: floats([1, 2, 3]) });
  for (const attributes of [{ border: ints([1, 2, 3, 4]) }, { border: ints([1, 2, 0, 0]), scale: ints([7, 9]) }]) {
    const nodes = [scaled, makeNode("Crop", ["s"], ["c"], attributes), makeNode("Identity", ["c"], ["y"])];
    const graph = smallGraph({
      nodes,
      initializers: {},
      inputs: [port("x", [1, 3, 20, 30])],
      outputs: ["y"],
      opset: 7,
    });
    await expectShapes(graph, ({ op }) => op === "Crop" || op === "ImageScaler");
  }
});

const port = (name: string, dims: readonly Dim[]): Value => ({ name, tensor: { type: "float32", dims } });

/** Compares what is inferred of the outputs of some nodes with what they are. */
async function expectShapes(graph: Graph, of: (node: Node) => boolean) {
  const found = await findInputs(graph);
  const types = inferShapes(graph, found.shapes);
  const watched = graph.nodes.filter(of).flatMap(({ outputs }) => outputs.filter((output) => output !== ""));
  const added = watched.filter((output) => !graph.outputs.some(({ name }) => name === output));
  const outputs = [...graph.outputs, ...added.map((name): Value => ({ name, tensor: { type: "float32" } }))];
  const session = await openSession({ ...graph, outputs }, { threads: 1 });
  const made = await session.run(sampleFeeds(session.inputs, found));
  await session.release();
  expect(watched.length).toBeGreaterThan(0);
  for (const output of watched) expect([output, types.get(output)!.dims]).toEqual([output, made[output]!.dims]);
}

async function run(command: Command, ...words: string[]) {
  const text = { stdout: "", stderr: "" };
  const stream = (name: keyof typeof text) => ({
    isTTY: false,
    columns: 80,
    write: (part: string) => void (text[name] += part),
  });
  const io = { stdout: stream("stdout"), stderr: stream("stderr"), signal: new AbortController().signal };
  const code = await command.run(words, io as never);
  return { code, ...text, json: () => JSON.parse(text.stdout) };
}

describe.skipIf(!here)(`inspect on free sizes${here ? "" : ` (${noShared})`}`, () => {
  const file = (name: string) => shared(`cases/${name}.onnx`)!;

  it("prints the sizes that it counts at, and why", async () => {
    const { stdout, code } = await run(inspect, file("unet_dyn32"));
    expect(code).toBe(0);
    expect(stdout).toContain("sizes: x = 1x3x224x224 (free in the model; state others with --input)");
    const report = (await run(inspect, file("unet_dyn32"), "--json")).json();
    expect(report).toMatchObject({ guessed: true, countedAt: { x: [1, 3, 224, 224] } });
    expect(report.inputs).toEqual([{ name: "x", type: "float32", shape: ["n", 3, "h", "w"], used: [1, 3, 224, 224] }]);
    const stated = (await run(inspect, file("unet_dyn32"), "--json", "--input", "1x3x64x96")).json();
    expect(stated).toMatchObject({ guessed: false, chosen: [], countedAt: { x: [1, 3, 64, 96] } });
  });

  it("refuses sizes that the network refuses, and names some that it takes", async () => {
    const { code, stderr } = await run(inspect, file("unet_dyn32"), "--input", "1x3x50x50");
    expect(code).toBe(1);
    expect(stderr).toMatch(/error shape-mismatch: .*--input/);
    expect(stderr).toMatch(/--input x=1x3x224x224/);
  });

  it("gives a state the batch of the image", async () => {
    expect((await run(inspect, file("state_axis1"), "--json")).json().countedAt).toEqual({
      x: [1, 8, 128],
      h0: [1, 1, 16],
    });
    const two = (await run(inspect, file("state_axis1"), "--json", "--input", "x=2x8x40")).json();
    expect(two.countedAt).toEqual({ x: [2, 8, 40], h0: [1, 2, 16] });
    const contradiction = await run(
      inspect,
      file("state_axis1"),
      "--input",
      "x=2x8x40",
      "--input",
      "h0=1x3x16",
      "--json",
    );
    expect([contradiction.code, contradiction.json().error.code]).toEqual([1, "shape-mismatch"]);
  });

  it("takes the shape of an input of unknown rank, and asks for it", async () => {
    const asked = await run(inspect, file("dyn_norank"));
    expect(asked.code).toBe(1);
    expect(asked.stderr).toMatch(/--input x=1x3x224x224/);
    const { code, json } = await run(inspect, file("dyn_norank"), "--json", "--input", "x=1x3x32x32");
    expect(code).toBe(0);
    expect(json()).toMatchObject({ macs: 12_681_216, uncounted: [], countedAt: { x: [1, 3, 32, 32] } });
  });

  it("counts a model that cannot be run here as far as its shapes tell", async () => {
    const quantised = shared("wild/espcn_nnresize_quant.onnx")!;
    expect((await run(inspect, quantised)).stdout).toMatch(/0 MACs at .*\(without Conv_10, .*: sizes unknown\)/);
    const graph = await loadModel(quantised);
    expect(chooseInputs(graph).guessed).toBe(false);
  });
});

describe("inspect on models made here", () => {
  let folder: string;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "filterbasis-"));
  });
  afterAll(() => rm(folder, { recursive: true }));

  const saved = async (name: string, graph: Graph): Promise<string> => {
    await saveModel(graph, join(folder, name));
    return join(folder, name);
  };

  it("takes --value, says what is assumed without it, and refuses what is wrong", async () => {
    const nodes = [
      makeNode("Reshape", ["x", "rows"], ["r"], { allowzero: int(1) }),
      makeNode("MatMul", ["r", "w"], ["y"]),
    ];
    const rows: Value = { name: "rows", tensor: { type: "int64", dims: [2] } };
    const inputs = [port("x", ["N", "T"]), rows];
    const file = await saved(
      "rows.onnx",
      smallGraph({ nodes, initializers: { w: randomTensor([8, 3], 1) }, inputs, outputs: ["y"] }),
    );
    const { code, stdout } = await run(inspect, file, "--input", "x=2x16", "--value", "rows=4,8");
    expect([code, stdout.includes("--value")]).toEqual([0, false]);
    expect((await run(inspect, file, "--input", "x=2x16")).stderr).toMatch(/values with --value .*\n.*--value rows=1/); // drawn ones do not do
    const wrong = async (...words: string[]) => (await run(inspect, file, "--json", ...words)).json().error;
    expect(await wrong("--value", "rows=4")).toMatchObject({ code: "shape-mismatch", tensor: "rows" });
    expect(await wrong("--value", "rows=a,b")).toMatchObject({ code: "usage" });
    expect(await wrong("--value", "other=1")).toMatchObject({ code: "usage" });
  });

  it("leaves nothing of ONNX Runtime's own words on the terminal when it refuses sizes", async () => {
    const file = await saved("multiples.onnx", multiplesOf(64));
    const program = ["--import", "tsx", fileURLToPath(new URL("../src/cli/main.ts", import.meta.url))];
    const { status, stdout, stderr } = spawnSync(process.execPath, [...program, "inspect", file], { encoding: "utf8" });
    expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
    expect(stdout).toContain(
      "sizes: x = 1x3x64x64 (free in the model, 1x3x224x224 refused; state others with --input)",
    );
  });

  it("does not run what takes long only to count it", async () => {
    const nodes = [makeNode("Conv", ["x", "w"], ["y"], { pads: ints([1, 1, 1, 1]) })];
    const graph = smallGraph({ nodes, initializers: { w: randomTensor([64, 64, 3, 3], 1) }, outputs: ["y"] });
    const { stdout } = await run(inspect, await saved("large.onnx", graph), "--input", "1x64x2048x2048");
    expect(stdout).toMatch(/154,618,822,656 MACs at x 1x64x2048x2048/);
    expect(stdout).toMatch(/not tried in ONNX Runtime: a run at these sizes takes long/);
  });
});

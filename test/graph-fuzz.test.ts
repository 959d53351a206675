// Random networks through everything that rewrites one: what ONNX Runtime opens is opened; folding, export and undo
// change no output; a budget is kept or refused with a typed error. A failure names the seed: FILTERBASIS_SEED=N
// FILTERBASIS_GRAPHS=1 draws it alone.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import compress from "../src/cli/compress.js";
import exportModel from "../src/cli/export.js";
import type { Command } from "../src/cli/frame.js";
import { type ErrorCode, isError } from "../src/errors/error.js";
import { readModel, writeModel } from "../src/formats/onnx/index.js";
import type { Graph, Pass, TensorData } from "../src/graph/types.js";
import { numbers, tensorOf } from "../src/graph/values.js";
import { basis } from "../src/methods/basis.js";
import { expand } from "../src/methods/expand.js";
import { findLayers } from "../src/methods/layers.js";
import { readRecord } from "../src/methods/record.js";
import { cost } from "../src/ops/cost/cost.js";
import { verifyGraph } from "../src/ops/verify/verify.js";
import { foldBatchNorm } from "../src/passes/fold-batch-norm.js";
import { foldConstants } from "../src/passes/fold-constants.js";
import { halfWeights, roundedToHalf } from "../src/passes/half-weights.js";
import { removeDeadNodes } from "../src/passes/remove-unread.js";
import { sequence } from "../src/passes/sequence.js";
import { loadModel } from "../src/runtime/files.js";
import { writeAside } from "../src/runtime/write.js";
import { differences, type Expected, expectedOf, feedsOf, run } from "./graph-runs.js";
import { type DrawnGraph, drawGraph } from "./random-graphs.js";

const count = Number(process.env.FILTERBASIS_GRAPHS ?? 25);
const first = Number(process.env.FILTERBASIS_SEED ?? 1);
const seeds = Array.from({ length: count }, (_, index) => first + index);
/** Commands measure layouts, which takes seconds: they get every so many graphs. */
const everyCommand = 25;

/** How a network is declined in which there is nothing to compress. */
const nothing: readonly ErrorCode[] = ["unsupported", "not-found"];

interface Case extends DrawnGraph {
  readonly seed: number;
  readonly bytes: Uint8Array;
  readonly expected: Expected;
}

/** The first network of a row of seeds that ONNX Runtime runs: not every draw is a model. */
async function drawn(start: number): Promise<Case> {
  for (let attempt = 0; attempt < 20; attempt++) {
    const seed = start + 1_000_000 * attempt;
    const { graph, shapes, half } = drawGraph(seed);
    const bytes = writeModel(graph);
    try {
      return { seed, graph, shapes, half, bytes, expected: await expectedOf(bytes, feedsOf(shapes, seed), half) };
    } catch {
      // drawn again
    }
  }
  throw new Error(`no network that ONNX Runtime runs from seed ${start}`);
}

/** Checks, writes and runs a rewritten network: what is wrong with its outputs. */
async function wrong(graph: Graph, expected: Expected): Promise<readonly string[]> {
  verifyGraph(graph);
  const bytes = writeModel(graph);
  readModel(bytes);
  return differences(await run(bytes, expected.feeds), expected);
}

/** What an action gives, or undefined where it declines with one of the codes. Any other error fails, with the seed. */
function unless<T>(codes: readonly ErrorCode[], action: () => T): T | undefined {
  try {
    return action();
  } catch (error) {
    if (isError(error, ...codes)) return undefined;
    throw error;
  }
}

const exact: Readonly<Record<string, Pass>> = {
  "fold-bn": foldBatchNorm,
  "fold-constants": sequence(foldConstants(), removeDeadNodes),
  "fold-bn and constants": sequence(foldBatchNorm, foldConstants(), removeDeadNodes),
};

describe("random networks", () => {
  test.each(seeds)(
    "%i: folding, half weights and undo change no output; budgets are kept",
    { timeout: 60_000 },
    async (start) => {
      const { seed, bytes, shapes, expected } = await drawn(start);
      const told = (what: string) => `seed ${seed}, ${what}`;
      const graph = readModel(bytes);
      verifyGraph(graph);
      expect(await wrong(graph, expected), told("read and written")).toEqual([]);
      for (const [name, pass] of Object.entries(exact))
        expect(await wrong(pass(graph).graph, expected), told(name)).toEqual([]);

      const folded = foldBatchNorm(graph).graph;
      expect(cost(folded, shapes).weights, told("weights of fold-bn")).toBeLessThanOrEqual(cost(graph, shapes).weights);
      const half = await expectedOf(writeModel(roundedToHalf(folded)), expected.feeds, expected.half);
      expect(await wrong(halfWeights(folded).graph, half), told("half weights")).toEqual([]);

      for (const base of [graph, folded]) {
        expect(await undoFaults(base, shapes, expected), told("undo")).toEqual([]);
        expect(await budgetFaults(base, shapes, expected), told("budgets")).toEqual([]);
      }
    },
  );

  test("a weight that is 2 % off does not pass", async () => {
    let noticed = 0;
    for (let start = 1; start <= 10; start++) {
      const { graph, expected } = await drawn(start);
      const largest = [...graph.initializers].filter(([, { type, dims }]) => type === "float32" && dims.length > 1);
      const [name, tensor] = largest[0] ?? [];
      if (name === undefined || tensor === undefined) continue;
      const spoilt = { ...graph, initializers: new Map([...graph.initializers, [name, scaled(tensor, 1.02)]]) };
      if (differences(await run(writeModel(spoilt), expected.feeds), expected).length > 0) noticed++;
    }
    expect(noticed).toBeGreaterThan(5);
  });
});

const scaled = ({ type, dims, ...rest }: TensorData, by: number): TensorData =>
  tensorOf(
    type,
    dims,
    numbers({ type, dims, ...rest }).map((value) => value * by),
  );

/** Compressed at full rank and at rank 1, then expanded. */
async function undoFaults(graph: Graph, inputs: Case["shapes"], expected: Expected): Promise<readonly string[]> {
  const layers = unless(nothing, () => findLayers(graph).layers) ?? [];
  const ranks = layers.map(({ name, outChannels, inChannels, kernelElements }) => [
    name,
    { splits: 1, basis: Math.min(outChannels, inChannels * kernelElements) },
  ]);
  const plans = {
    full: { layers: Object.fromEntries(ranks), skip: ranks.length === 0 ? ["*"] : [] },
    one: { basis: 1 },
  };
  const faults: string[] = [];
  const rounded = storesHalf(graph);
  for (const [name, plan] of Object.entries(plans)) {
    const compressed = unless([...nothing, "invalid-plan"], () => basis({ ...plan, inputs })(graph).graph);
    const layers = compressed === undefined ? [] : (readRecord(compressed)?.layers ?? []);
    if (compressed === undefined || layers.length === 0) continue;
    const compressedBytes = writeModel(compressed);
    const made = await expectedOf(compressedBytes, expected.feeds, expected.half, rounded);
    const undone = expand(readModel(compressedBytes)).graph;
    faults.push(...(await wrong(undone, made)).map((fault) => `${name}, from the compressed: ${fault}`));
    const isFull = layers.every(
      ({ basisSize, shape: [n = 0, c = 0, ...kernel], splits }) =>
        basisSize >= Math.min(n * splits, (c / splits) * kernel.reduce((product, size) => product * size, 1)),
    );
    const original = await expectedOf(writeModel(graph), expected.feeds, expected.half, rounded);
    if (isFull) faults.push(...(await wrong(undone, original)).map((fault) => `${name}, from the original: ${fault}`));
  }
  return faults;
}

/** A basis made from weights that are stored in half precision is stored so too. */
const storesHalf = (graph: Graph): boolean =>
  [...graph.initializers.values()].some(({ type, dims }) => type === "float16" && dims.length > 1);

/** Budgets in weights and MACs: what was made keeps them, runs, and computes what its dense filters compute. */
async function budgetFaults(graph: Graph, shapes: Case["shapes"], expected: Expected): Promise<readonly string[]> {
  const before = cost(graph, shapes);
  const faults: string[] = [];
  for (const keep of [0.5, 0.8]) {
    for (const [key, options] of [
      ["weights", { keepParams: keep }],
      ["macs", { keepMacs: keep }],
    ] as const) {
      const made = unless(["budget-unreachable", ...nothing], () => basis({ ...options, inputs: shapes })(graph).graph);
      if (made === undefined) continue;
      const kept = cost(made, shapes)[key] / before[key];
      if (!(kept <= keep + 1e-9)) faults.push(`${kept} of the ${key} where ${keep} was asked for`);
      if (readRecord(made) === undefined) continue;
      const dense = await expectedOf(writeModel(expand(made).graph), expected.feeds, expected.half, storesHalf(graph));
      faults.push(...(await wrong(made, dense)).map((fault) => `${key} ${keep}: ${fault}`));
    }
  }
  return faults;
}

describe("commands on random networks", () => {
  let folder = "";
  const cache = process.env.FILTERBASIS_CACHE;
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), "filterbasis-fuzz-"));
    process.env.FILTERBASIS_CACHE = join(folder, "cache");
  });
  afterAll(() => {
    rmSync(folder, { recursive: true, force: true });
    if (cache === undefined) delete process.env.FILTERBASIS_CACHE;
    else process.env.FILTERBASIS_CACHE = cache;
  });

  async function ask(command: Command, ...raw: string[]) {
    let stdout = "";
    const io = {
      stdout: { write: (text: string) => void (stdout += text) },
      stderr: { write: () => undefined },
      signal: new AbortController().signal,
    };
    const code = await command.run([...raw, "--json"], io);
    return { code, json: JSON.parse(stdout) };
  }

  test.each(seeds.filter((seed) => (seed - first) % everyCommand === 0))(
    "%i: compress keeps its budget or gives a typed error; export computes the same",
    { timeout: 120_000 },
    async (start) => {
      const { seed, bytes, shapes, expected } = await drawn(start);
      const [model, out] = [join(folder, `${seed}.onnx`), join(folder, `${seed}-out.onnx`)];
      await writeAside(model, bytes);
      const sizes = [...shapes].flatMap(([name, dims]) => ["--input", `${name}=${dims.join("x")}`]);
      const before = cost(await loadModel(model), shapes);
      for (const [key, option] of [
        ["weights", "--keep-params"],
        ["macs", "--keep-macs"],
      ] as const) {
        const { code, json } = await ask(compress, model, "-o", out, option, "0.6", "--threads", "1", ...sizes);
        if (code !== 0)
          expect(["budget-unreachable", "does-not-pay", ...nothing], `seed ${seed}: ${JSON.stringify(json)}`).toContain(
            json.error.code,
          );
        else
          expect(cost(await loadModel(out), shapes)[key] / before[key], `seed ${seed}, ${key}`).toBeLessThanOrEqual(
            0.6 + 1e-9,
          );
      }
      const { code, json } = await ask(exportModel, model, "-o", out, "--fold-bn", "--threads", "1", ...sizes);
      expect(code, `seed ${seed}: ${JSON.stringify(json)}`).toBe(0);
      expect(await wrong(await loadModel(out), expected), `seed ${seed}, export`).toEqual([]);
    },
  );
});

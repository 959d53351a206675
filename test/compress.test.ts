// Compressing whole networks: what is found, planned, written, counted and undone. ONNX Runtime evaluates.
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { reconstruct } from "../src/basis/initialise.js";
import { layouts } from "../src/basis/layouts.js";
import { readModel, writeModel } from "../src/formats/onnx/index.js";
import { elements } from "../src/graph/attributes.js";
import { printGraph } from "../src/graph/print.js";
import type { Graph } from "../src/graph/types.js";
import { floats, numbers, tensorOf } from "../src/graph/values.js";
import { applyPlan, basis } from "../src/methods/basis.js";
import { lowerHull, solveBudget } from "../src/methods/budget.js";
import { expand } from "../src/methods/expand.js";
import { findLayers } from "../src/methods/layers.js";
import { chooseLayout, chooseLayouts } from "../src/methods/layout.js";
import { methodPass, weightMethods } from "../src/methods/methods.js";
import { planCompression } from "../src/methods/plan.js";
import { readRecord, recordKey } from "../src/methods/record.js";
import { sharingSets } from "../src/methods/sharing.js";
import { densenet } from "../src/nets/densenet.js";
import { edsr } from "../src/nets/edsr.js";
import { resnet } from "../src/nets/resnet.js";
import { cost } from "../src/ops/cost/cost.js";
import { verifyGraph } from "../src/ops/verify/verify.js";
import { foldBatchNorm } from "../src/passes/fold-batch-norm.js";
import { lowerBasisConv } from "../src/passes/lower-basis-conv.js";
import { loadModel } from "../src/runtime/files.js";
import { compareOutputs, openSession, sampleFeeds } from "../src/runtime/index.js";
import { noShared, shared } from "./shared.js";
import { oneConv } from "./small-graphs.js";

const small = () => foldBatchNorm(resnet(8)).graph;
const smallSr = () => edsr({ blocks: 2, width: 16, scale: 2 });

/** The largest difference of the outputs, of the largest output, on random input. */
async function difference(graph: Graph, reference: Graph): Promise<number> {
  const [a, b] = [await openSession(graph, { threads: 1 }), await openSession(reference, { threads: 1 })];
  try {
    const feeds = sampleFeeds(b.inputs, { batch: 2, side: 20, range: [-1, 1] });
    return compareOutputs(await a.run(feeds), await b.run(feeds)).relative;
  } finally {
    await a.release();
    await b.release();
  }
}

/** Sizes of the sharing sets, in order. */
const sets = (graph: Graph, share: "block" | "group" | "network") =>
  sharingSets(graph, findLayers(graph).layers, share).map(({ layers }) => layers.map(({ name }) => name));

describe("layers that may share are found from the graph", () => {
  const perGroup = (groups: readonly (readonly string[])[]) => groups.map((names) => names.length);

  test("ResNet-56 has three groups; a boundary convolution belongs to the group that it reads from", () => {
    const groups = sets(resnet(56), "group");
    expect(perGroup(groups)).toEqual([19, 18, 17]);
  });

  const file = shared("data/models/resnet56.onnx");
  test.skipIf(file === undefined)(`so has one that was exported elsewhere (else: ${noShared})`, async () => {
    const graph = await loadModel(file!);
    expect(perGroup(sets(graph, "group"))).toEqual([19, 18, 17]);
    const { layers } = findLayers(graph);
    expect(layers).toHaveLength(55); // the stem shares with none
    const { groups, skipped } = planCompression(graph, { share: "group", splits: 1, basis: 16 });
    expect(groups.map(({ group }) => group.layers.length)).toEqual([19, 18, 17]);
    expect(groups.every(({ group }) => group.shared)).toBe(true);
    expect(skipped.map(({ name }) => name)).toEqual(["/linear/Gemm", "/conv1/Conv"]);
  });

  test("the two convolutions of each residual block of EDSR share, and the long skip is no block", () => {
    expect(sets(smallSr(), "block")).toEqual([
      ["body.0.body.0", "body.0.body.2"],
      ["body.1.body.0", "body.1.body.2"],
    ]);
  });

  test("a whole network shares what has one kernel, but for the layers that read the image", () => {
    const names = sets(resnet(8), "network").flat();
    expect(names).toHaveLength(6);
    expect(sets(densenet({ depth: 10 }), "network")[0]).toHaveLength(6);
  });
});

describe("plans", () => {
  test("are what the compressed graph then costs, to the last weight and multiply-accumulate", () => {
    const graph = smallSr();
    for (const options of [
      { keepParams: 0.5 },
      { keepMacs: 0.5 },
      { basis: 5 },
      { basis: 4, splits: 2, share: "block" as const },
    ]) {
      const plan = planCompression(graph, options);
      const { graph: compressed } = applyPlan(graph, plan, { layout: "batch-folded" });
      const { weights, macs } = cost(compressed);
      expect({ weights, macs }).toEqual(plan.after);
      expect(plan.before).toEqual({ weights: cost(graph).weights, macs: cost(graph).macs });
    }
  });

  test("hold the budget closely, in weights and in multiply-accumulates, or say the least that can be reached", () => {
    fc.assert(
      fc.property(fc.double({ min: 0.02, max: 1, noNaN: true }), fc.boolean(), (keep, inMacs) => {
        const graph = smallSr();
        const before = cost(graph);
        try {
          const { after } = planCompression(graph, inMacs ? { keepMacs: keep } : { keepParams: keep });
          const reached = inMacs ? after.macs / before.macs : after.weights / before.weights;
          expect(reached).toBeLessThanOrEqual(keep);
          expect(reached).toBeGreaterThan(keep - 0.02);
        } catch (error) {
          expect(error).toMatchObject({
            code: "budget-unreachable",
            message: expect.stringContaining("least reachable is 0."),
          });
          expect(keep).toBeLessThan(inMacs ? 0.3 : 0.12);
        }
      }),
      { numRuns: 25, seed: 3 },
    );
  });

  test("name a budget that can be met where the one asked for cannot", () => {
    const least = (keep: number) => {
      try {
        planCompression(smallSr(), { keepParams: keep });
        return undefined;
      } catch (error) {
        return Number((error as { expected: string }).expected.split(" ").at(-1));
      }
    };
    const named = least(0.001)!;
    expect(named).toBeGreaterThan(0.001);
    expect(least(named)).toBeUndefined();
  });

  test("keep everything when everything may be kept", () => {
    const { groups, skipped, after, before } = planCompression(smallSr(), { keepParams: 1 });
    expect(groups).toEqual([]);
    expect(after).toEqual(before);
    expect(skipped.length).toBeGreaterThan(5);
  });

  test("obey splits and basis sizes that are given, also where a layer grows, and say so", () => {
    const graph = oneConv({ outChannels: 4, inChannels: 4, kernel: [3, 3] });
    const { outcomes } = basis({ splits: 2, basis: 8 })(graph);
    expect(outcomes).toMatchObject([{ layer: "conv", applied: true }]);
    expect(outcomes[0]!.reason).toMatch(/^2 splits, 8 basis filters, 144 -> 208 weights; warning: it grows/);
  });

  test("refuse a layer in which no basis would save anything", () => {
    const graph = oneConv({ outChannels: 1, inChannels: 1, kernel: [1, 1] });
    expect(planCompression(graph, { keepParams: 1 }).skipped).toEqual([
      { name: "conv", reason: "no basis would save any of its 1 weights" },
    ]);
  });

  test("move splits that do not divide the channels and say so in the outcome", () => {
    const { outcomes } = basis({ splits: 5, basis: 3 })(oneConv({ outChannels: 8, inChannels: 16, kernel: [3, 3] }));
    expect(outcomes[0]!.reason).toContain("4 splits instead of 5, the nearest divisor of its 16 input channels");
  });

  test("take patterns: only, skip, sizes of their own, and sets that share by name", () => {
    const graph = smallSr();
    const named = planCompression(graph, {
      only: ["body.*"],
      skip: ["*.1.body.2"],
      basis: 4,
      layers: { "body.0.body.0": { splits: 4, basis: 6 } },
      shareNamed: { mine: ["body.1.body.0", "body.2"] },
    });
    expect(named.groups.map(({ group, choice }) => [group.name, group.layers.length, choice.basisSize])).toEqual([
      ["body.0.body.0", 1, 6],
      ["body.0.body.2", 1, 4],
      ["mine", 2, 4],
    ]);
    expect(named.skipped).toContainEqual({ name: "body.1.body.2", reason: "it was asked to be skipped" });
    expect(named.skipped).toContainEqual({ name: "head.0", reason: "it is not among the layers asked for" });
    expect(() => planCompression(graph, { shareNamed: { mine: ["nothing"] } })).toThrow(
      expect.objectContaining({ code: "not-found" }),
    );
  });

  test.each([
    ["a budget of nothing", { keepParams: 0 }, "usage"],
    ["a budget of more than everything", { keepParams: 1.5 }, "usage"],
    ["two budgets", { keepParams: 0.5, keepMacs: 0.5 }, "usage"],
    ["a basis beyond full rank", { basis: 1000 }, "invalid-plan"],
    ["a basis of nothing", { basis: 0 }, "invalid-plan"],
    ["splits that are no number of splits", { splits: -2, basis: 2 }, "invalid-plan"],
  ])("refuse %s", (_, options, code) => {
    expect(() => planCompression(smallSr(), options)).toThrow(expect.objectContaining({ code }));
  });

  test("the hull and the walk along it lose least for each weight saved", () => {
    const option = (cost: number, loss: number) => ({
      cost,
      loss,
      choice: cost < 100 ? { channels: 1, basisSize: cost } : undefined,
    });
    const steep = [option(100, 0), option(50, 10), option(20, 30)];
    const flat = [option(100, 0), option(60, 5), option(50, 1), option(20, 2)];
    expect(lowerHull(flat).map(({ cost }) => cost)).toEqual([20, 50, 100]);
    const solved = solveBudget([steep, flat], { fixed: 0, original: 200, keep: 0.6, option: "keep-params" });
    expect(solved.chosen.map(({ cost }) => cost)).toEqual([100, 20]);
  });
});

describe("compressed networks", () => {
  test("at full rank give the original outputs to 1e-5 of the largest, in every layout", async () => {
    const graph = oneConv({ outChannels: 6, inChannels: 8, kernel: [3, 3] });
    for (const splits of [1, 2, 4, 8]) {
      const full = Math.min(6 * splits, (8 / splits) * 9);
      for (const layout of layouts)
        expect(await difference(basis({ splits, basis: full, layout })(graph).graph, graph)).toBeLessThan(1e-5);
    }
    const original = small();
    const stages = {
      "features.0*": { splits: 1, basis: 16 },
      "features.1*": { splits: 1, basis: 16 },
      "features.2.0.body.0": { splits: 1, basis: 32 },
    };
    const rest = {
      "features.2*": { splits: 1, basis: 32 },
      "features.3.0.body.0": { splits: 1, basis: 64 },
      "features.3*": { splits: 1, basis: 64 },
    };
    expect(await difference(basis({ layers: { ...stages, ...rest } })(original).graph, original)).toBeLessThan(1e-5);
  });

  test("are whole graphs, come back from bytes with their record, and refuse to be compressed twice", async () => {
    const { graph } = basis({ basis: 8 })(small());
    verifyGraph(graph);
    const back = readModel(writeModel(graph));
    expect(readRecord(back)).toEqual(readRecord(graph));
    expect(readRecord(back)!.layers.length).toBeGreaterThan(2);
    const { skipped } = findLayers(back);
    const compressed = skipped.filter(({ reason }) => reason.startsWith("it is compressed already"));
    expect(compressed).toHaveLength(readRecord(back)!.layers.length);
  });

  test.each(layouts)("in layout %s expand to the truncated original", async (layout) => {
    const original = smallSr();
    const { graph } = basis({ keepParams: 0.4, layout })(original);
    const dense = expand(graph).graph;
    expect(dense.metadata.has(recordKey)).toBe(false);
    expect(printGraph(dense)).toBe(
      printGraph({
        ...original,
        initializers: new Map([...dense.initializers.keys()].map((name) => [name, original.initializers.get(name)!])),
      }),
    );
    expect(new Set(dense.initializers.keys())).toEqual(new Set(original.initializers.keys()));
    for (const layer of readRecord(graph)!.layers) {
      const [a, b] = [graph.initializers.get(layer.coefficients)!, graph.initializers.get(layer.basis)!];
      const filters = floats(dense.initializers.get(layer.weight)!);
      const expected = Float32Array.from(reconstruct(numbers(b), numbers(a), layer.basisSize));
      expect(filters).toEqual(expected);
      const whole = floats(original.initializers.get(layer.weight)!);
      const lost = Math.sqrt(
        whole.reduce((sum, value, i) => sum + (value - filters[i]!) ** 2, 0) /
          whole.reduce((sum, value) => sum + value * value, 0),
      );
      expect(lost).toBeCloseTo(layer.error!, 5);
    }
    expect(await difference(graph, dense)).toBeLessThan(1e-4);
  });

  test("can be rewritten from any layout to any other, and each is as if written so at once", async () => {
    const original = smallSr();
    const direct = new Map(layouts.map((layout) => [layout, basis({ basis: 6, splits: 2, layout })(original).graph]));
    for (const from of layouts) {
      for (const to of layouts) {
        const changed = chooseLayouts(() => to)(direct.get(from)!).graph;
        verifyGraph(changed);
        expect(printGraph(changed).replaceAll(/_\d+\b/g, "")).toBe(
          printGraph(direct.get(to)!).replaceAll(/_\d+\b/g, ""),
        );
        expect(readRecord(changed)).toEqual(readRecord(direct.get(to)!));
      }
    }
    const one = chooseLayout(direct.get("dense")!, "body.2", "grouped");
    expect(readRecord(one)!.layers.filter(({ layout }) => layout === "grouped")).toHaveLength(1);
    expect(await difference(one, original)).toBeGreaterThan(1e-3); // it is truncated,
    expect(await difference(one, direct.get("dense")!)).toBeLessThan(1e-4); // and the same as before
    expect(() => chooseLayout(one, "nothing", "dense")).toThrow(expect.objectContaining({ code: "not-found" }));
  });

  test("with a basis for each block, group or the network compute what their filters say, and expand", async () => {
    for (const [graph, share, slice] of [
      [smallSr(), "block", undefined],
      [small(), "group", undefined],
      [small(), "network", undefined],
      [densenet({ depth: 10 }), "network", "first"],
      [densenet({ depth: 10 }), "network", "last"],
    ] as const) {
      const options = { share, basis: 6, ...(slice ? { slice } : {}) };
      const { graph: compressed } = basis(options)(graph);
      const record = readRecord(compressed)!;
      expect(new Set(record.layers.map((layer) => layer.basis)).size).toBeLessThan(record.layers.length);
      if (slice) expect(record.layers.some((layer) => layer.slice !== undefined)).toBe(true);
      for (const layout of layouts) {
        const formed = chooseLayouts(() => layout)(compressed).graph;
        expect(await difference(formed, expand(formed).graph)).toBeLessThan(1e-4);
      }
    }
  });

  test("stay themselves when batch norm is folded into them afterwards, and expand still", async () => {
    const { graph } = basis({ keepParams: 0.6 })(resnet(8));
    const folded = foldBatchNorm(graph).graph;
    expect(folded.nodes.some(({ op }) => op === "BatchNormalization")).toBe(false);
    expect(await difference(folded, graph)).toBeLessThan(1e-5);
    const dense = expand(folded).graph;
    expect(readRecord(dense)).toBeUndefined();
    expect(await difference(dense, graph)).toBeLessThan(1e-4);
  });

  test("count each shared basis once", () => {
    const { graph } = basis({ basis: 4, splits: 2, share: "block" })(smallSr());
    const record = readRecord(graph)!;
    const names = new Set(record.layers.flatMap((layer) => [layer.basis, layer.coefficients]));
    const counted = [...names].reduce((sum, name) => sum + elements(graph.initializers.get(name)!.dims), 0);
    const kept = cost(smallSr()).layers.filter(({ node }) => !record.layers.some(({ name }) => name === node));
    expect(cost(graph).weights).toBe(counted + kept.reduce((sum, layer) => sum + layer.weights, 0));
  });

  test.each(weightMethods)("method %s keeps a budget and is named in the record", (method) => {
    const graph = smallSr();
    const { graph: compressed } = methodPass(method, { keepParams: 0.7 })(graph);
    const record = readRecord(compressed)!;
    expect(record.method).toBe(method);
    for (const { splits, shape } of record.layers)
      if (method !== "basis") expect(splits).toBe(method === "channel-wise" ? shape[1] : 1);
    const ratio = cost(compressed).weights / cost(graph).weights;
    expect(ratio).toBeLessThanOrEqual(0.7);
    expect(ratio).toBeGreaterThan(0.68);
  });
});

describe("records that cannot be used", () => {
  const { graph } = basis({ basis: 4 })(oneConv({ outChannels: 8, inChannels: 8, kernel: [3, 3] }));
  const lowered = lowerBasisConv(graph);
  const record = lowered.metadata.get(recordKey)!;
  const withText = (text: string): Graph => ({ ...lowered, metadata: new Map([[recordKey, text]]) });
  const layer = JSON.parse(record).layers[0];
  const changed = (change: object) => JSON.stringify({ ...JSON.parse(record), layers: [{ ...layer, ...change }] });

  test.each([
    ["no JSON", "{"],
    ["another version", '{"version":3,"method":"basis","layers":[]}'],
    ["a layer without a basis", JSON.stringify({ version: 2, method: "basis", layers: [{ name: "conv" }] })],
    ["coefficients that are not there", changed({ coefficients: "conv.elsewhere" })],
    ["a basis that is not there", changed({ basis: "conv.elsewhere" })],
    ["other filters than the stored ones", changed({ shape: [8, 16, 3, 3] })],
    ["a basis larger than the stored one", changed({ basisSize: 1e9 })],
    ["more splits than there are", changed({ splits: 8 })],
    ["a slice of a basis that has no more channels", changed({ slice: [0, 8], basisSize: 4, splits: 2 })],
    ["another layout", changed({ layout: "dense" })],
    ["another stride", changed({ attributes: { ...layer.attributes, strides: [2, 2] } })],
    ["a stride that is no whole number", changed({ attributes: { strides: [0.5, 1] } })],
    ["a stride that is text", changed({ attributes: { strides: "2" } })],
    ["something between basis and coefficients", changed({ basisOnly: true, shape: [4, 8, 3, 3] })],
  ])("are told and not used: %s", (_, text) => {
    const notes: string[] = [];
    const bytes = writeModel(withText(text));
    const read = readModel(bytes, { note: (note) => notes.push(note) });
    expect(notes).toHaveLength(1);
    expect(notes[0]).toContain("is not used");
    expect(printGraph(read)).toBe(printGraph(lowered));
    expect(writeModel(read)).toEqual(bytes);
    expect(readRecord(read)).toBeUndefined();
    expect(() => expand(read)).toThrow(expect.objectContaining({ code: "malformed" }));
  });

  test("that are not there cannot be undone", () => {
    expect(() => expand({ ...lowered, metadata: new Map() })).toThrow(expect.objectContaining({ code: "not-found" }));
  });

  test("keep a layer that does not fit as it is and its part of the record, and raise the others", () => {
    const sr = lowerBasisConv(basis({ basis: 6, splits: 2 })(smallSr()).graph);
    const { layers, ...rest } = JSON.parse(sr.metadata.get(recordKey)!);
    const [first, ...others] = layers;
    const text = JSON.stringify({ ...rest, layers: [{ ...first, shape: [3, 3, 3, 3] }, ...others] });
    const read = readModel(writeModel({ ...sr, metadata: new Map([[recordKey, text]]) }));
    expect(readRecord(read)!.layers).toHaveLength(others.length);
    const dense = expand(read).graph;
    expect(JSON.parse(dense.metadata.get(recordKey)!).layers).toEqual([{ ...first, shape: [3, 3, 3, 3] }]);
    const formed = lowerBasisConv(chooseLayouts(() => "grouped")(read).graph);
    expect(JSON.parse(formed.metadata.get(recordKey)!).layers).toHaveLength(layers.length);
  });
});

test("weights that are not numbers are refused by the layer's name", () => {
  const graph = oneConv({ outChannels: 8, inChannels: 8, kernel: [3, 3] });
  const values = Float32Array.from(floats(graph.initializers.get("conv.weight")!));
  values[5] = Number.NaN;
  const broken = {
    ...graph,
    initializers: new Map([...graph.initializers, ["conv.weight", tensorOf("float32", [8, 8, 3, 3], values)]]),
  };
  for (const options of [{ keepParams: 0.5 }, { basis: 2 }]) {
    expect(() => basis(options)(broken)).toThrow(
      expect.objectContaining({ code: "non-finite", place: { layer: "conv" } }),
    );
  }
});

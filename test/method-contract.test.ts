// What every method of compression promises, run over the table of methods: what it counts is what is written, what
// it reconstructs is what the written nodes compute, at full rank it is the original, files come back, and wrong
// options are typed errors.
import { describe, expect, test } from "vitest";
import { isError } from "../src/errors/error.js";
import { readModel, writeModel } from "../src/formats/onnx/index.js";
import { elements, ints, makeNode } from "../src/graph/attributes.js";
import type { Attribute, Graph } from "../src/graph/types.js";
import { isFloat, numbers, tensorOf } from "../src/graph/values.js";
import { findChainLayers } from "../src/methods/chain-layers.js";
import { priceOf } from "../src/methods/chain-line.js";
import { candidateOf } from "../src/methods/chain-record.js";
import { compressedLayers } from "../src/methods/compressed-layers.js";
import { expand } from "../src/methods/expand.js";
import { findLayers } from "../src/methods/layers.js";
import type { Method } from "../src/methods/method.js";
import { type MethodName, methodPass, methods, weightMethods } from "../src/methods/methods.js";
import { aboutOf } from "../src/methods/options.js";
import { planCompression } from "../src/methods/plan.js";
import { prepareForPlanning } from "../src/methods/prepare.js";
import { cost } from "../src/ops/cost/cost.js";
import { verifyGraph } from "../src/ops/verify/verify.js";
import { foldBatchNorm } from "../src/passes/fold-batch-norm.js";
import { halfWeights } from "../src/passes/half-weights.js";
import { lowerBasisConv } from "../src/passes/lower-basis-conv.js";
import { recipeSchema } from "../src/train/recipe.js";
import { fed, network, shapes, trials } from "./method-trials.js";
import { outputsDiffer } from "./same-outputs.js";
import { oneConv, randomTensor, smallGraph } from "./small-graphs.js";

function conv(kernel: readonly number[], attributes: Readonly<Record<string, Attribute>> = {}, bias = true): Graph {
  return fed(oneConv({ outChannels: 6, inChannels: 4, kernel, bias, attributes }));
}

const convolutions: Readonly<Record<string, Graph>> = {
  "3 x 3 without padding": conv([3, 3]),
  "3 x 3 padded, stride 2, without a bias": conv([3, 3], { strides: ints([2, 2]), pads: ints([1, 1, 1, 1]) }, false),
  "3 x 1 padded on one side": conv([3, 1], { pads: ints([1, 0, 0, 0]) }),
  "2 x 3, strides that differ, dilated": conv([2, 3], { strides: ints([1, 2]), dilations: ints([2, 1]) }, false),
};

/** No convolution. */
const products = smallGraph({
  nodes: [
    makeNode("MatMul", ["x", "w"], ["a"], {}, { name: "product" }),
    makeNode("Relu", ["a"], ["y"], {}, { name: "relu" }),
  ],
  initializers: { w: randomTensor([6, 4], 1) },
  inputs: [{ name: "x", tensor: { type: "float32", dims: [1, 6] } }],
  outputs: ["y"],
});

const zerosLike = (name: string) => {
  const { dims } = network.initializers.get(name)!;
  return [name, tensorOf("float32", dims, new Float64Array(elements(dims)))] as const;
};

/** The network, whose first convolution gives nothing. */
const dead: Graph = {
  ...network,
  initializers: new Map([...network.initializers, zerosLike("a.weight"), zerosLike("a.bias")]),
};

/** The graph with dense filters in the place of every layer that the method made. */
function rebuilt(method: Method, graph: Graph): Graph {
  const dense = expand(graph).graph;
  const initializers = new Map(dense.initializers);
  for (const layer of compressedLayers(graph)) {
    const found = method.reconstruct!(graph, layer);
    if ("reason" in found) throw new Error(found.reason);
    const end = dense.nodes.find(({ name }) => name === layer.name)!;
    initializers.set(end.inputs[1]!, tensorOf("float32", layer.filters, found.values));
  }
  return { ...dense, initializers };
}

/** Attributes of the first node, wherever they were read from. */
const stated = ({ nodes }: Graph) =>
  [...nodes[0]!.attributes].map(([name, attribute]) => [name, { ...attribute, origin: undefined }]);

describe.each(Object.values<Method>(methods).map((method) => [method.name, method] as const))(
  "the method %s",
  (name, method) => {
    const trial = trials[name as MethodName];
    const { graph, outcomes } = methodPass(name, trial.options)(network);

    test("rewrites a network into one that is whole, and tells of every layer what became of it", () => {
      verifyGraph(graph);
      expect(methods[name as MethodName].name).toBe(name);
      expect(outcomes.some(({ applied }) => applied)).toBe(true);
      expect(new Set(outcomes.map(({ pass }) => pass))).toEqual(new Set([name]));
      expect(outcomes.map(({ layer }) => layer).sort()).toEqual(["a", "t"]);
      for (const { reason } of outcomes) expect(reason).not.toBe("");
    });

    test("counts what is written, and leaves no initializer that nothing reads", () => {
      const [own, written] = [cost(graph, shapes), cost(readModel(writeModel(graph)), shapes)];
      const lowered = cost(lowerBasisConv(graph), shapes);
      const figures = ({ weights: w, parameters, macs, uncounted }: typeof own) => [w, parameters, macs, uncounted];
      expect(figures(written)).toEqual(figures(own));
      expect(figures(lowered)).toEqual(figures(own));
      expect(own.weights).not.toBe(cost(network, shapes).weights);
      const read = new Set(graph.nodes.flatMap(({ inputs }) => inputs));
      expect([...graph.initializers.keys()].filter((value) => !read.has(value))).toEqual([]);
    });

    test("stays what it is where batch norms are folded, and computes the same", async () => {
      const folded = foldBatchNorm(graph).graph;
      expect((await outputsDiffer(writeModel(graph), folded)).relative).toBeLessThan(1e-4);
      expect(compressedLayers(folded).filter(({ reason }) => reason !== undefined)).toEqual([]);
      if (method.reconstruct === undefined) return;
      const dense = expand(folded);
      expect(dense.outcomes.filter(({ applied }) => !applied)).toEqual([]);
      expect((await outputsDiffer(writeModel(graph), dense.graph)).relative).toBeLessThan(1e-4);
    });

    test("is written, read and written again as the same bytes, with the same layers", () => {
      const bytes = writeModel(graph);
      const back = readModel(bytes);
      expect(writeModel(back)).toEqual(bytes);
      const told = (one: Graph) =>
        compressedLayers(one).map(({ name: layer, description, error }) => [layer, description, error]);
      expect(told(back)).toEqual(told(graph));
    });

    test("leaves what it has rewritten alone when it is applied again, or says why", () => {
      const again = findLayers(graph).skipped.filter(({ reason }) => reason.startsWith("it is compressed already"));
      expect(again).toHaveLength(compressedLayers(graph).length);
    });

    test("finds nothing in a network of matrix products alone, and says so", () => {
      try {
        const told = methodPass(name, trial.options)(products).outcomes;
        expect(told.map(({ applied, reason }) => [applied, reason !== ""])).toEqual([[false, true]]);
      } catch (error) {
        expect(isError(error, "not-found", "unsupported", "budget-unreachable"), String(error)).toBe(true);
      }
    });

    test("takes channels that are dead, whose filters are zeros: no weight that is not finite, the same outputs", async () => {
      const { graph: made } = methodPass(name, trial.options)(dead);
      verifyGraph(made);
      for (const tensor of made.initializers.values())
        if (isFloat(tensor.type)) expect(numbers(tensor).every(Number.isFinite)).toBe(true);
      if (method.from === "weights") expect((await outputsDiffer(writeModel(dead), made)).absolute).toBe(0);
    });

    test.each(trial.wrong)("with the options %j is refused, naming %s", (options, field) => {
      expect(() => methodPass(name, options)).toThrow(
        expect.objectContaining({ code: "usage", place: expect.anything() }),
      );
      expect(() => methodPass(name, options)).toThrow(field);
      const recipe = recipeSchema.safeParse({
        name: "trial",
        network: { name: "resnet" },
        compress: { method: name, ...options },
      });
      expect(recipe.error?.issues.map(({ path }) => path.join("."))).toContainEqual(
        expect.stringContaining(`compress.${field}`),
      );
    });

    test("with an option that it does not have is refused, naming those that it has", () => {
      const options = { ...trial.options, colour: "blue" };
      expect(() => methodPass(name, options)).toThrow(/"colour".*expected some of only|"colour".*expected some of /);
      for (const field of Object.keys(method.options)) expect(() => methodPass(name, options)).toThrow(field);
      for (const field of Object.values(method.options)) expect(aboutOf(field)).toBeTruthy();
    });

    const whole = method.fullRank;
    if (whole !== undefined)
      test.each(Object.entries(convolutions))("at full rank is the original: %s", async (_, original) => {
        const [layer] = findLayers(original).layers;
        for (const options of [whole(layer!), ...(trial.wholes ?? [])]) {
          const full = methodPass(name, options)(original).graph;
          expect(compressedLayers(full)).toHaveLength(1);
          expect((await outputsDiffer(writeModel(original), full)).relative).toBeLessThan(1e-5);
        }
      });

    const reconstructs = method.reconstruct !== undefined;
    if (reconstructs)
      test.each(
        [trial.options, ...(trial.variants ?? [])].flatMap((options) =>
          Object.entries(convolutions).map(([kind, original]) => [options, kind, original] as const),
        ),
      )("with %j, its filters are what the written nodes compute: %s", async (options, _, original) => {
        const { graph: compressed, outcomes: told } = methodPass(name, options)(original);
        expect(compressedLayers(compressed)).toHaveLength(1);
        const written = writeModel(compressed);
        expect((await outputsDiffer(written, rebuilt(method, compressed))).relative).toBeLessThan(1e-5);
        const { graph: dense, outcomes: undone } = expand(readModel(written));
        expect(undone.map(({ applied }) => applied)).toEqual([true]);
        expect(dense.nodes.map(({ op, name: own, outputs }) => [op, own, outputs])).toEqual([["Conv", "conv", ["y"]]]);
        expect(stated(dense)).toEqual(stated(original));
        expect((await outputsDiffer(written, dense)).relative).toBeLessThan(1e-5);
        expect(compressedLayers(dense)).toEqual([]);
        const [own, back] = [cost(compressed, shapes), cost(readModel(written), shapes)];
        expect([own.weights, own.macs]).toEqual([back.weights, back.macs]);
        const [, weightsTold] = /-> (\d+) weights/.exec(told[0]!.reason) ?? [];
        if (weightsTold !== undefined) expect(own.weights).toBe(Number(weightsTold));
        const [layer] = compressedLayers(compressed);
        if (layer?.kind === "chain") {
          const [planned] = findChainLayers(original, shapes, {}).layers;
          const candidate = candidateOf(layer.chain);
          const prices = (["weights", "macs"] as const).map((price) => priceOf(planned!, candidate, price));
          expect(prices).toEqual([own.weights, own.macs]);
        }
        const halved = readModel(writeModel(halfWeights(compressed).graph));
        expect(compressedLayers(halved).map(({ reason }) => reason)).toEqual([undefined]);
        expect((await outputsDiffer(writeModel(halved), expand(halved).graph)).relative).toBeLessThan(2e-3);
        const prepared = prepareForPlanning(readModel(written)).graph;
        expect(compressedLayers(prepared).map(({ nodes: found }) => found.length > 0)).toEqual([true]);
      });
    else
      test("leaves ordinary nodes, which have no way back", () => {
        expect(compressedLayers(graph)).toEqual([]);
        expect(() => expand(graph)).toThrow(expect.objectContaining({ code: "not-found" }));
      });

    if (method.from === "architecture")
      test.each(Object.entries(convolutions))("computes an output of the original's size: %s", async (_, original) => {
        if (name === "transition") return;
        const made = methodPass(name, trial.options)(original).graph;
        verifyGraph(made);
        expect((await outputsDiffer(writeModel(original), made)).absolute).toBeGreaterThan(0);
      });
  },
);

describe("methods that start from weights", () => {
  test.each(weightMethods)("%s is planned as it is then counted", (name) => {
    const method = methods[name];
    for (const options of [{ basis: 3 }, { keepParams: 0.8 }, { keepMacs: 0.8 }]) {
      const planned = method.planning?.(options) ?? options;
      const plan = planCompression(network, { ...planned, inputs: shapes, candidates: method.candidates! });
      const { graph } = method.apply(network, { ...planned, inputs: shapes }, plan);
      const { weights: w, macs } = cost(graph, shapes);
      expect({ weights: w, macs }).toEqual(plan.after);
    }
  });

  test.each([
    ["filter-wise", { splits: 2 }],
    ["channel-wise", { splits: 2 }],
    ["svd", { splits: "channels" }],
    ["svd", { layers: { a: { splits: 2, basis: 3 } } }],
    ["filter-wise", { keepParams: 0.5, layers: { a: { splits: 2 } } }],
  ] as const)("%s has splits of its own: %j is refused", (name, options) => {
    const given = { basis: 3, ...options };
    expect(() => methodPass(name, given)(network)).toThrow(expect.objectContaining({ code: "invalid-plan" }));
    expect(() => methodPass("basis", given)(network)).not.toThrow();
  });

  test("take what is known beside the options", () => {
    const spectra = new Map();
    methodPass("basis", { basis: 3 }, { spectra } as never)(network);
    expect(spectra.size).toBe(2);
  });
});

test("a method that there is not is refused with those that there are", () => {
  for (const name of ["simplify", "toString", "__proto__"])
    expect(() => methodPass(name, {})).toThrow(expect.objectContaining({ code: "not-found" }));
});

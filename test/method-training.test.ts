// What methods leave in a graph can be trained: it runs alike here and in ONNX Runtime, for Node and for browsers, its
// gradients are those of finite differences, also through weights that are computed from a codebook, and a step changes
// its parameters and nothing else.
import { describe, expect, test } from "vitest";
import { readModel, writeModel } from "../src/formats/onnx/index.js";
import { elements, ints } from "../src/graph/attributes.js";
import type { Graph, TensorData } from "../src/graph/types.js";
import { numbers, tensorOf } from "../src/graph/values.js";
import { Network } from "../src/interpreter/network.js";
import { call } from "../src/interpreter/operators/aten.js";
import { compressedLayers } from "../src/methods/compressed-layers.js";
import { type MethodName, methodPass, methods } from "../src/methods/methods.js";
import { openOrtSession, type RuntimeName, runtimeNames } from "../src/runtime/session.js";
import { backward, fromArray, noGrad, TensorScope, unloadableReason } from "../src/torch/index.js";
import { network, shapes, trials } from "./method-trials.js";
import { oneConv, randomValues } from "./small-graphs.js";

const first = { keepFirst: 0 };
const rows: readonly (readonly [string, object])[] = [
  ["simple-svd", { rank: 3, ...first }],
  ["zhang", { rank: 3, ...first }],
  ["zhang", { rank: 3, form: "3d", ...first }],
  ["enc", { rank: 3, ...first }],
  ["jaderberg", { rank: 3, ...first }],
  ["jaderberg", { rank: 2, scheme: 1, ...first }],
  ["jaderberg", { rank: 2, scheme: 1, basis: "own", ...first }],
  ["denton", { rank: 2, channelClusters: 2, filterClusters: 3, ...first }],
  ["denton", { rank: 2, form: "outer-product", channelClusters: 2, filterClusters: 3, ...first }],
  ["denton", { rank: 3, form: "monochromatic" }],
  ["cp", { rank: 3, ...first }],
  ["group-svd", { groups: 2, ...first }],
  ["kmeans", { kernels: 5, scales: "float32" }],
  ["kmeans", { kernels: 4, transforms: 8, scales: "float32" }],
  ["kse", { levels: 4, ...first }],
  ["kse", { levels: 3, halvings: 2, ...first }],
  ["kse", { levels: 3, halvings: 2, dropped: "zeros", ...first }],
];

const dims = [1, 4, 7, 6];

/** A convolution in double precision, so that differences can be small. */
function original(type: "float32" | "float64"): Graph {
  const graph = oneConv({ outChannels: 6, inChannels: 4, kernel: [3, 3], attributes: { pads: ints([1, 1, 1, 1]) } });
  const stored = (tensor: TensorData) => tensorOf(type, tensor.dims, numbers(tensor));
  return {
    ...graph,
    initializers: new Map([...graph.initializers].map(([name, tensor]) => [name, stored(tensor)])),
    inputs: [{ name: "x", tensor: { type, dims } }],
    outputs: [{ name: "y", tensor: { type } }],
  };
}

/** The outputs, each weighted by fixed noise, summed. */
function scalar(network: Network, x: Float64Array) {
  const y = network.forward(new Map([["x", fromArray(x, dims)]])).get("y")!;
  return call("sum", call("mul.Tensor", y, fromArray(Float64Array.from(randomValues(elements(y.shape), 9)), y.shape)));
}

describe.skipIf(unloadableReason() !== undefined)("what methods leave", () => {
  test.each(rows)("%s with %j has the gradients of finite differences", (name, options) => {
    const { graph } = methodPass(name, options)(original("float64"));
    const x = Float64Array.from(randomValues(elements(dims), 5));
    using network = new Network(graph);
    using _scope = new TensorScope();
    backward(scalar(network, x));
    const trained = compressedLayers(graph)[0]!.parameters;
    expect(trained.length).toBeGreaterThan(0);
    for (const parameter of trained) {
      const gradient = network.parameters.get(parameter)?.grad?.data();
      expect(gradient, parameter).toBeDefined();
      const { type, dims: own, ...rest } = graph.initializers.get(parameter)!;
      const values = numbers({ type, dims: own, ...rest });
      for (const at of [0, values.length >> 1, values.length - 1]) {
        const of = (step: number): number => {
          const moved = values.slice();
          moved[at] = moved[at]! + step;
          const initializers = new Map(graph.initializers).set(parameter, tensorOf(type, own, moved));
          using other = new Network({ ...graph, initializers });
          using _inner = new TensorScope();
          return noGrad(() => scalar(other, x).item());
        };
        const difference = (of(1e-5) - of(-1e-5)) / 2e-5;
        expect(Math.abs(Number(gradient![at]) - difference)).toBeLessThan(1e-6 * Math.max(1, Math.abs(difference)));
      }
    }
  });

  test.each(rows)(
    "%s with %j runs alike here and in ONNX Runtime, before a step of training and after it",
    async (name, options) => {
      const { graph } = methodPass(name, options)(original("float32"));
      const x = Float32Array.from(randomValues(elements(dims), 5));
      using network = new Network(graph);
      const own = (of: Network): Float32Array => {
        using _scope = new TensorScope();
        return noGrad(() =>
          Float32Array.from(
            of
              .forward(new Map([["x", fromArray(x, dims)]]))
              .get("y")!
              .data() as Float32Array,
          ),
        );
      };
      const before = own(network);
      await expectSame(graph, x, before);
      const loss = (): number => {
        using _scope = new TensorScope();
        const y = network.forward(new Map([["x", fromArray(x, dims)]])).get("y")!;
        const value = call("mean", call("mul.Tensor", y, y));
        backward(value);
        return value.item();
      };
      const start = loss();
      noGrad(() => {
        using _scope = new TensorScope();
        for (const parameter of network.parameters.values()) {
          call("add_.Tensor", parameter, parameter.grad!, { alpha: -0.01 });
        }
      });
      expect(loss()).toBeLessThan(start);
      const trained = readModel(writeModel(network.toGraph()));
      for (const [value, tensor] of graph.initializers)
        if (!network.parameters.has(value)) expect(numbers(trained.initializers.get(value)!)).toEqual(numbers(tensor));
      await expectSame(trained, x, own(network));
    },
  );

  test("kmeans with more kernels than eight bits number runs alike here and in ONNX Runtime", async () => {
    const wide = oneConv({ outChannels: 20, inChannels: 20, kernel: [3, 3] });
    const { graph } = methodPass("kmeans", { kernels: 300, scales: "float32" })(wide);
    expect([...graph.initializers.values()].map(({ type }) => type)).toContain("uint16");
    const [shape, x] = [[1, 20, 5, 5], Float32Array.from(randomValues(500, 5))];
    using network = new Network(graph);
    using _scope = new TensorScope();
    const own = noGrad(() =>
      network
        .forward(new Map([["x", fromArray(x, shape)]]))
        .get("y")!
        .floats(),
    );
    const session = await openOrtSession(writeModel(graph), { threads: 1 });
    const { y } = await session.run({ x: tensorOf("float32", shape, x) });
    await session.release();
    for (const [i, value] of numbers(y!).entries()) expect(Math.abs(own[i]! - value)).toBeLessThan(1e-4);
  });
});

const names = Object.keys(methods) as MethodName[];
const input = { dims: shapes.get("x")!, values: Float32Array.from(randomValues(elements(shapes.get("x")!), 7)) };

/** What ONNX Runtime makes of a written network. */
async function ranBy(runtime: RuntimeName, graph: Graph): Promise<Float64Array> {
  const session = await openOrtSession(writeModel(graph), { threads: 1, runtime });
  try {
    const { y } = await session.run({ x: tensorOf("float32", input.dims, input.values) });
    return numbers(y!);
  } finally {
    await session.release();
  }
}

function expectNear(found: Float64Array, expected: Float64Array): void {
  const largest = expected.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
  expect(found).toHaveLength(expected.length);
  for (const [i, value] of found.entries()) expect(Math.abs(value - expected[i]!)).toBeLessThan(1e-5 * largest);
}

test.each(names)("what %s writes computes the same in ONNX Runtime for Node and for browsers", async (name) => {
  const { graph } = methodPass(name, trials[name].options)(network);
  expectNear(await ranBy("web", graph), await ranBy("node", graph));
});

describe.skipIf(unloadableReason() !== undefined)("a network that is compressed", () => {
  test.each(names)("by %s is trained for a step, and computes in both runtimes what it computes here", async (name) => {
    const { graph } = methodPass(name, trials[name].options)(network);
    using trained = new Network(graph);
    using _scope = new TensorScope();
    const outputOf = (of: Network) => of.forward(new Map([["x", fromArray(input.values, input.dims)]])).get("y")!;
    const squares = () => {
      const y = outputOf(trained);
      return call("mean", call("mul.Tensor", y, y));
    };
    const loss = squares();
    backward(loss);
    noGrad(() => {
      for (const parameter of trained.parameters.values())
        call("add_.Tensor", parameter, parameter.grad!, { alpha: -0.01 });
    });
    expect(noGrad(() => squares().item())).toBeLessThan(loss.item());
    const written = readModel(writeModel(trained.toGraph()));
    using again = new Network(written); // what is stored in half precision is rounded
    const own = Float64Array.from(noGrad(() => outputOf(again).floats()));
    for (const runtime of runtimeNames) expectNear(await ranBy(runtime, written), own);
  });
});

async function expectSame(graph: Graph, x: Float32Array, expected: Float32Array): Promise<void> {
  const session = await openOrtSession(writeModel(graph), { threads: 1 });
  try {
    const { y } = await session.run({ x: tensorOf("float32", dims, x) });
    const largest = expected.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
    for (const [i, value] of numbers(y!).entries()) expect(Math.abs(value - expected[i]!)).toBeLessThan(1e-4 * largest);
  } finally {
    await session.release();
  }
}

// What every network must do: go out as ONNX, give the same values in ONNX Runtime, come back as it was, and be
// trained.
import { expect } from "vitest";
import { readModel, writeModel } from "../src/formats/onnx/index.js";
import { elements } from "../src/graph/attributes.js";
import { printGraph } from "../src/graph/print.js";
import type { Graph } from "../src/graph/types.js";
import { floats } from "../src/graph/values.js";
import { Network } from "../src/interpreter/network.js";
import { Random } from "../src/linalg/random.js";
import { openSession } from "../src/runtime/index.js";
import { backward, fromArray, manualSeed, noGrad, type Tensor, TensorScope } from "../src/torch/index.js";
import { taskLoss } from "../src/train/losses.js";
import { optimizer } from "../src/train/optimizers.js";

/** Part of the largest output that float32 in two runtimes may differ by, through up to 112 layers. */
const tolerance = 2e-5;

/** All of it, on one small batch: [2, 3, 32, 32] for classifiers, [1, 3, 12, 12] in 0 .. 255 for super-resolution. */
export async function checkNet(
  graph: Graph,
  task: "classification" | "super-resolution",
): Promise<{ readonly relative: number }> {
  const classify = task === "classification";
  const dims = classify ? [2, 3, 32, 32] : [1, 3, 12, 12];
  const random = new Random(5);
  const data = Float32Array.from({ length: elements(dims) }, () => (classify ? random.normal() : 255 * random.next()));
  const bytes = writeModel(graph);
  const back = readModel(bytes);
  expect(printGraph(back)).toBe(printGraph(graph));
  for (const [name, tensor] of graph.initializers) {
    const returned = back.initializers.get(name);
    expect(returned !== undefined && Buffer.compare(returned.data, tensor.data) === 0, name).toBe(true);
  }
  const session = await openSession(bytes);
  const feed = { type: "float32", dims, data: new Uint8Array(data.buffer) } as const;
  const evaluated = (await session.run({ input: feed })).output;
  await session.release();
  expect(evaluated).toBeDefined();
  const expected = floats(evaluated!);
  using _scope = new TensorScope();
  using net = new Network(back);
  const output = noGrad(() => forward(net, data, dims, false));
  expect(output.shape).toEqual(evaluated!.dims);
  const ours = output.data() as Float32Array;
  const largest = expected.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
  const relative =
    expected.reduce((most, value, i) => Math.max(most, Math.abs(value - (ours[i] ?? Number.NaN))), 0) / largest;
  expect(largest).toBeGreaterThan(0);
  expect(relative).toBeLessThan(tolerance);
  manualSeed(1);
  trainOneStep(net, data, dims, classify, output.shape);
  return { relative };
}

function forward(net: Network, data: Float32Array, dims: readonly number[], training: boolean): Tensor {
  return net.forward(new Map([["input", fromArray(data, dims)]]), { training }).get("output")!;
}

/**
 * One step of gradient descent moves every parameter that has a gradient, keeps all finite, and makes the loss on the
 * same batch smaller.
 */
function trainOneStep(
  net: Network,
  data: Float32Array,
  dims: readonly number[],
  classify: boolean,
  shape: readonly number[],
): void {
  using steps = optimizer(net.parameters, { name: "sgd", momentum: 0.9, nesterov: false, weightDecay: 0 });
  const target = classify
    ? fromArray(BigInt64Array.from([3n, 7n]), [2], "int64")
    : fromArray(new Float32Array(elements(shape)).fill(127), shape);
  const options = { task: classify ? "cross-entropy" : "l1", labelSmoothing: 0, gamma: 0, anneal: "none" } as const;
  const loss = () => taskLoss(options, forward(net, data, dims, true), target)!;
  const before = loss();
  backward(before);
  expect([...net.parameters].filter(([, { grad }]) => grad === null).map(([name]) => name)).toEqual([]);
  // The step is taken along the gradient, so short that the loss has to fall: it should fall by about a thousandth.
  const squared = [...net.parameters.values()].reduce((sum, { grad }) => sum + norm(grad!), 0);
  expect(Number.isFinite(squared) && squared > 0).toBe(true);
  steps.step((1e-3 * Math.abs(before.item())) / squared);
  const after = noGrad(loss).item();
  expect(after).toBeLessThan(before.item());
}

function norm(gradient: Tensor): number {
  return (gradient.data() as Float32Array).reduce((sum, value) => sum + value * value, 0);
}

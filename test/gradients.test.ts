// The interpreter's gradients agree with central differences in float64, for every operator that has one.
import { describe, expect, test } from "vitest";
import { elements } from "../src/graph/attributes.js";
import { Network } from "../src/interpreter/network.js";
import { call } from "../src/interpreter/operators/aten.js";
import { backward, fromArray, setThreads, type Tensor, TensorScope, unloadableReason } from "../src/torch/index.js";
import { basisConvCases, type GradientCase, gradientCases, graphOf } from "./gradient-cases.js";

/** With steps of 1e-6 the truncation error of central differences is near 1e-12 and the rounding error near 1e-10. */
const step = 1e-6;
const tolerance = 1e-6;

/** Numbers that look random, the same every time. */
function noise(count: number, low: number, high: number, seed: number): Float64Array {
  let state = seed;
  return Float64Array.from({ length: count }, () => {
    state = (state * 1103515245 + 12345) % 2147483648;
    return low + ((high - low) * state) / 2147483648;
  });
}

/** The float outputs, each weighted by fixed noise, summed. Running statistics have no gradient and are left out. */
function scalar(network: Network, feeds: ReadonlyMap<string, Tensor>, training: boolean, op: string): Tensor {
  const outputs = [...network.forward(feeds, { training }).values()].slice(
    0,
    op === "BatchNormalization" ? 1 : undefined,
  );
  const parts = outputs.filter((y) => y.dtype === "float64");
  const sums = parts.map((y, i) => {
    const weights = fromArray(noise(elements(y.shape), -1, 1, 77 + i), y.shape);
    return call("sum", call("mul.Tensor", y, weights));
  });
  return sums.reduce((a, b) => call("add.Tensor", a, b));
}

function check(op: string, one: GradientCase): void {
  using network = new Network(graphOf(op, one), { trainable: () => false });
  using _scope = new TensorScope();
  const values = new Map<string, { readonly dims: readonly number[]; readonly data: Float64Array }>();
  one.inputs.forEach((input, i) => {
    if (input === undefined || "constant" in input) return;
    values.set(`x${i}`, { dims: input.dims, data: noise(elements(input.dims), input.low, input.high, 1 + i * 7919) });
  });
  const feed = (): Map<string, Tensor> =>
    new Map([...values].map(([name, { dims, data }]) => [name, fromArray(data, dims)]));
  const training = one.training ?? false;
  const leaves = feed();
  // Batch normalisation knows no gradient of the running statistics.
  const differentiable = [...leaves].filter(([name]) => op !== "BatchNormalization" || Number(name.slice(1)) < 3);
  for (const [, leaf] of differentiable) leaf.requiresGrad = true;
  backward(scalar(network, leaves, training, op));
  for (const [name, leaf] of differentiable) {
    const gradient = leaf.grad?.data();
    expect(gradient, `gradient of ${name}`).toBeDefined();
    const { data } = values.get(name)!;
    data.forEach((value, i) => {
      const at = (shifted: number): number => {
        using _inner = new TensorScope();
        data[i] = shifted;
        return scalar(network, feed(), training, op).item();
      };
      const slope = (at(value + step) - at(value - step)) / (2 * step);
      data[i] = value;
      const error = Math.abs(Number(gradient![i]) - slope);
      expect(error, `d ${name}[${i}]: ${gradient![i]} against ${slope}`).toBeLessThan(
        tolerance * Math.max(1, Math.abs(slope)),
      );
    });
  }
}

const reason = unloadableReason();

describe.skipIf(reason !== undefined)(`gradients in float64${reason === undefined ? "" : ` (${reason})`}`, () => {
  setThreads(1);
  for (const [op, cases] of Object.entries({ ...gradientCases, BasisConv: basisConvCases })) {
    if (typeof cases === "string") continue;
    test(`${op} agrees with finite differences`, () => {
      for (const one of cases as readonly GradientCase[]) check(op, one);
    });
  }
});

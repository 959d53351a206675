import { describe, expect, it } from "vitest";
import { callAll, fromArray, liveTensors, type Tensor } from "../torch/index.js";
import { type OptimizerOptions, optimizer } from "./optimizers.js";

// Minimises sum of c_i x_i^2 / 2, whose gradient c_i x_i is set by hand, so that a plain calculation can follow every
// step.
const curvature = [1, 0.5, 3];
const start = [1, -2, 0.25];

function follow(options: OptimizerOptions, steps: number, rate: number): readonly number[] {
  const x = [...start];
  const m = x.map(() => 0);
  const v = x.map(() => 0);
  for (let t = 1; t <= steps; t++) {
    x.forEach((value, i) => {
      const g = curvature[i]! * value + options.weightDecay * value;
      if (options.name === "sgd") {
        m[i] = t === 1 ? g : options.momentum * m[i]! + g;
        x[i] = value - rate * (options.nesterov ? g + options.momentum * m[i]! : m[i]!);
      } else {
        const [b1, b2] = options.betas;
        m[i] = b1 * m[i]! + (1 - b1) * g;
        v[i] = b2 * v[i]! + (1 - b2) * g * g;
        x[i] = value - ((rate / (1 - b1 ** t)) * m[i]!) / (Math.sqrt(v[i]!) / Math.sqrt(1 - b2 ** t) + options.eps);
      }
    });
  }
  return x;
}

function run(options: OptimizerOptions, steps: number, rate: number, interrupt?: number): readonly number[] {
  let x = fromArray(Float32Array.from(start), [3]);
  let rule = optimizer(new Map([["x", x]]), options);
  for (let t = 1; t <= steps; t++) {
    const values = x.data() as Float32Array;
    using gradient = fromArray(
      values.map((value, i) => value * curvature[i]!),
      [3],
    );
    x.grad = gradient;
    rule.step(rate);
    if (t !== interrupt) continue;
    // As a resume does: a new parameter and a new optimiser take over values and state.
    const copy = (tensor: Tensor): Tensor => fromArray(tensor.data(), tensor.shape);
    const old = rule.state();
    const saved = new Map([...old.tensors].map(([name, tensor]) => [name, tensor.data() as Float32Array]));
    const next = copy(x);
    x.dispose();
    rule[Symbol.dispose]();
    x = next;
    rule = optimizer(new Map([["x", x]]), options);
    for (const [name, tensor] of rule.state().tensors) callCopy(tensor, saved.get(name)!);
    rule.load(old.steps);
  }
  const result = [...(x.data() as Float32Array)];
  rule[Symbol.dispose]();
  x.dispose();
  return result;
}

function callCopy(to: Tensor, values: Float32Array): void {
  using from = fromArray(values, to.shape);
  callAll("copy_", to, from);
}

const sgd = { name: "sgd", momentum: 0.9, nesterov: false, weightDecay: 0 } as const;
const adam = { name: "adam", betas: [0.9, 0.999], eps: 1e-8, weightDecay: 0 } as const;
const rows: readonly [string, OptimizerOptions, number][] = [
  ["plain SGD", { ...sgd, momentum: 0 }, 0.1],
  ["SGD with momentum", sgd, 0.1],
  ["SGD with Nesterov's momentum and weight decay", { ...sgd, nesterov: true, weightDecay: 0.05 }, 0.1],
  ["Adam", adam, 0.05],
  ["Adam with weight decay", { ...adam, weightDecay: 0.05 }, 0.05],
];

describe("optimisers", () => {
  it.each(rows)("%s follows PyTorch's formula for twenty steps", (_, options, rate) => {
    const expected = follow(options, 20, rate);
    const got = run(options, 20, rate);
    for (const [i, value] of got.entries()) expect(value).toBeCloseTo(expected[i]!, 5); // float32 against float64
  });
  it.each(rows)("%s resumes from its saved state as if never interrupted", (_, options, rate) => {
    expect(run(options, 9, rate, 4)).toEqual(run(options, 9, rate));
  });
  it("leave a parameter without a gradient alone, and no tensor behind", () => {
    const before = liveTensors();
    const x = fromArray(Float32Array.of(1), [1]);
    const rule = optimizer(new Map([["x", x]]), sgd);
    rule.step(1);
    expect(x.item()).toBe(1);
    rule[Symbol.dispose]();
    x.dispose();
    expect(liveTensors()).toBe(before);
  });
});

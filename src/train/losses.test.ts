import { describe, expect, it } from "vitest";
import { Random } from "../linalg/random.js";
import { backward, fromArray, TensorScope } from "../torch/index.js";
import { approximationLoss, gammaAt, taskLoss, totalLoss } from "./losses.js";
import { recipeSchema } from "./recipe.js";

const options = (loss: object) => recipeSchema.parse({ name: "t", network: { name: "n" }, loss }).loss;
const random = new Random(3);
const values = (count: number): Float32Array => Float32Array.from({ length: count }, () => random.normal());

describe("approximationLoss", () => {
  it("is the squared Frobenius distance of the original filters from those rebuilt, split by split", () => {
    using _scope = new TensorScope();
    const [n, s, m, p, k] = [3, 2, 4, 2, 3];
    const [w, a, b] = [values(n * s * p * k * k), values(n * s * m), values(m * p * k * k)];
    let expected = 0;
    for (let o = 0; o < n; o++)
      for (let g = 0; g < s; g++)
        for (let i = 0; i < p * k * k; i++) {
          let rebuilt = 0;
          for (let j = 0; j < m; j++) rebuilt += a[o * s * m + g * m + j]! * b[j * p * k * k + i]!;
          expected += (w[(o * s + g) * p * k * k + i]! - rebuilt) ** 2;
        }
    const basis = fromArray(b, [m, p, k, k]);
    basis.requiresGrad = true;
    const layer = {
      name: "l",
      original: fromArray(w, [n, s * p, k, k]),
      basis: () => basis,
      coefficients: fromArray(a, [n, s * m, 1, 1]),
    };
    const loss = approximationLoss([layer, layer]);
    expect(loss!.item()).toBeCloseTo(2 * expected, 2);
    backward(loss!);
    expect(basis.grad!.shape).toEqual([m, p, k, k]);
  });
});

describe("totalLoss", () => {
  it("adds the parts with their weights, and lets gamma fall to nothing where it is annealed", () => {
    using _scope = new TensorScope();
    const loss = options({ task: "mse", gamma: 0.5, anneal: "linear", distill: { weight: 2, kind: "mse" } });
    const output = fromArray(Float32Array.of(1, 2), [2]);
    const layer = {
      name: "l",
      original: fromArray(Float32Array.of(3), [1, 1, 1, 1]),
      basis: () => fromArray(Float32Array.of(1), [1, 1, 1, 1]),
      coefficients: fromArray(Float32Array.of(1), [1, 1, 1, 1]),
    };
    const parts = {
      outputs: [output],
      target: fromArray(Float32Array.of(0, 0), [2]),
      teacher: [fromArray(Float32Array.of(1, 0), [2])],
      layers: [layer],
    };
    expect(totalLoss(loss, 0, parts).total.item()).toBeCloseTo(2.5 + 2 * 2 + 0.5 * 4, 5);
    expect(totalLoss(loss, 0.5, parts).total.item()).toBeCloseTo(2.5 + 2 * 2 + 0.25 * 4, 5);
    expect(totalLoss(loss, 1, parts).approximation).toBeNull();
  });
  it("trains on soft targets alone, without labels", () => {
    using _scope = new TensorScope();
    const output = fromArray(Float32Array.of(1, 3), [1, 2]);
    output.requiresGrad = true;
    const loss = totalLoss(options({ task: "none", distill: { temperature: 2 } }), 0, {
      outputs: [output],
      target: null,
      teacher: [fromArray(Float32Array.of(3, 1), [1, 2])],
      layers: [],
    });
    backward(loss.total);
    const [q, t] = [1 / (1 + Math.exp(1)), 1 / (1 + Math.exp(-1))];
    expect((output.grad!.data() as Float32Array)[0]).toBeCloseTo(2 * (q - t), 5); // T^2 times (q - t) / T
  });
  it("takes each of several outputs over its own size, and one as it is", () => {
    using _scope = new TensorScope();
    const loss = options({ task: "none", distill: { kind: "mse" } });
    const pair = (output: number, teacher: number) =>
      [fromArray(Float32Array.of(output), [1]), fromArray(Float32Array.of(teacher), [1])] as const;
    const [small, large] = [pair(3, 2), pair(500, 1000)];
    const of = (...pairs: readonly ReturnType<typeof pair>[]) =>
      totalLoss(loss, 0, {
        outputs: pairs.map(([output]) => output),
        ...{ target: null, teacher: pairs.map(([, teacher]) => teacher), layers: [] },
      }).total.item();
    expect(of(small)).toBeCloseTo(1, 6);
    expect(of(small, large)).toBeCloseTo(1 / 4 + 1 / 4, 6);
  });
  it("refuses to train on nothing", () => {
    using _scope = new TensorScope();
    const output = fromArray(Float32Array.of(1), [1]);
    const parts = { outputs: [output], target: null, teacher: null, layers: [] };
    expect(() => totalLoss(options({ task: "none" }), 0, parts)).toThrow(/nothing to train on/);
  });
});

describe("taskLoss", () => {
  it("is the mean cross entropy", () => {
    using _scope = new TensorScope();
    const loss = taskLoss(
      options({}),
      fromArray(Float32Array.of(0, 0, 0, 0), [2, 2]),
      fromArray(BigInt64Array.of(0n, 1n), [2]),
    );
    expect(loss!.item()).toBeCloseTo(Math.log(2), 6);
  });
});

describe("gammaAt", () => {
  it.each([
    ["none", 1],
    ["linear", 0.5],
    ["cosine", 0.5],
  ])("with anneal %s is %f of gamma in the middle", (anneal, share) => {
    expect(gammaAt(options({ gamma: 3, anneal }), 0.5)).toBeCloseTo(3 * share, 9);
  });
});

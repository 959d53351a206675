// The architecture passes as text: what stands where a convolution stood, and what was skipped and why.
import { describe, expect, it } from "vitest";
import { outputsDiffer } from "../../test/same-outputs.js";
import { randomValues, smallGraph } from "../../test/small-graphs.js";
import { writeModel } from "../formats/onnx/index.js";
import { float32Tensor, ints, makeNode } from "../graph/attributes.js";
import { GraphBuilder } from "../graph/builder.js";
import { initialiser } from "../graph/initialise.js";
import type { Graph, Pass } from "../graph/types.js";
import { basisScratch } from "./basis-scratch.js";
import { factor } from "./factor.js";
import { group } from "./group.js";
import { readRecord } from "./record.js";
import { transitionBottleneck } from "./transition.js";

/** stem, then conv - norm - ReLU - conv - norm, plus the stem: a residual block of 8 channels. */
function block(): Graph {
  const net = new GraphBuilder("block", initialiser("zeros"));
  const stem = net.conv(net.input("input", ["N", 3, "H", "W"]), "stem", { inChannels: 3, outChannels: 8 });
  let x = net.relu(
    net.norm(net.conv(stem, "b.0.c0", { inChannels: 8, outChannels: 8, stride: 1 }), "b.0.n0", 8),
    "b.0.a0",
  );
  x = net.norm(net.conv(x, "b.0.c1", { inChannels: 8, outChannels: 8, bias: false }), "b.0.n1", 8);
  return net.finish(net.add(x, stem, "sum", "output"), ["N", 8, "H", "W"]);
}

/** op(inputs) -> output, one a line; parameters that are not read are not there. */
function nodes(graph: Graph): string[] {
  return graph.nodes.map(({ op, inputs, outputs }) => `${op}(${inputs.join(", ")}) -> ${outputs.join(", ")}`);
}

const shapes = (graph: Graph) =>
  Object.fromEntries(
    [...graph.initializers]
      .filter(([, { type }]) => type === "float32")
      .map(([name, { dims }]) => [name, dims.join("x")]),
  );
const apply = (pass: Pass) => pass(block());

describe("basis-scratch", () => {
  it("puts basis, norm, activation and coefficients in the place of a convolution, and an activation behind a norm that had none", () => {
    const { graph } = apply(basisScratch({ basis: 3, insertNorm: true, insertActivation: true }));
    expect(nodes(graph)).toEqual([
      "Conv(input, stem.weight, stem.bias) -> stem",
      "BasisConv(stem, b.0.c0.basis.weight, , , b.0.c0.basis.bias) -> b.0.c0/basis",
      "BatchNormalization(b.0.c0/basis, b.0.c0.between.weight, b.0.c0.between.bias, b.0.c0.between.running_mean, b.0.c0.between.running_var) -> b.0.c0.between",
      "Relu(b.0.c0.between) -> b.0.c0.between.activation",
      "Conv(b.0.c0.between.activation, b.0.c0.coefficients.weight, b.0.c0.coefficients.bias) -> b.0.c0",
      "BatchNormalization(b.0.c0, b.0.n0.weight, b.0.n0.bias, b.0.n0.running_mean, b.0.n0.running_var) -> b.0.n0",
      "Relu(b.0.n0) -> b.0.a0",
      "BasisConv(b.0.a0, b.0.c1.basis.weight, , , b.0.c1.basis.bias) -> b.0.c1/basis",
      "BatchNormalization(b.0.c1/basis, b.0.c1.between.weight, b.0.c1.between.bias, b.0.c1.between.running_mean, b.0.c1.between.running_var) -> b.0.c1.between",
      "Relu(b.0.c1.between) -> b.0.c1.between.activation",
      "Conv(b.0.c1.between.activation, b.0.c1.coefficients.weight, b.0.c1.coefficients.bias) -> b.0.c1",
      "BatchNormalization(b.0.c1, b.0.n1.weight, b.0.n1.bias, b.0.n1.running_mean, b.0.n1.running_var) -> b.0.c1.normed",
      "Relu(b.0.c1.normed) -> b.0.c1.closing".replace("b.0.c1.closing", "b.0.n1"),
      "Add(b.0.n1, stem) -> output",
    ]);
  });

  it("lets the convolutions of a block read one basis, each with its own basis bias and coefficients", () => {
    const { graph, outcomes } = apply(basisScratch({ basis: 3, splits: 2, share: "group" }));
    const sizes = shapes(graph);
    expect(sizes["b.0.c0.basis.weight"]).toBe("3x4x3x3");
    expect(sizes["b.0.c1.basis.weight"]).toBeUndefined();
    expect([sizes["b.0.c1.basis.bias"], sizes["b.0.c1.coefficients.weight"]]).toEqual(["3", "8x6x1x1"]);
    expect(readRecord(graph)?.layers.map(({ basis, splits, error }) => [basis, splits, error])).toEqual([
      ["b.0.c0.basis.weight", 2, null],
      ["b.0.c0.basis.weight", 2, null],
    ]);
    expect(outcomes.map(({ layer, applied, reason }) => [layer, applied, reason])).toEqual([
      ["stem", false, "the first convolution stays as it was"],
      ["b.0.c0", true, "3 basis filters of 4 channels, 2 splits"],
      ["b.0.c1", true, "3 basis filters of 4 channels, 2 splits, the basis of b.0.c0"],
    ]);
  });

  it("gives the reason where the channels cannot be split, or no size is stated", () => {
    const skipped = (pass: Pass) => apply(pass).outcomes.at(-1)?.reason;
    expect(skipped(basisScratch({ basis: 3, channels: 3 }))).toBe("its 8 input channels cannot be split so");
    expect(skipped(basisScratch({ basis: { "16": 3 } }))).toBe("no basis size is stated for 8 input channels");
    expect(skipped(basisScratch({ basis: 3, only: "b.0.c0" }))).toBe("it is not among the layers asked for");
  });
});

describe("factor", () => {
  it("stacks depthwise and 1 x 1 convolutions, each with its activation and, where shapes agree, its skip", () => {
    const { graph } = apply(factor({ layers: 1, only: "b.0.c1", bias: false }));
    expect(nodes(graph).slice(4, 9)).toEqual([
      "Conv(b.0.a0, b.0.c1.sic.0.depthwise.weight) -> b.0.c1.sic.0.depthwise",
      "Conv(b.0.c1.sic.0.depthwise, b.0.c1.sic.0.pointwise.weight) -> b.0.c1.sic.0.pointwise",
      "Add(b.0.c1.sic.0.pointwise, b.0.a0) -> b.0.c1.sic.0.add",
      "Relu(b.0.c1.sic.0.add) -> b.0.c1",
      "BatchNormalization(b.0.c1, b.0.n1.weight, b.0.n1.bias, b.0.n1.running_mean, b.0.n1.running_var) -> b.0.n1",
    ]);
  });

  it("begins with the filters where these are depthwise separable, whatever the number of layers", async () => {
    const random = (count: number, seed: number) => randomValues(count, seed);
    for (const [n, layers] of [
      [4, 1],
      [4, 2],
      [6, 2],
      [6, 3],
    ] as const) {
      const weight = new Float32Array(n * 4 * 9);
      const [d, p] = [random(4 * 9, 1), random(n * 4, 2)];
      for (let i = 0; i < n; i++)
        for (let j = 0; j < 4; j++)
          for (let t = 0; t < 9; t++)
            weight[(i * 4 + j) * 9 + t] = p[i * 4 + j]! * d[j * 9 + t]! + (n === 4 && i === j && t === 4 ? 1 : 0);
      const padded = { pads: ints([1, 1, 1, 1]) };
      const plain: Graph = {
        ...smallGraph({
          nodes: [
            makeNode("Relu", ["x"], ["r"], {}, { name: "r" }),
            makeNode("Conv", ["r", "w", "b"], ["c"], padded, { name: "c" }),
            makeNode("Relu", ["c"], ["y"], {}, { name: "y" }),
          ],
          initializers: { w: float32Tensor([n, 4, 3, 3], weight), b: float32Tensor([n], random(n, 3)) },
          inputs: [{ name: "x", tensor: { type: "float32", dims: [1, 4, 7, 7] } }],
          outputs: ["y"],
        }),
      };
      const made = factor({ layers, start: "filters", keepFirst: 0 })(plain);
      expect(made.outcomes[0]!.reason).toContain("from the nearest");
      expect((await outputsDiffer(writeModel(plain), made.graph)).relative).toBeLessThan(1e-5);
    }
  });

  it("takes the convolution's own norm and activation away where the layers end in theirs", () => {
    const { graph } = apply(factor({ layers: 1, norm: "both", dropNorm: true, only: "b.0.c0" }));
    expect(graph.nodes.some(({ name }) => name === "b.0.n0")).toBe(false);
    expect(shapes(graph)["b.0.n0.weight"]).toBeUndefined();
    expect(nodes(graph)).toContain("Relu(b.0.c0.sic.0.add) -> b.0.a0");
  });
});

describe("group", () => {
  it("puts a grouped and a 1 x 1 convolution in the place of one", () => {
    const { graph } = apply(group({ channelsPerGroup: 2, only: "b.0.c0" }));
    const sizes = shapes(graph);
    expect([sizes["b.0.c0.grouped.weight"], sizes["b.0.c0.pointwise.weight"]]).toEqual(["8x2x3x3", "8x8x1x1"]);
    expect(sizes["b.0.c0.weight"]).toBeUndefined();
  });

  it("gives the reason where the channels do not go into the groups", () => {
    expect(apply(group({ groups: 3 })).outcomes.at(-1)?.reason).toBe("8 to 8 channels do not go into 3 groups");
  });
});

describe("transition", () => {
  it("makes C -> C into C -> C / T -> C plus what went into the norm, and leaves everything else alone", () => {
    const net = new GraphBuilder("transition", initialiser("zeros"));
    const x = net.conv(net.input("input", ["N", 3, 8, 8]), "stem", { inChannels: 3, outChannels: 12 });
    const y = net.conv(net.relu(net.norm(x, "n", 12), "a"), "t", {
      inChannels: 12,
      outChannels: 12,
      kernel: 1,
      bias: false,
    });
    const plain = net.finish(net.pool(y, "pool", "average", 2), ["N", 12, 4, 4]);
    const { graph, outcomes } = transitionBottleneck({ bottleneck: 6 })(plain);
    expect(nodes(graph).slice(3)).toEqual([
      "Conv(a, t.reduce.weight) -> t.reduce",
      "Conv(t.reduce, t.expand.weight) -> t.expand",
      "Add(t.expand, stem) -> t",
      "AveragePool(t) -> pool",
    ]);
    expect(shapes(graph)["t.reduce.weight"]).toBe("2x12x1x1");
    expect(outcomes.map(({ applied }) => applied)).toEqual([false, true]);
    expect(apply(transitionBottleneck({ bottleneck: 2 })).outcomes.every(({ applied }) => !applied)).toBe(true);
  });
});

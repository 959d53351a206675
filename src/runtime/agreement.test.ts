// Exact steps agree with the original to within its own rounding, wrong models do not, and what cannot be compared is
// said.
import { describe, expect, test } from "vitest";
import { randomTensor, smallGraph } from "../../test/small-graphs.js";
import { float, float32Tensor, int, ints, makeNode } from "../graph/attributes.js";
import type { Graph, Node, TensorData, Value } from "../graph/types.js";
import { floats, tensorOf } from "../graph/values.js";
import { foldBatchNorm } from "../passes/fold-batch-norm.js";
import { compareWithOriginal, requireAgreement, type StepKind, worstOutput } from "./agreement.js";
import { prepareReference } from "./reference.js";

const options = { threads: 1, shapes: new Map([["x", [1, 3, 24, 24]]]) } as const;

async function compare(original: Graph, written: Graph, kind: StepKind = "exact") {
  return await compareWithOriginal(written, await prepareReference(original, options), { kind });
}

const pads = ints([1, 1, 1, 1]);
const x: Value = { name: "x", tensor: { type: "float32", dims: [1, 3, "H", "W"] } };

/** Three convolutions with a batch norm behind the first; `last` makes the outputs from value "c". */
function network(last: readonly Node[], outputs: readonly string[], more: Record<string, TensorData> = {}): Graph {
  const scale = (from: TensorData, by: number): TensorData =>
    float32Tensor(
      from.dims,
      floats(from).map((value) => by * value),
    );
  return smallGraph({
    nodes: [
      makeNode("Conv", ["x", "W0", "b0"], ["a0"], { pads }),
      makeNode("BatchNormalization", ["a0", "scale", "shift", "mean", "variance"], ["n0"], { epsilon: float(1e-5) }),
      makeNode("Relu", ["n0"], ["r0"]),
      makeNode("Conv", ["r0", "W1", "b1"], ["a1"], { pads }),
      makeNode("Relu", ["a1"], ["r1"]),
      makeNode("Conv", ["r1", "W2", "b2"], ["c"], { pads }),
      ...last,
    ],
    initializers: {
      W0: scale(randomTensor([16, 3, 3, 3], 1), 0.3),
      W1: scale(randomTensor([16, 16, 3, 3], 2), 0.15),
      W2: scale(randomTensor([4, 16, 3, 3], 3), 0.15),
      b0: randomTensor([16], 4),
      b1: scale(randomTensor([16], 5), 0.1),
      b2: scale(randomTensor([4], 6), 0.1),
      scale: float32Tensor(
        [16],
        floats(randomTensor([16], 7)).map((value) => 1 + value / 2),
      ),
      shift: randomTensor([16], 8),
      mean: randomTensor([16], 9),
      variance: float32Tensor(
        [16],
        floats(randomTensor([16], 10)).map((value) => 1 + value / 2),
      ),
      ...more,
    },
    inputs: [x],
    outputs,
  });
}

const scalar = (value: number): TensorData => float32Tensor([], Float32Array.of(value));
const ones = float32Tensor([4], new Float32Array(4).fill(1));

/** Networks whose outputs are of very different kinds. */
const networks: Readonly<Record<string, Graph>> = {
  "a plain one": network([], ["c"]),
  "one with a sigmoid behind a bias of -14": network(
    [makeNode("Add", ["c", "low"], ["l"]), makeNode("Sigmoid", ["l"], ["y"])],
    ["y"],
    { low: scalar(-14) },
  ),
  "one of tiny outputs": network([makeNode("Mul", ["c", "small"], ["y"])], ["y"], { small: scalar(1e-9) }),
  "one of huge outputs": network([makeNode("Mul", ["c", "large"], ["y"])], ["y"], { large: scalar(1e12) }),
  "one that normalises each image": network([makeNode("InstanceNormalization", ["c", "ones", "zeros"], ["y"])], ["y"], {
    ones,
    zeros: float32Tensor([4], new Float32Array(4)),
  }),
  "one of two outputs": network(
    [makeNode("GlobalAveragePool", ["c"], ["m"]), makeNode("Tanh", ["c"], ["t"])],
    ["m", "t"],
  ),
  "a classifier": network(
    [makeNode("GlobalAveragePool", ["c"], ["m"]), makeNode("Flatten", ["m"], ["f"]), makeNode("Softmax", ["f"], ["y"])],
    ["y"],
  ),
};

const withWeight = (graph: Graph, name: string, change: (values: Float32Array) => void): Graph => {
  const tensor = graph.initializers.get(name)!;
  const values = floats(tensor).slice();
  change(values);
  return { ...graph, initializers: new Map(graph.initializers).set(name, float32Tensor(tensor.dims, values)) };
};

/** Faults that a rewriting could make. */
const faults: Readonly<Record<string, (graph: Graph) => Graph>> = {
  "one weight changed by 1 %": (graph) =>
    withWeight(graph, "W1", (values) => {
      const largest = values.reduce((best, value, i) => (Math.abs(value) > Math.abs(values[best]!) ? i : best), 0);
      values[largest]! *= 1.01;
    }),
  "a bias dropped": (graph) => withWeight(graph, "b1", (values) => values.fill(0)),
  "two channels swapped": (graph) =>
    withWeight(graph, "W1", (values) => {
      const filter = values.slice(0, 144);
      values.copyWithin(0, 144, 288);
      values.set(filter, 144);
    }),
  "another epsilon": (graph) => ({
    ...graph,
    nodes: graph.nodes.map((node) =>
      node.op === "BatchNormalization" ? { ...node, attributes: new Map([["epsilon", float(1e-3)]]) } : node,
    ),
  }),
};

describe.each(Object.entries(networks))("of %s", (_, original) => {
  test("the same network with its batch norm folded is exact", async () => {
    const { graph, outcomes } = foldBatchNorm(original);
    expect(outcomes.some(({ applied }) => applied)).toBe(true);
    const agreement = await compare(original, graph);
    expect(requireAgreement(agreement).compared).toBe(original.outputs.length);
  });

  test.each(Object.entries(faults))("a copy with %s is not", async (__, break_) => {
    const agreement = await compare(original, break_(original));
    expect(agreement.agrees).toBe(false);
    expect(worstOutput(agreement)!.excess).toBeGreaterThan(1);
    expect(() => requireAgreement(agreement, "m.onnx")).toThrow(/m\.onnx.*does not compute what the original does/);
  });
});

test("the other runtime agrees with itself, and finds the same faults", async () => {
  const web = { ...options, runtime: "web" } as const;
  const original = networks["a plain one"]!;
  const reference = await prepareReference(original, web);
  const folded = await compareWithOriginal(foldBatchNorm(original).graph, reference, { kind: "exact" });
  expect(folded).toMatchObject({ agrees: true, compared: 1 });
  for (const [name, break_] of Object.entries(faults))
    expect((await compareWithOriginal(break_(original), reference, { kind: "exact" })).agrees, name).toBe(false);
});

test("a model in half precision throughout may round more, and is still told from a wrong one", async () => {
  const half = (name: string): TensorData => {
    const tensor = networks["a plain one"]!.initializers.get(name)!;
    return tensorOf("float16", tensor.dims, floats(tensor));
  };
  const build = (first: TensorData): Graph => ({
    ...smallGraph({
      nodes: [
        makeNode("Conv", ["x", "W0"], ["a"], { pads }),
        makeNode("Relu", ["a"], ["r"]),
        makeNode("Conv", ["r", "W1"], ["y"], { pads }),
      ],
      initializers: { W0: first, W1: half("W1") },
      inputs: [{ name: "x", tensor: { type: "float16", dims: [1, 3, "H", "W"] } }],
      outputs: [],
    }),
    outputs: [{ name: "y", tensor: { type: "float16", dims: [1, 16, "H", "W"] } }],
  });
  const original = build(half("W0"));
  const scaled = tensorOf(
    "float16",
    [16, 3, 3, 3],
    floats(half("W0")).map((value) => 1.02 * value),
  );
  expect(await compare(original, original)).toMatchObject({ agrees: true, compared: 1 });
  expect((await compare(original, build(scaled))).agrees).toBe(false);
});

describe("what cannot be compared is said", () => {
  test("an output that is one number is constant, and must stay that number", async () => {
    const constant = (value: number) =>
      network([makeNode("Mul", ["c", "nothing"], ["z"]), makeNode("Add", ["z", "three"], ["y"])], ["c", "y"], {
        nothing: scalar(0),
        three: scalar(value),
      });
    const same = await compare(constant(3), constant(3));
    expect(same).toMatchObject({ agrees: true, compared: 1 });
    expect(same.outputs[1]).toMatchObject({
      output: "y",
      state: "constant",
      reason: "it is one number everywhere, whatever is fed",
    });
    expect((await compare(constant(3), constant(4))).outputs[1]).toMatchObject({ state: "differs" });
  });

  test("an output that depends on nothing fed is constant though its elements differ", async () => {
    const graph = network([makeNode("Identity", ["anchors"], ["y"])], ["c", "y"], { anchors: randomTensor([4, 4], 1) });
    expect((await compare(graph, graph)).outputs[1]).toMatchObject({
      state: "constant",
      reason: "it is the same whatever is fed",
    });
  });

  test("a random operator is named; its draws are held still in both, and what then differs is found", async () => {
    const noisy = network(
      [makeNode("RandomNormalLike", ["c"], ["n"], {}, { name: "noise" }), makeNode("Add", ["c", "n"], ["y"])],
      ["y", "r1"],
    );
    const same = await compare(noisy, foldBatchNorm(noisy).graph);
    expect(same).toMatchObject({ agrees: true, compared: 1, still: true, random: ["noise (RandomNormalLike)"] });
    expect(same.outputs[0]).toMatchObject({ state: "random", reason: "it depends on noise (RandomNormalLike)" });
    const wrong = await compare(noisy, faults["a bias dropped"]!(noisy));
    expect(wrong.outputs[0]).toMatchObject({ output: "y", state: "differs" });
  });

  test("draws inside a body cannot be held: those outputs are not compared", async () => {
    const draw = makeNode("RandomNormalLike", ["c"], ["r"], {}, { name: "draw" });
    const body = { name: "b", initializers: new Map(), inputs: [], values: new Map() };
    const outputs: Value[] = [{ name: "r", tensor: { type: "float32" } }];
    const branch = (nodes: readonly Node[]) => ({ kind: "graph", value: { ...body, nodes, outputs } }) as const;
    const graph = network(
      [
        makeNode("If", ["yes"], ["y"], {
          then_branch: branch([draw]),
          else_branch: branch([makeNode("Relu", ["c"], ["r"])]),
        }),
      ],
      ["y", "r1"],
      { yes: tensorOf("bool", [], [1]) },
    );
    const agreement = await compare(graph, graph);
    expect(agreement).toMatchObject({ agrees: true, compared: 1, still: false });
    expect(agreement.outputs[0]).toMatchObject({ state: "random", excess: null });
  });

  test("NaN beside NaN is the same; NaN beside a number never is", async () => {
    const root = (shift: number): Graph =>
      network([makeNode("Add", ["c", "by"], ["s"]), makeNode("Sqrt", ["s"], ["y"])], ["y"], { by: scalar(shift) });
    expect(await compare(root(0), root(0))).toMatchObject({ agrees: true, compared: 1 });
    const wrong = await compare(root(0), root(-0.5));
    expect(wrong.agrees).toBe(false);
    expect(worstOutput(wrong)).toMatchObject({ finite: false, reason: expect.stringMatching(/values are not finite/) });
    expect((await compare(root(0), root(-0.5), "approximate")).agrees).toBe(true);
  });

  test("a missing output, another shape or type is a difference; only the first fails an approximate step", async () => {
    const original = networks["one of two outputs"]!;
    const other = network([makeNode("GlobalAveragePool", ["c"], ["m"]), makeNode("Flatten", ["c"], ["t"])], ["m", "t"]);
    const exact = await compare(original, other);
    expect(exact.outputs[1]).toMatchObject({
      state: "differs",
      reason: expect.stringMatching(/^it is float32 \[1, 2304\]/),
    });
    expect((await compare(original, other, "approximate")).agrees).toBe(true);
    const less = { ...original, outputs: original.outputs.slice(0, 1) };
    expect(await compare(original, less, "approximate")).toMatchObject({ agrees: false });
  });
});

describe("whole numbers", () => {
  const whole = (graph: Graph): Graph => ({ ...graph, outputs: [{ name: "y", tensor: { type: "int64" } }] });
  const classes = whole(network([makeNode("ArgMax", ["c"], ["y"], { axis: int(1) })], ["y"]));

  test("are compared by the share of equal elements", async () => {
    const folded = await compare(classes, foldBatchNorm(classes).graph);
    expect(folded).toMatchObject({ agrees: true, compared: 1 });
    expect(folded.outputs[0]!.equal).toBeGreaterThan(0.998);
    const wrong = await compare(classes, faults["a bias dropped"]!(classes));
    expect(wrong.outputs[0]).toMatchObject({ state: "differs" });
    expect(wrong.outputs[0]!.equal).toBeLessThan(0.99);
  });

  test("as many as are found, in an approximate step, may be another number of them", async () => {
    const nodes = [makeNode("Greater", ["c", "limit"], ["g"]), makeNode("NonZero", ["g"], ["y"])];
    const found = whole(network(nodes, ["y"], { limit: scalar(0.1) }));
    expect(await compare(found, found)).toMatchObject({ agrees: true, compared: 1 });
    const wrong = faults["a bias dropped"]!(found);
    expect((await compare(found, wrong, "approximate")).outputs[0]).toMatchObject({
      state: "differs",
      reason: expect.stringMatching(/^it is int64 \[4, \d+\], the original's int64 \[4, \d+\]$/),
    });
  });
});

test("an approximate step is measured: relative error, largest difference, correlation; it does not fail", async () => {
  const original = networks["a plain one"]!;
  const rough = withWeight(original, "W2", (values) =>
    values.set(values.map((value, i) => value * (i % 2 ? 1.2 : 0.8))),
  );
  const agreement = await compare(original, rough, "approximate");
  expect(agreement).toMatchObject({ kind: "approximate", agrees: true });
  const [{ relative, absolute, relativeMax, correlation, finite, equal }] = agreement.outputs as [
    (typeof agreement.outputs)[0],
  ];
  expect(relative).toBeGreaterThan(0.05);
  expect(relative).toBeLessThan(0.6);
  expect(absolute).toBeGreaterThan(0);
  expect(relativeMax).toBeGreaterThan(0.01);
  expect(correlation).toBeGreaterThan(0.5);
  expect({ finite, equal }).toEqual({ finite: true, equal: null });
  expect(JSON.parse(JSON.stringify(agreement))).toEqual(agreement);
});

test("stated values are fed, and the inputs of one reference can serve another", async () => {
  const gated = {
    ...smallGraph({
      nodes: [makeNode("Mul", ["x", "gain"], ["y"])],
      initializers: {},
      inputs: [x, { name: "gain", tensor: { type: "float32", dims: [] } }],
      outputs: ["y"],
    }),
  };
  const reference = await prepareReference(gated, { ...options, values: new Map([["gain", scalar(16000)]]) });
  expect(reference.feeds.every(({ feeds }) => floats(feeds.gain!)[0] === 16000)).toBe(true);
  const again = await prepareReference(gated, { threads: 1, feeds: reference.feeds });
  expect(again.feeds).toEqual(reference.feeds);
  expect((await compareWithOriginal(gated, again, { kind: "exact" })).agrees).toBe(true);
});

test("inputs are chosen so that the output moves: a detector that is silent for small inputs gets large ones", async () => {
  const detector = network([makeNode("Add", ["c", "low"], ["l"]), makeNode("Sigmoid", ["l"], ["y"])], ["y"], {
    low: scalar(-60),
  });
  const reference = await prepareReference(detector, options);
  expect(reference.rules[0]).toMatchObject({ state: "compared" });
  expect(reference.feeds.some(({ kind }) => kind.includes("255"))).toBe(true);
});

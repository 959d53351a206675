// Channels of random networks and of those of the zoo: what nothing reads may be removed, and the network computes the
// same; so may what is zero. What has to stay says why. A failure names the seed: FILTERBASIS_SEED=N
// FILTERBASIS_GRAPHS=1 draws it alone.
import { describe, expect, test } from "vitest";
import { isError } from "../src/errors/error.js";
import { readModel, writeModel } from "../src/formats/onnx/index.js";
import { elements, int, int64Tensor, ints, makeNode, string } from "../src/graph/attributes.js";
import { indexOf } from "../src/graph/graph-index.js";
import type { Graph, Node } from "../src/graph/types.js";
import { numbers, tensorOf } from "../src/graph/values.js";
import { Random } from "../src/linalg/random.js";
import { type ChannelGraph, findChannels } from "../src/methods/channel-classes.js";
import { prepareForPlanning } from "../src/methods/prepare.js";
import { removeChannels } from "../src/methods/remove-channels.js";
import { buildNet } from "../src/nets/table.js";
import { cost } from "../src/ops/cost/cost.js";
import { verifyGraph } from "../src/ops/verify/verify.js";
import { dropUnread } from "../src/passes/remove-unread.js";
import { differences, expectedOf, feedsOf, run } from "./graph-runs.js";
import { drawGraph } from "./random-graphs.js";
import { randomTensor, smallGraph } from "./small-graphs.js";

const count = Number(process.env.FILTERBASIS_GRAPHS ?? 60);
const first = Number(process.env.FILTERBASIS_SEED ?? 1);
const seeds = Array.from({ length: count }, (_, index) => first + index);

/** Some channels of every class that may go, never all of one. */
function drawChannels({ classes }: ChannelGraph, random: Random): ReadonlySet<number> {
  const gone = new Set<number>();
  for (const { channels, reason } of classes) {
    if (reason !== undefined) continue;
    const least = random.int(channels.length);
    for (const [place, id] of channels.entries()) if (place !== least && random.next() < 0.5) gone.add(id);
  }
  return gone;
}

/** Stored tensors with zeros for some channels along the axes that are asked for. */
function zeroed(
  graph: Graph,
  { walk }: ChannelGraph,
  gone: ReadonlySet<number>,
  which: (root: string, axis: number) => boolean,
) {
  const initializers = new Map(graph.initializers);
  const roots = new Set(gone);
  for (const [root, axes] of walk.tensors)
    for (const [axis, { ids, inner = 1 }] of axes) {
      if (!which(root, axis)) continue;
      const tensor = initializers.get(root) ?? indexOf(graph).stored(root)!.tensor;
      const values = numbers(tensor);
      const width = elements(tensor.dims.slice(axis + 1)) * inner;
      for (let at = 0; at < values.length; at++)
        if (roots.has(walk.find(ids[Math.floor(at / width) % ids.length]!))) values[at] = 0;
      initializers.set(root, tensorOf(tensor.type, tensor.dims, values));
    }
  const nodes = graph.nodes.filter(({ op, outputs }) => op !== "Constant" || !initializers.has(outputs[0]!));
  return { ...graph, nodes, initializers };
}

/** Operators whose result is not zero where their input is. */
const shifting = ["Sigmoid", "HardSigmoid"];

/** Channels that stay zero wherever they go when everything that makes, shifts or scales them is zero. */
function staysZero(graph: Graph, { walk }: ChannelGraph): (id: number) => boolean {
  const moved = new Set<number>();
  const { stored } = indexOf(graph);
  for (const { op, inputs, outputs } of graph.nodes) {
    const number = (value: string) => walk.of(value) === undefined && elements(stored(value)?.tensor.dims ?? []) === 1;
    const lone = op === "Add" && inputs.some(number);
    if (shifting.includes(op) || lone) for (const id of walk.of(outputs[0] ?? "")?.ids ?? []) moved.add(walk.find(id));
  }
  return (id) => !moved.has(walk.find(id));
}

describe("channels of random networks", () => {
  let removed = 0;
  test.each(seeds)("seed %i: removing those that nothing reads, or that are zero, changes no output", async (seed) => {
    const { graph: made, shapes, half } = drawGraph(seed);
    if (half) return;
    const feeds = feedsOf(shapes, seed);
    const works = await run(writeModel(made), feeds).then(
      () => true,
      () => false,
    ); // not every draw is a model
    if (!works) return;
    const graph = prepareForPlanning(readModel(writeModel(made))).graph;
    const found = findChannels(graph, { inputs: shapes });
    const random = new Random(seed);
    const check = async (from: Graph, gone: ReadonlySet<number>) => {
      const expected = await expectedOf(writeModel(from), feeds, false);
      if ([...expected.allowed.values()].some(Number.isNaN)) return; // the network itself overflows
      const less = removeChannels(from, findChannels(from, { inputs: shapes }), gone);
      verifyGraph(less);
      expect(differences(await run(writeModel(less), feeds), expected)).toEqual([]);
      if (gone.size > 0) expect(cost(less, shapes).weights).toBeLessThan(cost(from, shapes).weights);
      removed += gone.size;
    };
    const gone = drawChannels(found, random);
    const read = new Set(found.walk.layers.map(({ root, axes }) => `${root} ${axes.from}`));
    await check(
      zeroed(graph, found, gone, (root, axis) => read.has(`${root} ${axis}`)),
      gone,
    );
    const still = new Set([...gone].filter(staysZero(graph, found)));
    const statistics = new Set(
      graph.nodes
        .flatMap(({ op, inputs }) => (op === "BatchNormalization" ? inputs.slice(3) : []))
        .map((value) => indexOf(graph).stored(value)?.root),
    );
    await check(
      zeroed(graph, found, still, (root, axis) => !read.has(`${root} ${axis}`) && !statistics.has(root)),
      still,
    );
  });

  test("there were many", () => {
    if (count >= 60) expect(removed).toBeGreaterThan(300);
  });
});

/** The number of channels of a class, whether it may go. */
const classesOf = (graph: Graph) =>
  findChannels(graph).classes.map(
    ({ name, channels, reason }) => [name, channels.length, reason === undefined] as const,
  );

/** Channels cut, picked, gated, enlarged, padded and averaged, by operators that random networks do not have. */
const moving: Readonly<Record<string, readonly Node[]>> = {
  "Split in two, one part through a convolution, joined again": [
    makeNode("Split", ["a", "halves"], ["p", "q"], { axis: int(1) }),
    makeNode("Conv", ["p", "w44"], ["r"], {}, { name: "r" }),
    makeNode("Concat", ["r", "q"], ["b"], { axis: int(1) }),
  ],
  "Slice of channels": [
    makeNode("Slice", ["a", "two", "seven", "axis"], ["s"]),
    makeNode("Conv", ["s", "w85"], ["b"], {}, { name: "b" }),
  ],
  "Gather in another order": [makeNode("Gather", ["a", "order"], ["b"], { axis: int(1) })],
  "a gate over channels": [
    makeNode("GlobalAveragePool", ["a"], ["g"]),
    makeNode("Conv", ["g", "w88"], ["h"], {}, { name: "h" }),
    makeNode("Sigmoid", ["h"], ["i"]),
    makeNode("Mul", ["a", "i"], ["b"]),
  ],
  "Resize by scales, then cut back": [
    makeNode("Resize", ["a", "", "scales"], ["l"], { mode: string("nearest") }),
    makeNode("Slice", ["l", "zeros", "sixes", "space"], ["b"]),
  ],
  "Resize to sizes that are stated": [makeNode("Resize", ["a", "", "", "sizes"], ["b"], { mode: string("nearest") })],
  "Resize to its own shape with other sides": [
    makeNode("Shape", ["a"], ["shape"]),
    makeNode("Slice", ["shape", "zero", "end"], ["front"]),
    makeNode("Concat", ["front", "sides"], ["target"], { axis: int(0) }),
    makeNode("Resize", ["a", "", "", "target"], ["b"], { mode: string("nearest") }),
  ],
  "Pad of space and of channels": [
    makeNode("Pad", ["a", "pads"], ["k"]),
    makeNode("Conv", ["k", "w8x"], ["b"], {}, { name: "b" }),
  ],
  "a depthwise convolution with two filters a channel": [
    makeNode("Conv", ["a", "deep"], ["d"], { group: int(8), pads: ints([1, 1, 1, 1]) }, { name: "d" }),
    makeNode("Conv", ["d", "w8d"], ["b"], {}, { name: "b" }),
  ],
  "a Reshape to rows, a sum over columns, and back": [
    makeNode("Reshape", ["a", "rows"], ["m"]),
    makeNode("ReduceMean", ["m"], ["n"], { axes: ints([2]), keepdims: int(1) }),
    makeNode("Unsqueeze", ["n", "last"], ["o"]),
    makeNode("Add", ["a", "o"], ["b"]),
  ],
};

const constants = {
  "a.weight": randomTensor([8, 3, 3, 3], 1),
  "a.bias": randomTensor([8], 2),
  "end.weight": randomTensor([5, 8 * 36], 3),
  w44: randomTensor([4, 4, 1, 1], 4),
  w85: randomTensor([8, 5, 1, 1], 5),
  w88: randomTensor([8, 8, 1, 1], 6),
  w8x: randomTensor([8, 11, 3, 3], 7),
  w8d: randomTensor([8, 16, 1, 1], 8),
  deep: randomTensor([16, 1, 3, 3], 9),
  halves: int64Tensor([2], [4, 4]),
  two: int64Tensor([1], [2]),
  seven: int64Tensor([1], [7]),
  axis: int64Tensor([1], [1]),
  order: int64Tensor([8], [7, 0, 3, 1, 2, 6, 5, 4]),
  scales: tensorOf("float32", [4], [1, 1, 2, 2]),
  zeros: int64Tensor([2], [0, 0]),
  sixes: int64Tensor([2], [6, 6]),
  space: int64Tensor([2], [2, 3]),
  sizes: int64Tensor([4], [1, 8, 6, 6]),
  zero: int64Tensor([1], [0]),
  end: int64Tensor([1], [2]),
  sides: int64Tensor([2], [6, 6]),
  pads: int64Tensor([8], [0, 1, 1, 1, 0, 2, 1, 1]),
  rows: int64Tensor([3], [0, 8, -1]),
  last: int64Tensor([1], [3]),
};

describe("channels that are moved", () => {
  test.each(Object.entries(moving))("%s", async (_, middle) => {
    const graph = dropUnread(
      smallGraph({
        nodes: [
          makeNode("Conv", ["x", "a.weight", "a.bias"], ["a"], { pads: ints([1, 1, 1, 1]) }, { name: "a" }),
          ...middle,
          makeNode("Flatten", ["b"], ["f"]),
          makeNode("Gemm", ["f", "end.weight"], ["y"], { transB: int(1) }, { name: "end" }),
        ],
        initializers: constants,
        inputs: [{ name: "x", tensor: { type: "float32", dims: [1, 3, 6, 6] } }],
        outputs: ["y"],
      }),
      Object.keys(constants),
    );
    const shapes = new Map([["x", [1, 3, 6, 6]]]);
    const found = findChannels(graph, { inputs: shapes });
    const made = found.walk.layers.find(({ node }) => node.name === "a")!;
    const free = made.to.ids.filter((id) => found.walk.frozen(id) === undefined);
    expect(free).toHaveLength(8);
    const gone = drawChannels(found, new Random(5));
    const read = new Set(found.walk.layers.map(({ root, axes }) => `${root} ${axes.from}`));
    const from = zeroed(graph, found, gone, (root, at) => read.has(`${root} ${at}`));
    const expected = await expectedOf(writeModel(from), feedsOf(shapes, 1), false);
    const less = removeChannels(from, findChannels(from, { inputs: shapes }), gone);
    verifyGraph(less);
    expect(differences(await run(writeModel(less), feedsOf(shapes, 1)), expected)).toEqual([]);
    expect(cost(less).weights).toBeLessThan(cost(from).weights);
  });

  test.each([
    ["a shuffle by Reshape and Transpose", makeNode("Reshape", ["a", "five"], ["b"]), "Reshape"],
    ["a sum over channels", makeNode("ReduceMean", ["a"], ["b"], { axes: ints([1]), keepdims: int(1) }), "ReduceMean"],
    ["an operator that nothing is known of", makeNode("Mix", ["a"], ["b"], {}, { domain: "my.own" }), "Mix"],
  ])("stay where they cannot be told apart: %s", (_, node, op) => {
    const graph = smallGraph({
      nodes: [makeNode("Conv", ["x", "a.weight"], ["a"], {}, { name: "a" }), node],
      initializers: { "a.weight": randomTensor([8, 3, 1, 1], 1), five: int64Tensor([5], [1, 2, 4, 6, 6]) },
      inputs: [{ name: "x", tensor: { type: "float32", dims: [1, 3, 6, 6] } }],
      outputs: ["b"],
    });
    const { classes } = findChannels(graph);
    expect(classes.map(({ reason }) => reason)).toEqual([
      expect.stringContaining("input"),
      expect.stringContaining(op),
    ]);
  });
});

describe("channels of the networks of the zoo", () => {
  test("in a ResNet those within blocks are free, and those of a stage go together", () => {
    const free = classesOf(buildNet("resnet20", { init: "zeros" })).filter(([, , may]) => may);
    expect(free.filter(([name]) => /body\.0$/.test(name)).map(([, size]) => size)).toEqual([
      16, 16, 16, 32, 32, 32, 64, 64, 64,
    ]);
    expect(free.filter(([name]) => !/body\.0$/.test(name)).map(([name]) => name)).toEqual(["features.0.0"]);
  });

  test("half of the channels within the blocks of ResNet-56 are 50.18 % of its multiply-accumulates", () => {
    const graph = buildNet("resnet56", { init: "zeros" });
    const found = findChannels(graph);
    const half = found.classes
      .filter(({ name, reason }) => reason === undefined && /body\.0$/.test(name))
      .flatMap(({ channels }) => channels.slice(channels.length / 2));
    const { weights, macs } = cost(removeChannels(graph, found, half));
    expect([weights, macs]).toEqual([425_008, 62_964_352]);
    expect(((100 * macs) / cost(graph).macs).toFixed(2)).toBe("50.18");
  });

  test("in a DenseNet every layer's channels are a class of their own", () => {
    const free = classesOf(buildNet("densenet-12-40", { init: "zeros" })).filter(([, , may]) => may);
    expect(free.filter(([, size]) => size === 12)).toHaveLength(36);
  });

  test("those of the input and of the output stay, with the reason", () => {
    const { classes } = findChannels(buildNet("vgg16", { init: "zeros" }));
    expect(classes.at(0)).toMatchObject({ reason: "it is an input of the model", channels: { length: 3 } });
    expect(classes.at(-1)).toMatchObject({ reason: "it is an output of the model", channels: { length: 10 } });
  });

  test("removing all of a class, or what has to stay, is refused", () => {
    const graph = buildNet("resnet20", { init: "zeros" });
    const found = findChannels(graph);
    const refused = (ids: readonly number[]): boolean => {
      try {
        removeChannels(graph, found, ids);
        return false;
      } catch (error) {
        return isError(error, "invalid-plan");
      }
    };
    expect(refused(found.classes.find(({ reason }) => reason === undefined)!.channels)).toBe(true);
    expect(refused(found.classes[0]!.channels.slice(1))).toBe(true);
    expect(refused(found.classes[1]!.channels.slice(1))).toBe(false);
  });
});

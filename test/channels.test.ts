// Channels of random networks and of those of the zoo: what nothing reads may be removed, and the network computes the
// same; so may what is zero. What has to stay says why. A failure names the seed: FILTERBASIS_SEED=N
// FILTERBASIS_GRAPHS=1 draws it alone.
import { describe, expect, test } from "vitest";
import { isError } from "../src/errors/error.js";
import { readModel, writeModel } from "../src/formats/onnx/index.js";
import { elements } from "../src/graph/attributes.js";
import { indexOf } from "../src/graph/graph-index.js";
import type { Graph } from "../src/graph/types.js";
import { numbers, tensorOf } from "../src/graph/values.js";
import { Random } from "../src/linalg/random.js";
import { type ChannelGraph, findChannels } from "../src/methods/channel-classes.js";
import { prepareForPlanning } from "../src/methods/prepare.js";
import { removeChannels } from "../src/methods/remove-channels.js";
import { buildNet } from "../src/nets/table.js";
import { cost } from "../src/ops/cost/cost.js";
import { verifyGraph } from "../src/ops/verify/verify.js";
import { differences, expectedOf, feedsOf, run } from "./graph-runs.js";
import { drawGraph } from "./random-graphs.js";

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

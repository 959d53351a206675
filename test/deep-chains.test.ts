// Networks of nine thousand nodes in a row: nothing that reads, checks, counts or rewrites a graph runs out of stack,
// or takes longer for each node the more there are. (What grew with the square of the nodes took minutes here.)
import { describe, expect, test } from "vitest";
import { readModel, writeModel } from "../src/formats/onnx/index.js";
import { float32Tensor, int, ints, makeNode } from "../src/graph/attributes.js";
import { withInitializers } from "../src/graph/edit.js";
import { indexOf, printGraph } from "../src/graph/index.js";
import { orderGraph } from "../src/graph/order.js";
import type { Graph, Node, Pass } from "../src/graph/types.js";
import { basis } from "../src/methods/basis.js";
import { convLayers } from "../src/methods/conv-layers.js";
import { expand } from "../src/methods/expand.js";
import { findLayers } from "../src/methods/layers.js";
import { chooseLayouts } from "../src/methods/layout.js";
import { prepareForPlanning } from "../src/methods/prepare.js";
import { residualBlocks } from "../src/methods/sharing.js";
import { cost, inferShapes, verifyGraph } from "../src/ops/index.js";
import { foldBatchNorm } from "../src/passes/fold-batch-norm.js";
import { foldConstants } from "../src/passes/fold-constants.js";
import { halfWeights } from "../src/passes/half-weights.js";
import { removeDeadNodes, removeUnread } from "../src/passes/remove-unread.js";
import { randomTensor, smallGraph } from "./small-graphs.js";

const count = 9_000;
/**
 * For all of a test's steps together; a busy machine is a few times slower than an idle one, where each takes less than
 * a second.
 */
const timeout = 60_000;

const places = Array.from({ length: count }, (_, at) => at);
const before = (at: number, first: string): string => (at === 0 ? first : `v${at - 1}`);
const conv = (from: string, weight: string, to: string): Node =>
  makeNode("Conv", [from, weight], [to], { pads: ints([1, 1, 1, 1]) }, { name: to });
const graphOf = (nodes: readonly Node[]): Graph =>
  smallGraph({
    nodes,
    initializers: { w: randomTensor([4, 4, 3, 3], 1), one: randomTensor([1], 2) },
    inputs: [{ name: "x", tensor: { type: "float32", dims: [1, 4, 8, 8] } }],
    outputs: ["y"],
  });
const onData = (op: string, more: readonly string[] = [], attributes = {}): Graph =>
  graphOf([
    ...places.map((at) => makeNode(op, [before(at, "x"), ...more], [`v${at}`], attributes)),
    conv(`v${count - 1}`, "w", "y"),
  ]);
const onWeight = (op: string, attributes = {}): Graph =>
  graphOf([
    ...places.map((at) => makeNode(op, [before(at, "w")], [`v${at}`], attributes)),
    conv("x", `v${count - 1}`, "y"),
  ]);

const chains: Readonly<Record<string, () => Graph>> = {
  Identity: () => onData("Identity"),
  Relu: () => onData("Relu"),
  "Add of a constant": () => onData("Add", ["one"]),
  "Add of what came two before": () =>
    graphOf([
      ...places.map((at) => makeNode("Add", [before(at, "x"), at < 2 ? "x" : `v${at - 2}`], [`v${at}`])),
      conv(`v${count - 1}`, "w", "y"),
    ]),
  "Identity on a weight": () => onWeight("Identity"),
  "Cast on a weight": () => onWeight("Cast", { to: int(1) }),
  "Neg on a weight": () => onWeight("Neg"),
};

const passes: Readonly<Record<string, Pass>> = {
  ...{ foldBatchNorm, foldConstants: foldConstants(), halfWeights, prepareForPlanning, removeDeadNodes, removeUnread },
};

describe.each(Object.keys(chains))("a chain of 9,000 nodes (%s)", (name) => {
  test("is written, read, checked, counted and rewritten", { timeout }, () => {
    const graph = chains[name]!();
    const read = readModel(writeModel(graph), { memory: Number.POSITIVE_INFINITY });
    expect(read.nodes).toHaveLength(count + 1);
    expect(inferShapes(read).get("y")?.dims).toEqual([1, 4, 8, 8]);
    expect(cost(read).macs).toBe(64 * 144);
    expect(printGraph(read).split("\n").length).toBeGreaterThan(count);
    const constant = indexOf(read).constant;
    for (const { outputs } of read.nodes) constant(outputs[0]!);
    for (const pass of Object.values(passes)) verifyGraph(pass(read).graph);
    expect(residualBlocks(read).length).toBeLessThanOrEqual(count);
    expect(convLayers(read)).toHaveLength(1);
    const { layers } = findLayers(read);
    if (name === "Neg on a weight") return expect(layers).toEqual([]);
    const { graph: compressed } = basis({ basis: 2 })(read);
    verifyGraph(expand(chooseLayouts(() => "grouped")(compressed).graph).graph);
  });
});

test("nine thousand nodes in the wrong order are sorted", { timeout }, () => {
  const graph = chains.Relu!();
  const ordered = orderGraph({ ...graph, nodes: graph.nodes.toReversed() });
  expect(ordered.nodes).toEqual(graph.nodes);
});

test("nine thousand layers in a row are found, folded and counted", { timeout }, () => {
  const norms = ["s", "t", "m", "v"];
  const nodes = places.flatMap((at) => [
    conv(at === 0 ? "x" : `n${at - 1}`, "w", `c${at}`),
    makeNode("BatchNormalization", [`c${at}`, ...norms], [at === count - 1 ? "y" : `n${at}`]),
  ]);
  const graph = graphOf(nodes);
  const ones = float32Tensor([4], new Float32Array(4).fill(1));
  const whole = withInitializers(graph, new Map(norms.map((name) => [name, ones])));
  const { graph: folded, outcomes } = foldBatchNorm(whole);
  expect(outcomes.every(({ applied }) => applied)).toBe(true);
  expect(cost(folded)).toMatchObject({ weights: 144, macs: count * 64 * 144 });
  expect(findLayers(folded).layers.map((layer) => layer.nodes.length)).toEqual([count]);
});

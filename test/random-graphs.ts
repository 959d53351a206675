// Randomly drawn networks, as odd as exporters write them: the same seed gives the same network.
import { int, makeNode } from "../src/graph/attributes.js";
import type { DataType, Dim, Graph, Node, Value } from "../src/graph/types.js";
import { Random } from "../src/linalg/random.js";
import { between, chance, type Draft, type Live, newDraft, one, put, putLive, several } from "./random-draft.js";
import {
  activation,
  batchNorm,
  concat,
  conv,
  convTranspose,
  head,
  join,
  levels,
  normalisedConv,
  pool,
} from "./random-layers.js";

export interface DrawnGraph {
  /** Its nodes may stand in any order: what ONNX Runtime sorts when it opens the file. */
  readonly graph: Graph;
  /** Sizes of its inputs. */
  readonly shapes: ReadonlyMap<string, readonly number[]>;
  /** It computes in half precision. */
  readonly half: boolean;
}

/** Layers by how often they are drawn. */
const layers = [
  ...[conv, conv, conv, normalisedConv, normalisedConv, normalisedConv, convTranspose],
  ...[batchNorm, activation, activation, join, join, concat, pool, levels],
];

export function drawGraph(seed: number): DrawnGraph {
  const random = new Random(seed);
  const choice = newDraft(random, 17, "float32");
  const type: DataType = chance(choice, 0.08) ? "float16" : "float32";
  const draft = newDraft(random, between(choice, 7, 21), type);
  const rank = one(draft, 1, 2, 2, 2, 2, 3);
  const inputs = [drawInput(draft, rank, "float32")];
  let x: Live = inputs[0]!.live;
  if (type === "float16") x = putLive(draft, put(draft, "Cast", [x.name], { to: int(10) }), x.dims);
  draft.live.splice(0, draft.live.length, x);
  for (let layer = between(draft, 3, 14); layer > 0; layer--) x = one(draft, ...layers)(draft, x);
  if (chance(draft, 0.25) && type === "float32") x = withInput(draft, x, inputs);
  if (chance(draft, 0.45)) x = head(draft, x);
  if (chance(draft, 0.2)) put(draft, "Relu", [x.name]); // nobody reads it
  return {
    graph: graphOf(draft, x, inputs),
    shapes: new Map(inputs.map(({ live }) => [live.name, live.dims])),
    half: type === "float16",
  };
}

interface Input {
  readonly value: Value;
  readonly live: Live;
}

function drawInput(draft: Draft, rank: number, type: DataType): Input {
  const dims = [
    one(draft, 1, 1, 2),
    one(draft, 1, 3, 4, 6, 8),
    ...several(draft, rank, rank === 3 ? 4 : 5, rank === 3 ? 6 : 12),
  ];
  return inputOf(draft, one(draft, "x", "input.1", "圖", "data:0"), dims, type);
}

/** A graph input whose sizes are stated or free; equal sizes may have one symbol. */
function inputOf(draft: Draft, name: string, dims: readonly number[], type: DataType): Input {
  const free = (size: number, axis: number): Dim =>
    axis === 1 || chance(draft, 0.6)
      ? size
      : axis === 0
        ? one<Dim>(draft, "N", "batch", null)
        : one<Dim>(draft, `S${size}`, null);
  return { value: { name, tensor: { type, dims: dims.map(free) } }, live: { name, dims } };
}

/** A second input, added to a value. */
function withInput(draft: Draft, x: Live, inputs: Input[]): Live {
  const other = inputOf(draft, "second input", x.dims, "float32");
  inputs.push(other);
  return putLive(draft, put(draft, one(draft, "Add", "Mul"), [x.name, other.live.name]), x.dims);
}

function graphOf(draft: Draft, last: Live, inputs: readonly Input[]): Graph {
  const { opset, type, nodes, initializers } = draft;
  const given = new Set(inputs.map(({ live }) => live.name));
  const passing = given.has(last.name) || initializers.has(last.name);
  const end = passing ? put(draft, "Identity", [last.name]) : last.name;
  const inner = draft.live.map(({ name }) => name).filter((name) => name !== end && !given.has(name));
  const more = [...inner, ...draft.extras].filter(() => chance(draft, 0.08));
  const outputs = [...new Set([end, ...draft.kept.filter((name) => !given.has(name)), ...more])].map(
    (name): Value => ({ name, tensor: { type } }),
  );
  const old = chance(draft, 0.15);
  const listed = [...initializers].map(([name, { type: own, dims }]): Value => ({ name, tensor: { type: own, dims } }));
  return {
    name: "drawn",
    nodes: chance(draft, 0.25) ? shuffled(draft, nodes) : nodes,
    initializers,
    inputs: [...inputs.map(({ value }) => value), ...(old ? listed : [])],
    outputs,
    values: new Map(),
    opsets: new Map([["", opset]]),
    irVersion: old ? 3 : one(draft, 4, 7, 8, 10),
    metadata: new Map(),
  };
}

function shuffled({ random }: Draft, nodes: readonly Node[]): readonly Node[] {
  const mixed = nodes.map((node) =>
    makeNode(node.op, node.inputs, node.outputs, Object.fromEntries(node.attributes), node),
  );
  for (let at = mixed.length - 1; at > 0; at--) {
    const other = random.int(at + 1);
    [mixed[at], mixed[other]] = [mixed[other]!, mixed[at]!];
  }
  return mixed;
}

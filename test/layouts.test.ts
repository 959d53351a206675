// The four layouts of a convolution over a basis, its single node, and the dense filters that it stands for, compute
// the same numbers in our interpreter and in both of ONNX Runtime's implementations.
import { describe, expect, test } from "vitest";
import { reconstruct } from "../src/basis/initialise.js";
import { type Layout, layoutNodes, layouts } from "../src/basis/layouts.js";
import { float32Tensor, int, ints, makeNode, string } from "../src/graph/attributes.js";
import { makeBasisConv } from "../src/graph/basis-conv.js";
import { freshNames } from "../src/graph/edit.js";
import type { Attribute, Graph, Node, TensorData } from "../src/graph/types.js";
import { floats } from "../src/graph/values.js";
import { Network } from "../src/interpreter/network.js";
import { openSession } from "../src/runtime/index.js";
import { fromArray, TensorScope, unloadableReason } from "../src/torch/index.js";
import { randomTensor, smallGraph } from "./small-graphs.js";

const tolerance = 1e-4; // of the largest output: what the project promises for float32 sums in another order

interface Case {
  readonly kernel: number;
  readonly stride: number;
  readonly padding: string;
  readonly splits: number;
  readonly bias: boolean;
  readonly basisBias?: boolean;
  readonly slice?: boolean;
  readonly opset?: number;
}

const [n, c, m] = [6, 8, 3];

interface Parts {
  readonly nodes: readonly Node[];
  readonly initializers: Readonly<Record<string, TensorData>>;
  readonly outputs: readonly string[];
}

/** All cases side by side in one graph over one input. */
function graphOf(cases: readonly Case[]): Graph {
  const parts = cases.map(partsOf);
  return smallGraph({
    nodes: parts.flatMap(({ nodes }) => nodes),
    initializers: Object.assign({}, ...parts.map(({ initializers }) => initializers)) as Record<string, TensorData>,
    inputs: [{ name: "x", tensor: { type: "float32", dims: ["N", c, "H", "W"] } }],
    outputs: parts.flatMap(({ outputs }) => outputs),
    opset: cases[0]!.opset ?? 17,
  });
}

/**
 * All layouts of one layer, as outputs I.split, I.batch-folded, I.grouped and I.dense, as one node I.node, and the
 * filters themselves as I.filters.
 */
function partsOf(
  { kernel, stride, padding, splits, bias, basisBias = false, slice = false, opset = 17 }: Case,
  index: number,
): Parts {
  const p = c / splits;
  const width = slice ? p + 2 : p;
  const initializers: Record<string, TensorData> = {
    B: randomTensor([m, width, kernel, kernel], 1),
    A: randomTensor([n, splits * m, 1, 1], 2),
    ...(bias ? { bias: randomTensor([n], 3) } : {}),
    ...(basisBias ? { "basis.bias": randomTensor([m], 4) } : {}),
  };
  const attributes = new Map<string, Attribute>([["strides", ints([stride, stride])], ...paddings[padding]!(kernel)]);
  const layer = {
    input: "x",
    basis: "B",
    coefficients: "A",
    bias: bias ? "bias" : "",
    basisBias: basisBias ? "basis.bias" : "",
    splits,
    basisSize: m,
    outChannels: n,
    inChannels: c,
    kernel: [kernel, kernel],
    slice: slice ? ([1, 1 + p] as const) : null,
    attributes,
  };
  const outputs = [...layouts, "node", "filters"];
  const fresh = freshNames(smallGraph({ nodes: [], initializers, outputs }));
  const nodes: Node[] = layouts.flatMap((layout: Layout) => [
    ...layoutNodes({ ...layer, name: `layer.${layout}`, output: layout }, layout, { fresh, opset }),
  ]);
  const layout = layouts[index % layouts.length]!;
  const provenance = { method: "basis", error: null, weight: "W" };
  nodes.push(makeBasisConv({ ...layer, name: "layer.node", output: "node", layout, provenance }));
  const b = floats(initializers.B!);
  const area = kernel * kernel;
  const read = Float64Array.from({ length: m * p * area }, (_, i) => {
    const [j, rest] = [Math.floor(i / (p * area)), i % (p * area)];
    return b[j * width * area + (slice ? area : 0) + rest]!;
  });
  initializers.W = float32Tensor(
    [n, c, kernel, kernel],
    Float32Array.from(reconstruct(read, Float64Array.from(floats(initializers.A!)), m)),
  );
  const names = ["x", "W"];
  if (bias || basisBias) {
    initializers["bias.all"] = float32Tensor([n], totalBias(initializers, splits));
    names.push("bias.all");
  }
  nodes.push(
    makeNode("Conv", names, ["filters"], {
      ...Object.fromEntries(attributes),
      kernel_shape: ints([kernel, kernel]),
      group: int(1),
    }),
  );
  const own = (name: string): string => (name === "" || name === "x" ? name : `${index}.${name}`);
  return {
    nodes: nodes.map((node) => ({
      ...node,
      name: own(node.name),
      inputs: node.inputs.map(own),
      outputs: node.outputs.map(own),
    })),
    initializers: Object.fromEntries(Object.entries(initializers).map(([name, value]) => [own(name), value])),
    outputs: outputs.map(own),
  };
}

/** Where padding is zeros, a bias of the basis comes through the coefficients as a constant. */
function totalBias({ A, bias, "basis.bias": basisBias }: Record<string, TensorData>, splits: number): Float32Array {
  const a = floats(A!);
  const own = bias ? floats(bias) : new Float32Array(n);
  const shift = basisBias ? floats(basisBias) : new Float32Array(m);
  return own.map((value, o) => {
    let sum = value;
    for (let k = 0; k < splits * m; k++) sum += a[o * splits * m + k]! * shift[k % m]!;
    return sum;
  });
}

const paddings: Record<string, (kernel: number) => [string, Attribute][]> = {
  "no padding": () => [],
  symmetric: (k) => [["pads", ints([k >> 1, k >> 1, k >> 1, k >> 1])]],
  asymmetric: () => [["pads", ints([0, 2, 1, 0])]],
  SAME_UPPER: () => [["auto_pad", string("SAME_UPPER")]],
  dilated: (k) => [
    ["dilations", ints([2, 2])],
    ["pads", ints([k - 1, k - 1, k - 1, k - 1])],
  ],
};

/** Cases that go into one graph differ in splits and bias only. */
const crossed: Case[][] = [1, 3, 5].flatMap((kernel) =>
  [1, 2].flatMap((stride) =>
    Object.keys(paddings).map((padding) =>
      [1, 2, 4, 8].flatMap((splits) => [true, false].map((bias) => ({ kernel, stride, padding, splits, bias }))),
    ),
  ),
);
const special: Case[] = [
  { kernel: 3, stride: 2, padding: "symmetric", splits: 2, bias: true, basisBias: true },
  { kernel: 3, stride: 1, padding: "asymmetric", splits: 4, bias: false, basisBias: true },
  { kernel: 3, stride: 1, padding: "symmetric", splits: 1, bias: true, slice: true },
  { kernel: 5, stride: 2, padding: "asymmetric", splits: 2, bias: false, slice: true, basisBias: true },
  { kernel: 3, stride: 1, padding: "symmetric", splits: 4, bias: true, slice: true, opset: 9 },
  { kernel: 1, stride: 2, padding: "no padding", splits: 8, bias: true, opset: 11 },
];

const batches: Case[][] = [...crossed, ...special.map((one) => [one])];

const shape = [2, c, 9, 7];
const input = randomTensor(shape, 9);

/** The largest difference of any layout from the dense filters, of the largest output. */
function worst(outputs: Readonly<Record<string, Float32Array>>, index: number): number {
  const reference = outputs[`${index}.filters`]!;
  const largest = reference.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
  let difference = 0;
  for (const layout of [...layouts, "node"]) {
    expect(outputs[`${index}.${layout}`]!.length).toBe(reference.length);
    for (const [i, value] of outputs[`${index}.${layout}`]!.entries())
      difference = Math.max(difference, Math.abs(value - reference[i]!));
  }
  return difference / largest;
}

function check(batch: readonly Case[], outputs: Readonly<Record<string, Float32Array>>): void {
  for (const [index, one] of batch.entries())
    expect(worst(outputs, index), JSON.stringify(one)).toBeLessThan(tolerance);
}

const title = `all layouts, the single node and the dense filters agree for ${batches.flat().length} kinds of convolution`;

describe.each(["node", "web"] as const)("onnxruntime-%s", (runtime) => {
  test(title, async () => {
    for (const batch of batches) {
      const session = await openSession(graphOf(batch), { runtime, threads: 1 });
      const outputs = await session.run({ x: input });
      await session.release();
      check(batch, Object.fromEntries(Object.entries(outputs).map(([name, value]) => [name, floats(value)])));
    }
  });
});

describe("our interpreter", () => {
  const missing = unloadableReason();
  test.skipIf(missing !== undefined)(`${title}${missing === undefined ? "" : ` (skipped: ${missing})`}`, () => {
    for (const batch of batches) {
      using scope = new TensorScope();
      using network = new Network(graphOf(batch));
      const outputs = network.forward(new Map([["x", scope.keep(fromArray(floats(input), shape))]]));
      check(
        batch,
        Object.fromEntries(
          [...outputs].map(([name, value]) => [name, Float32Array.from(value.data() as Float32Array)]),
        ),
      );
    }
  });
});

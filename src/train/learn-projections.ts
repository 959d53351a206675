// Learning the projections of CaP (methods/cap.ts) on calibration batches, weights frozen, the original as teacher:
//
//   L = sum_l |y_l - y'_l|^2 / var(y_l) + gamma CE       y_l: what the layers behind a projection give (P y'_l, where
//                                                         that is projected itself)
//
// P [n, r] stays orthonormal: it is the polar factor of a free matrix X, whose gradient for G = dL/dP at X = P is
// P K + (G - P P^T G) with K = (P^T G - G^T P) / 2; after each step X is set back to its polar factor. The mixture of
// losses is the paper's; the place of y_l, its scale, the rates and the number of steps are our own.
import { nodeName } from "../graph/attributes.js";
import { feeds } from "../graph/edit.js";
import { indexOf } from "../graph/graph-index.js";
import type { Graph, Node } from "../graph/types.js";
import { numbers } from "../graph/values.js";
import { Network } from "../interpreter/network.js";
import { type Matrix, matrix, transpose } from "../linalg/matrix.js";
import { type CapOptions, planProjections, projectionOf } from "../methods/cap.js";
import { foldedFilters } from "../methods/channel-interfaces.js";
import { insertProjections, type Projected } from "../methods/insert-projections.js";
import { backward, call, type Device, fromArray, noGrad, type Tensor, TensorScope, unowned } from "../torch/index.js";
import { bestLinearAlgebra } from "../torch/linalg.js";
import type { Learner } from "./knowledge.js";
import { nthBatch } from "./sources.js";

const defaults = { steps: 100, lr: 0.01, momentum: 0.9, gamma: 1 } as const;

/** A projection in the course of learning. */
interface Learned {
  readonly of: Projected;
  values: Matrix;
  velocity: Float64Array;
  tensor: Tensor;
}

export const learnProjections: Learner = async ({ graph, network, source, batches, options, note, moments }) => {
  const given = options as CapOptions;
  const { steps = defaults.steps, lr = defaults.lr, gamma = defaults.gamma } = given;
  const known = { ...given, ...(moments && { moments }) };
  const { found, interfaces } = planProjections(graph, known);
  const start = interfaces.map((one): Projected => ({ ...one, projection: projectionOf(graph, one, known) }));
  if (start.length === 0) return {};
  const student = studentOf(graph, insertProjections(graph, found, start), start, network.device);
  using learner = new Network(student.graph, { device: network.device, trainable: () => false });
  const learned = start.map((of): Learned => newLearned(of, network.device));
  const [input = { name: "" }] = feeds(graph);
  const output = graph.outputs[0]!.name;
  const watched = watchedValues(start);
  let [first, last] = [0, 0];
  for (let step = 0; step < steps; step++) {
    const batch = await nthBatch(source, step % batches);
    using _scope = new TensorScope();
    const x = fromArray(batch.input, batch.inputDims, "float32", network.device);
    const keep = watched.map(({ name }) => name).filter((name) => name !== output);
    const wanted = noGrad(() => network.forward(new Map([[input.name, x]]), { keep }));
    const got = learner.forward(new Map([[input.name, x], ...student.weights(learned)]), { keep });
    const terms = watched.map(({ name, projected }) => {
      const seen = got.get(name)!;
      const back = projected === undefined ? seen : along(seen, 1, call("t", learned[projected]!.tensor));
      return relative(back, wanted.get(name)!);
    });
    const labels = batch.target instanceof BigInt64Array && gamma > 0 ? batch.target : undefined;
    if (labels !== undefined) {
      const target = fromArray(labels, batch.targetDims, undefined, network.device);
      terms.push(call("mul.Scalar", call("cross_entropy_loss", got.get(output)!, target), gamma));
    }
    const loss = terms.reduce((a, b) => call("add.Tensor", a, b));
    last = Number(loss.item());
    if (step === 0) first = last;
    backward(loss);
    for (const one of learned) move(one, lr, network.device);
    await new Promise(setImmediate);
  }
  note(`projections learned in ${steps} steps: loss ${first.toPrecision(4)} -> ${last.toPrecision(4)}`);
  for (const { tensor } of learned) tensor.dispose();
  return { projections: new Map(learned.map(({ of, values }) => [nodeName(of.maker.node), values])) };
};

/**
 * What the layers behind projections give, each once; of one whose own outputs are projected what its norm gives, and
 * by which projection that is taken back.
 */
function watchedValues(start: readonly Projected[]): readonly { readonly name: string; readonly projected?: number }[] {
  const readers = new Set(start.flatMap((one) => one.readers.map(({ node }) => node)));
  return [...readers].map((node) => {
    const projected = start.findIndex(({ maker }) => maker.node === node);
    if (projected < 0) return { name: node.outputs[0]! };
    return { name: (start[projected]!.norm ?? node).outputs[0]!, projected };
  });
}

const newLearned = (of: Projected, device: Device): Learned => ({
  ...{ of, values: of.projection, velocity: new Float64Array(of.projection.data.length) },
  tensor: leaf(of.projection, device),
});

function leaf({ rows, cols, data }: Matrix, device: Device): Tensor {
  const tensor = unowned(() => fromArray(Float32Array.from(data), [rows, cols], "float32", device));
  tensor.requiresGrad = true;
  return tensor;
}

/** Mean squared difference over the variance of what was wanted. */
function relative(got: Tensor, wanted: Tensor): Tensor {
  const variance = Number(call("var", wanted, false).item());
  return call("mul.Scalar", call("mse_loss", got, wanted, 1), 1 / Math.max(variance, 1e-12));
}

/** One step of the free matrix, and back to its polar factor. */
function move(one: Learned, rate: number, device: Device): void {
  const { values: p, velocity, tensor } = one;
  const gradient = tensor.grad;
  if (gradient === null) return;
  const g = matrix(p.rows, p.cols, Float64Array.from(gradient.data() as Float32Array));
  const { multiply, svd } = bestLinearAlgebra();
  const inner = multiply(transpose(p), g); // P^T G [r, r]
  const turned = transpose(inner).data;
  const skew = inner.data.map((value, at) => (value - turned[at]!) / 2);
  const k = matrix(p.cols, p.cols, skew);
  const [turn, along] = [multiply(p, k), multiply(p, inner)];
  const moved = new Float64Array(p.data.length);
  for (let at = 0; at < moved.length; at++) {
    velocity[at] = defaults.momentum * velocity[at]! + turn.data[at]! + g.data[at]! - along.data[at]!;
    moved[at] = p.data[at]! - rate * velocity[at]!;
  }
  const { u, v } = svd(matrix(p.rows, p.cols, moved));
  one.values = multiply(u, transpose(v));
  tensor.dispose();
  one.tensor = leaf(one.values, device);
}

/** A value that the student takes in the place of a bias or of a norm's shift: P^T b, and what the norm takes off. */
interface Shift {
  readonly name: string;
  readonly bias: Float64Array;
  readonly taken: Float32Array | undefined;
}

type Base = ReadonlyMap<string, { readonly dims: readonly number[]; readonly values: Float64Array }>;

/** The projected network, with what depends on projections as inputs, and these as tensors made of projections. */
function studentOf(graph: Graph, projected: Graph, start: readonly Projected[], device: Device) {
  const { stored } = indexOf(graph);
  const now = new Map(projected.nodes.map((node): [string, Node] => [node.outputs[0]!, node]));
  const folded = start.map((one) => foldedFilters(graph, one));
  const shifts = start.flatMap(({ maker, norm }, at): Shift[] => {
    const { inputs } = now.get((norm ?? maker.node).outputs[0]!)!;
    const taken = norm && Float32Array.from(numbers(projected.initializers.get(inputs[3]!)!));
    return inputs[2] ? [{ name: inputs[2], bias: folded[at]!.bias, taken }] : [];
  });
  const roots = new Set(start.flatMap(({ maker, readers }) => [maker.root, ...readers.map(({ root }) => root)]));
  const base: Base = new Map(
    [...roots].map((root) => {
      const { tensor } = stored(root)!;
      const made = start.findIndex(({ maker }) => maker.root === root);
      return [root, { dims: tensor.dims, values: made < 0 ? numbers(tensor) : folded[made]!.filters.data }] as const;
    }),
  );
  const free = new Set([...roots, ...shifts.map(({ name }) => name)]);
  const dims = (name: string) => projected.initializers.get(name)!.dims;
  const inputs = [...free].map((name) => ({ name, tensor: { type: "float32" as const, dims: dims(name) } }));
  const student: Graph = {
    ...projected,
    inputs: [...projected.inputs.filter(({ name }) => !free.has(name)), ...inputs],
    initializers: new Map([...projected.initializers].filter(([name]) => !free.has(name))),
  };
  return { graph: student, weights: (learned: readonly Learned[]) => weightsOf(learned, base, shifts, device) };
}

/** Weights along both of their axes, and what is added behind them. */
function weightsOf(
  learned: readonly Learned[],
  base: Base,
  shifts: readonly Shift[],
  device: Device,
): readonly [string, Tensor][] {
  const put = (values: ArrayLike<number>, dims: readonly number[]): Tensor =>
    fromArray(Float32Array.from(values), dims, "float32", device);
  const all: [string, Tensor][] = [];
  for (const [root, { dims, values }] of base) {
    let tensor = put(values, dims);
    for (const { of, tensor: p } of learned) {
      if (of.maker.root === root) tensor = along(tensor, 0, p);
      const reader = of.readers.find((one) => one.root === root);
      if (reader !== undefined) tensor = along(tensor, reader.axes.from, p);
    }
    all.push([root, tensor]);
  }
  for (const [at, { name, bias, taken }] of shifts.entries()) {
    const vector = put(bias, [1, bias.length]);
    const added = call("reshape", call("mm", vector, learned[at]!.tensor), [-1]);
    all.push([name, taken === undefined ? added : call("add.Tensor", added, put(taken, [taken.length]))]);
  }
  return all;
}

/** T P along an axis: [.., n, ..] -> [.., r, ..]. */
function along(tensor: Tensor, axis: number, p: Tensor): Tensor {
  const moved = call("transpose.int", tensor, axis, -1);
  return call("transpose.int", call("matmul", moved, p), axis, -1);
}

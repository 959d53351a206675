// Writing projections P between layers into their weights: the layer that makes channels gets r filters P^T W, those
// that read them W P along their inputs, and the batch norm in between r entries that change nothing.
import { elements, readFloat } from "../graph/attributes.js";
import { freshNames } from "../graph/edit.js";
import { indexOf } from "../graph/graph-index.js";
import type { Graph, Node, TensorData } from "../graph/types.js";
import { numbers, tensorOf } from "../graph/values.js";
import { pureLinearAlgebra } from "../linalg/low-rank.js";
import { type Matrix, matrix, transpose } from "../linalg/matrix.js";
import { dropUnread } from "../passes/remove-unread.js";
import type { ChannelGraph } from "./channel-classes.js";
import { type ChannelInterface, foldedFilters } from "./channel-interfaces.js";

export type Projected = ChannelInterface & { readonly projection: Matrix };

export function insertProjections(graph: Graph, { walk }: ChannelGraph, all: readonly Projected[]): Graph {
  const fresh = freshNames(graph);
  const { stored } = indexOf(graph);
  const weights = new Map<string, TensorData>();
  const added = new Map<string, TensorData>();
  const nodes = new Map<Node, Node>();
  const now = (root: string): TensorData => weights.get(root) ?? stored(root)!.tensor;
  const put = (stem: string, type: TensorData["type"], values: ArrayLike<number>): string => {
    const name = fresh(stem);
    added.set(name, tensorOf(type, [values.length], values));
    return name;
  };
  // what is read first: a layer may read one interface and make the next
  const folded = all.map((one) => foldedFilters(graph, one));
  for (const [at, one] of all.entries()) {
    const { maker, norm, projection } = one;
    const { filters, bias, statistics } = folded[at]!;
    const turned = transpose(projection); // [r, n]
    const { type, dims } = now(maker.root);
    const made = pureLinearAlgebra.multiply(turned, filters);
    weights.set(maker.root, tensorOf(type, [projection.cols, ...dims.slice(1)], made.data));
    const shift = pureLinearAlgebra.multiply(turned, matrix(bias.length, 1, bias)).data;
    const own = maker.node;
    const named = own.name || own.outputs[0]!;
    if (norm === undefined || statistics === undefined) {
      if (own.inputs[2] || shift.some((value) => value !== 0))
        nodes.set(own, { ...own, inputs: [own.inputs[0]!, own.inputs[1]!, put(`${named}.bias`, type, shift)] });
      continue;
    }
    // y = s (z - (m - b')) / s + m = z + b', with z = P^T W x: the bias goes into the norm
    const mean = pureLinearAlgebra.multiply(turned, matrix(bias.length, 1, statistics.mean)).data;
    const variance = varianceOf(turned, statistics.variance);
    const epsilon = readFloat(norm, "epsilon", 1e-5);
    const scale = variance.map((value) => Math.sqrt(value + epsilon));
    const centre = mean.map((value, place) => value - shift[place]!);
    nodes.set(own, { ...own, inputs: own.inputs.slice(0, 2) });
    const stem = norm.name || norm.outputs[0]!;
    const kind = stored(norm.inputs[1]!)!.tensor.type;
    const entries = ["scale", "shift", "mean", "variance"] as const;
    const values = { scale, shift: mean, mean: centre, variance };
    const names = entries.map((entry) => put(`${stem}.${entry}`, kind, values[entry]));
    nodes.set(norm, { ...norm, inputs: [norm.inputs[0]!, ...names] });
  }
  const read = new Set<string>();
  for (const { readers, projection } of all)
    for (const { root, axes } of readers) {
      if (read.has(root)) continue;
      read.add(root);
      weights.set(root, projectedAlong(now(root), axes.from, projection));
    }
  const projected = new Set(all.flatMap(({ of }) => of.channels));
  const stated = [...graph.values].filter(([value]) => !walk.of(value)?.ids.some((id) => projected.has(walk.find(id))));
  return assembled({ ...graph, values: new Map(stated) }, nodes, weights, added);
}

/** The variances of P^T z for z whose entries are not correlated. */
function varianceOf(turned: Matrix, variance: Float64Array): Float64Array {
  return Float64Array.from({ length: turned.rows }, (_, row) => {
    let sum = 0;
    for (let j = 0; j < turned.cols; j++) sum += turned.data[row * turned.cols + j]! ** 2 * variance[j]!;
    return sum;
  });
}

/** A tensor whose axis of n entries becomes one of r: T P. */
function projectedAlong(
  { type, dims, ...tensor }: TensorData,
  axis: number,
  { rows: n, cols: r, data: p }: Matrix,
): TensorData {
  const [outer, width] = [elements(dims.slice(0, axis)), elements(dims.slice(axis + 1))];
  const values = numbers({ type, dims, ...tensor });
  const made = new Float64Array(outer * r * width);
  for (let row = 0; row < outer; row++)
    for (let j = 0; j < n; j++)
      for (let k = 0; k < r; k++) {
        const by = p[j * r + k]!;
        const [from, to] = [(row * n + j) * width, (row * r + k) * width];
        for (let at = 0; at < width; at++) made[to + at] = made[to + at]! + by * values[from + at]!;
      }
  return tensorOf(type, dims.with(axis, r), made);
}

function assembled(
  graph: Graph,
  changed: ReadonlyMap<Node, Node>,
  weights: ReadonlyMap<string, TensorData>,
  added: ReadonlyMap<string, TensorData>,
): Graph {
  const nodes = graph.nodes
    .filter(({ op, outputs }) => op !== "Constant" || !weights.has(outputs[0]!))
    .map((node) => changed.get(node) ?? node);
  const initializers = new Map([...graph.initializers, ...weights, ...added]);
  const inputs = graph.inputs.map((input) => {
    const cut = weights.get(input.name);
    return cut === undefined || input.tensor === undefined
      ? input
      : { ...input, tensor: { ...input.tensor, dims: cut.dims } };
  });
  const read = [...changed.keys()].flatMap((node) => node.inputs);
  return dropUnread({ ...graph, nodes, inputs, initializers }, read);
}

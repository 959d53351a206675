// A sum of outer products of every block of clustered filters (Denton et al., 2014): of a block [n / H, c / G, kh kw]
// one term after another, a (filters) x s (kernel) x b (channels), each the best for what the terms before it leave
// (greedy deflation, by alternating least squares); the kernel s stays two-dimensional, as in the authors' code.
// Written as a grouped 1x1, a depthwise kh x kw and a grouped 1x1.
import { type Matrix, matrix, squaredNorm } from "../linalg/matrix.js";
import { blockOf, blockOrders, type Clusters } from "./blocks.js";
import { type Candidate, type Factors, type LayerShape, makeFactors } from "./factors.js";

export const outerProductCandidate = (clusters: Clusters, terms: number): Candidate => ({
  family: "outer-product",
  ranks: [terms],
  clusters: clusters.counts,
  ...blockOrders(clusters, terms),
});

interface Term {
  readonly a: Float64Array;
  readonly b: Float64Array;
  readonly s: Float64Array;
}

/** Terms of every block, by block (g, h) at g H + h, and what is lost after 0, 1, 2, ... of them, of all blocks. */
interface Deflation {
  readonly terms: readonly (readonly Term[])[];
  readonly lost: readonly number[];
}

/** @param weights W [n x c kh kw] */
export function deflated(weights: Matrix, shape: LayerShape, clusters: Clusters, terms: number): Deflation {
  const [g, h] = clusters.counts;
  const lost = new Array<number>(terms + 1).fill(0);
  const found: Term[][] = [];
  const [width, area] = [shape.c / g, shape.kernel[0] * shape.kernel[1]];
  for (let from = 0; from < g; from++)
    for (let to = 0; to < h; to++) {
      const block = blockOf(weights, shape, clusters, from, to);
      const exact = terms >= width * block.rows;
      const own = exact ? exactTerms(block, width, area, terms) : greedyTerms(block, width, area, terms);
      found.push(own.map(({ left: _, ...term }) => term));
      lost[0] = lost[0]! + squaredNorm(block.data);
      for (const [k, { left }] of own.entries()) lost[k + 1] = lost[k + 1]! + left;
    }
  return { terms: found, lost };
}

type LeftTerm = Term & { readonly left: number };

function greedyTerms(block: Matrix, width: number, area: number, count: number): LeftTerm[] {
  const rest = matrix(block.rows, block.cols, block.data.slice());
  return Array.from({ length: count }, () => {
    const term = bestTerm(rest, width, area);
    for (let i = 0; i < rest.rows; i++)
      for (let j = 0; j < width; j++)
        for (let t = 0; t < area; t++) {
          const at = (i * width + j) * area + t;
          rest.data[at] = rest.data[at]! - term.a[i]! * term.b[j]! * term.s[t]!;
        }
    return { ...term, left: squaredNorm(rest.data) };
  });
}

/** Rank 1 of a tensor [rows, width, area], by alternating least squares. */
function bestTerm(rest: Matrix, width: number, area: number): Term {
  let [b, s] = start(rest, width, area);
  let a: Float64Array = new Float64Array(rest.rows);
  let before = 0;
  for (let sweep = 0; sweep < 40; sweep++) {
    [a] = unit(contract(rest, width, area, { b, s }));
    [b] = unit(contract(rest, width, area, { a, s }));
    const [direction, length] = unit(contract(rest, width, area, { a, b }));
    s = direction;
    if (length - before <= 1e-6 * length) return scaled(a, b, s, length);
    before = length;
  }
  return scaled(a, b, s, before);
}

/** The leading singular pair, channels by kernel, of the filter that is largest. */
function start(rest: Matrix, width: number, area: number): [Float64Array, Float64Array] {
  let [largest, at] = [-1, 0];
  for (let i = 0; i < rest.rows; i++) {
    const size = squaredNorm(rest.data.subarray(i * rest.cols, (i + 1) * rest.cols));
    if (size > largest) [largest, at] = [size, i];
  }
  const row = rest.data.subarray(at * rest.cols, (at + 1) * rest.cols); // [width, area]
  const s = new Float64Array(area).fill(1);
  const b = new Float64Array(width);
  for (let sweep = 0; sweep < 10; sweep++) {
    for (let j = 0; j < width; j++) {
      let sum = 0;
      for (let t = 0; t < area; t++) sum += row[j * area + t]! * s[t]!;
      b[j] = sum;
    }
    for (let t = 0; t < area; t++) {
      let sum = 0;
      for (let j = 0; j < width; j++) sum += row[j * area + t]! * b[j]!;
      s[t] = sum;
    }
    const [direction] = unit(s);
    s.set(direction);
  }
  return [unit(b)[0], s];
}

/** The tensor with two of its three axes summed against vectors: the third's least squares, but for its length. */
function contract(rest: Matrix, width: number, area: number, by: Partial<Term>): Float64Array {
  const { a, b, s } = by;
  const out = new Float64Array(a === undefined ? rest.rows : b === undefined ? width : area);
  for (let i = 0; i < rest.rows; i++)
    for (let j = 0; j < width; j++) {
      const from = (i * width + j) * area;
      const factor = (a?.[i] ?? 1) * (b?.[j] ?? 1);
      if (s === undefined) for (let t = 0; t < area; t++) out[t] = out[t]! + factor * rest.data[from + t]!;
      else {
        let sum = 0;
        for (let t = 0; t < area; t++) sum += rest.data[from + t]! * s[t]!;
        const place = a === undefined ? i : j;
        out[place] = out[place]! + factor * sum;
      }
    }
  return out;
}

function unit(vector: Float64Array): [Float64Array, number] {
  const length = Math.sqrt(squaredNorm(vector));
  return [length > 0 ? vector.map((value) => value / length) : vector, length];
}

/** One length for all three. */
function scaled(a: Float64Array, b: Float64Array, s: Float64Array, length: number): Term {
  const each = Math.cbrt(length);
  const by = (vector: Float64Array) => vector.map((value) => value * each);
  return { a: by(a), b: by(b), s: by(s) };
}

/** A term for every pair of a filter and a channel; the rest is 0. */
function exactTerms(block: Matrix, width: number, area: number, count: number): LeftTerm[] {
  return Array.from({ length: count }, (_, k) => {
    const [a, b] = [new Float64Array(block.rows), new Float64Array(width)];
    const [i, j] = [Math.floor(k / width), k % width];
    if (i < block.rows) [a[i], b[j]] = [1, 1];
    const from = (i * width + j) * area;
    const s = i < block.rows ? block.data.slice(from, from + area) : new Float64Array(area);
    return { a, b, s, left: 0 };
  });
}

/** The first `count` terms of every block. */
export function outerProduct({ terms }: Deflation, shape: LayerShape, clusters: Clusters, count: number): Factors {
  const { n, c, kernel } = shape;
  const [g, h] = clusters.counts;
  const [width, height, area] = [c / g, n / h, kernel[0] * kernel[1]];
  const into = new Float64Array(g * h * count * width);
  const kernels = new Float64Array(g * h * count * area);
  const out = new Float64Array(n * g * count);
  for (const [at, own] of terms.entries()) {
    const [from, to] = [Math.floor(at / h), at % h];
    for (let k = 0; k < count; k++) {
      const { a, b, s } = own[k]!;
      into.set(b, (at * count + k) * width);
      kernels.set(s, (at * count + k) * area);
      for (let o = 0; o < height; o++) out[((to * height + o) * g + from) * count + k] = a[o]!;
    }
  }
  return makeFactors(outerProductCandidate(clusters, count), shape, [into, kernels, out]);
}

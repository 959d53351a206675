// CP decomposition (Lebedev et al., 2015): W[i, j, y, x] = sum_r A[i, r] B[j, r] Y[y, r] X[x, r], R outer products of
// four vectors. Alternating least squares: with three factors fixed the fourth solves F (G + mu I) = T, T the
// matricised tensor times the Khatri-Rao product of the others, G the product of their Gram matrices, element by
// element. The paper found a non-linear least squares solver clearly better than plain ALS; here several starts, a
// ridge mu that falls from 1e-3 to 1e-6 of G's diagonal (it keeps terms from growing and cancelling), and a step of
// extrapolation after each sweep take its place.
import type { LinearAlgebra } from "../linalg/low-rank.js";
import { type Matrix, matrix, squaredNorm, transpose } from "../linalg/matrix.js";
import { Random } from "../linalg/random.js";

/** Factors of R columns: A [n x R], B [c x R], Y [kh x R], X [kw x R]. */
export interface CpTerms {
  readonly a: Matrix;
  readonly b: Matrix;
  readonly y: Matrix;
  readonly x: Matrix;
  /** The share of the tensor's squared norm that is lost. */
  readonly lost: number;
}

/** W [n, c, kh, kw], row-major. */
export interface Tensor4 {
  readonly dims: readonly [n: number, c: number, kh: number, kw: number];
  readonly values: Float64Array;
}

type Columns = Pick<CpTerms, "a" | "b" | "y" | "x">;

export interface CpOptions {
  readonly seed?: number;
  /** A start beside those found here. */
  readonly start?: Columns;
}

/** Multiplications of one decomposition, about: larger tensors get fewer sweeps and starts. */
const affordable = 6e9;
const [mostSweeps, leastSweeps, trialSweeps, mostStarts] = [100, 12, 8, 5];
const settled = 1e-7;

/**
 * R terms with a small error; exact for R from min(n, c) kh kw on. Columns of one term have one length in all four
 * factors.
 */
export function cpTerms(tensor: Tensor4, rank: number, linear: LinearAlgebra, options: CpOptions = {}): CpTerms {
  const [n, c, kh, kw] = tensor.dims;
  if (rank >= Math.min(n, c) * kh * kw) return exactTerms(tensor, rank);
  const size = Math.sqrt(squaredNorm(tensor.values) / tensor.values.length);
  if (!(size > 0)) return { ...zeros(tensor.dims, rank), lost: 0 };
  const problem = { dims: tensor.dims, values: tensor.values.map((value) => value / size), linear };
  const work = 2 * n * c * kh * kw * rank;
  const sweeps = Math.max(leastSweeps, Math.min(mostSweeps, Math.floor(affordable / work)));
  const starts = startsOf(problem, rank, options, sweeps < mostSweeps ? 1 : mostStarts);
  const tried = starts.map((start) => descend(problem, start, starts.length > 1 ? trialSweeps : 0));
  const best = tried.reduce((a, b) => (b.lost < a.lost ? b : a));
  const { lost, ...found } = descend(problem, best, sweeps);
  const grown = {
    ...found,
    a: matrix(
      n,
      rank,
      found.a.data.map((value) => value * size),
    ),
  };
  return { ...evened(grown), lost };
}

interface Problem extends Tensor4 {
  readonly linear: LinearAlgebra;
}

function descend(problem: Problem, start: Columns, sweeps: number): CpTerms {
  let now: CpTerms = { ...start, lost: Infinity };
  let before: Columns | undefined;
  for (let sweep = 0; sweep < sweeps; sweep++) {
    const ridge = 1e-3 * 10 ** ((-3 * sweep) / Math.max(1, sweeps - 1));
    let from: Columns = now;
    if (before !== undefined && sweep > 2) {
      const ahead = extrapolated(before, now, Math.cbrt(sweep));
      if (lostBy(problem, ahead) < now.lost) from = ahead;
    }
    const next = evenedTerms(swept(problem, from, ridge));
    if (now.lost - next.lost < settled * now.lost && sweep > 4 && ridge < 1e-5)
      return next.lost < now.lost ? next : now;
    [before, now] = [now, next];
  }
  return now;
}

/** Each factor once, in the order a, b, y, x. */
function swept({ dims, values, linear }: Problem, { b, y, x }: Columns, ridge: number): CpTerms {
  const [n, c, kh, kw] = dims;
  const unfolded = matrix(n, c * kh * kw, values);
  const solve = (target: Matrix, ...others: readonly Matrix[]) => leastSquares(target, others, ridge, linear);
  const a = solve(linear.multiply(unfolded, khatriRao(khatriRao(b, y), x)), b, y, x);
  const projected = linear.multiply(transpose(a), unfolded); // [R x c kh kw]
  const newB = solve(contractKernel(projected, dims, y, x), a, y, x);
  const kernels = contractChannels(projected, dims, newB); // [R x kh kw]
  const newY = solve(contractAxis(kernels, dims, x, 0), a, newB, x);
  const target = contractAxis(kernels, dims, newY, 1);
  const newX = solve(target, a, newB, newY);
  const all = squaredNorm(values);
  const inner = target.data.reduce((sum, value, i) => sum + value * newX.data[i]!, 0);
  const own = normalMatrix([a, newB, newY, newX], linear).data.reduce((sum, value) => sum + value, 0);
  return { a, b: newB, y: newY, x: newX, lost: Math.max(0, (all - 2 * inner + own) / all) };
}

function lostBy({ dims, values, linear }: Problem, { a, b, y, x }: Columns): number {
  const [n, c, kh, kw] = dims;
  const projected = linear.multiply(transpose(a), matrix(n, c * kh * kw, values));
  const target = contractAxis(contractChannels(projected, dims, b), dims, y, 1);
  const inner = target.data.reduce((sum, value, i) => sum + value * x.data[i]!, 0);
  const own = normalMatrix([a, b, y, x], linear).data.reduce((sum, value) => sum + value, 0);
  const all = squaredNorm(values);
  return Math.max(0, (all - 2 * inner + own) / all);
}

/** F with F (G + ridge mean(diag G) I) = T. */
function leastSquares(target: Matrix, others: readonly Matrix[], ridge: number, linear: LinearAlgebra): Matrix {
  const normal = normalMatrix(others, linear);
  const size = normal.rows;
  let trace = 0;
  for (let r = 0; r < size; r++) trace += normal.data[r * size + r]!;
  const data = normal.data.slice();
  for (let r = 0; r < size; r++) data[r * size + r] = data[r * size + r]! + (ridge * trace) / size;
  return transpose(linear.solve(matrix(size, size, data), transpose(target)));
}

/** The Gram matrices multiplied element by element: [R x R]. */
function normalMatrix(factors: readonly Matrix[], linear: LinearAlgebra): Matrix {
  const [first, ...rest] = factors.map((factor) => linear.gram(factor));
  const data = first!.data.slice();
  for (const other of rest) for (let i = 0; i < data.length; i++) data[i] = data[i]! * other.data[i]!;
  return matrix(first!.rows, first!.cols, data);
}

/** [p x R] and [q x R] -> [p q x R], row i q + j. */
function khatriRao(first: Matrix, second: Matrix): Matrix {
  const rank = first.cols;
  const data = new Float64Array(first.rows * second.rows * rank);
  for (let i = 0, at = 0; i < first.rows; i++)
    for (let j = 0; j < second.rows; j++)
      for (let r = 0; r < rank; r++, at++) data[at] = first.data[i * rank + r]! * second.data[j * rank + r]!;
  return matrix(first.rows * second.rows, rank, data);
}

/** sum over y, x of Q[r, j, y, x] Y[y, r] X[x, r]: [c x R]. */
function contractKernel(projected: Matrix, [, c, kh, kw]: Tensor4["dims"], y: Matrix, x: Matrix): Matrix {
  const rank = projected.rows;
  const kernels = khatriRao(y, x).data;
  const out = new Float64Array(c * rank);
  for (let r = 0; r < rank; r++)
    for (let j = 0; j < c; j++) {
      let sum = 0;
      const from = (r * c + j) * kh * kw;
      for (let t = 0; t < kh * kw; t++) sum += projected.data[from + t]! * kernels[t * rank + r]!;
      out[j * rank + r] = sum;
    }
  return matrix(c, rank, out);
}

/** sum over j of Q[r, j, y, x] B[j, r]: [R x kh kw]. */
function contractChannels(projected: Matrix, [, c, kh, kw]: Tensor4["dims"], b: Matrix): Matrix {
  const rank = projected.rows;
  const out = new Float64Array(rank * kh * kw);
  for (let r = 0; r < rank; r++)
    for (let j = 0; j < c; j++) {
      const [factor, from] = [b.data[j * rank + r]!, (r * c + j) * kh * kw];
      for (let t = 0; t < kh * kw; t++)
        out[r * kh * kw + t] = out[r * kh * kw + t]! + factor * projected.data[from + t]!;
    }
  return matrix(rank, kh * kw, out);
}

/** P[r, y, x] summed over one axis with the other axis' factor: over x for axis 0 -> [kh x R], over y -> [kw x R]. */
function contractAxis(kernels: Matrix, [, , kh, kw]: Tensor4["dims"], other: Matrix, axis: 0 | 1): Matrix {
  const rank = kernels.rows;
  const size = axis === 0 ? kh : kw;
  const out = new Float64Array(size * rank);
  for (let r = 0; r < rank; r++)
    for (let i = 0; i < kh; i++)
      for (let j = 0; j < kw; j++) {
        const [own, across] = axis === 0 ? [i, j] : [j, i];
        out[own * rank + r] =
          out[own * rank + r]! + kernels.data[r * kh * kw + i * kw + j]! * other.data[across * rank + r]!;
      }
  return matrix(size, rank, out);
}

function extrapolated(before: Columns, now: Columns, step: number): Columns {
  const ahead = (from: Matrix, to: Matrix) =>
    matrix(
      to.rows,
      to.cols,
      to.data.map((value, i) => value + (step - 1) * (value - from.data[i]!)),
    );
  return { a: ahead(before.a, now.a), b: ahead(before.b, now.b), y: ahead(before.y, now.y), x: ahead(before.x, now.x) };
}

const evenedTerms = (terms: CpTerms): CpTerms => ({ ...evened(terms), lost: terms.lost });

/** The columns of each term scaled to one length, the product left alone. */
function evened({ a, b, y, x }: Columns): Columns {
  const factors = [a, b, y, x].map(({ rows, cols, data }) => ({ rows, cols, data: data.slice() }));
  for (let r = 0; r < a.cols; r++) {
    const lengths = factors.map(({ rows, cols, data }) => {
      let sum = 0;
      for (let i = 0; i < rows; i++) sum += data[i * cols + r]! ** 2;
      return Math.sqrt(sum);
    });
    const mean = lengths.reduce((product, length) => product * length ** 0.25, 1);
    if (!(mean > 0)) continue;
    for (const [k, { rows, cols, data }] of factors.entries())
      for (let i = 0; i < rows; i++) data[i * cols + r] = (data[i * cols + r]! * mean) / lengths[k]!;
  }
  const [newA, newB, newY, newX] = factors as unknown as [Matrix, Matrix, Matrix, Matrix];
  return { a: newA, b: newB, y: newY, x: newX };
}

/** The leading left singular vectors of every unfolding, filled up with random columns; and random starts. */
function startsOf(problem: Problem, rank: number, { seed = 1, start }: CpOptions, most: number): readonly Columns[] {
  const { dims, linear } = problem;
  const random = new Random(`cp ${seed}`);
  const noise = (rows: number) =>
    matrix(
      rows,
      rank,
      Float64Array.from({ length: rows * rank }, () => random.normal()),
    );
  const leading = (axis: number) => {
    const out = noise(dims[axis]!);
    const count = Math.min(rank, dims[axis]!);
    const vectors = linear.eigen(gramOf(problem, axis)).vectors(count);
    for (let r = 0; r < count; r++)
      for (let i = 0; i < out.rows; i++) out.data[i * rank + r] = vectors.data[r * out.rows + i]!;
    return out;
  };
  const starts: Columns[] = start === undefined ? [] : [start];
  starts.push({ a: noise(dims[0]), b: leading(1), y: leading(2), x: leading(3) });
  while (starts.length < most)
    starts.push({ a: noise(dims[0]), b: noise(dims[1]), y: noise(dims[2]), x: noise(dims[3]) });
  return starts.slice(0, Math.max(most, start === undefined ? 1 : 2));
}

/** W_(axis) W_(axis)^T of an unfolding. */
function gramOf({ dims, values, linear }: Problem, axis: number): Matrix {
  const inner = dims.slice(axis + 1).reduce((product, size) => product * size, 1);
  const [size, outer] = [dims[axis]!, values.length / (dims[axis]! * inner)];
  const unfolded = new Float64Array(values.length); // [outer inner x size]
  for (let o = 0; o < outer; o++)
    for (let i = 0; i < size; i++)
      for (let k = 0; k < inner; k++) unfolded[(o * inner + k) * size + i] = values[(o * size + i) * inner + k]!;
  return linear.gram(matrix(outer * inner, size, unfolded));
}

const zeros = ([n, c, kh, kw]: Tensor4["dims"], rank: number): Columns => ({
  a: matrix(n, rank),
  b: matrix(c, rank),
  y: matrix(kh, rank),
  x: matrix(kw, rank),
});

/** A term for every kernel element of every channel (or of every filter, if these are fewer); the rest is 0. */
function exactTerms({ dims, values }: Tensor4, rank: number): CpTerms {
  const [n, c, kh, kw] = dims;
  const made = zeros(dims, rank);
  const [one, other, few, many] = c <= n ? [made.b, made.a, c, n] : [made.a, made.b, n, c];
  let r = 0;
  for (let f = 0; f < few; f++)
    for (let t = 0; t < kh * kw; t++, r++) {
      one.data[f * rank + r] = 1;
      made.y.data[Math.floor(t / kw) * rank + r] = 1;
      made.x.data[(t % kw) * rank + r] = 1;
      for (let m = 0; m < many; m++) {
        const [i, j] = c <= n ? [m, f] : [f, m];
        other.data[m * rank + r] = values[(i * c + j) * kh * kw + t]!;
      }
    }
  return { ...made, lost: 0 };
}

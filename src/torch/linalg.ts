// Linear algebra by libtorch's LAPACK and BLAS, in doubles: several times as fast as linalg/pure.ts on large matrices.
import { isError } from "../errors/error.js";
import { safeFactor, shortestSolution } from "../linalg/least-squares.js";
import type { Eigen, Kept, LinearAlgebra, Svd } from "../linalg/linear-algebra.js";
import { type Matrix, matrix } from "../linalg/matrix.js";
import { pureLinearAlgebra } from "../linalg/pure.js";
import {
  notPositive,
  requireCount,
  requireFinite,
  requireFit,
  requireSquare,
  requireWidth,
} from "../linalg/require.js";
import { call, callAll } from "./call.js";
import { loadEngine } from "./native.js";
import { TensorScope, unowned } from "./scope.js";
import { fromArray, type Tensor } from "./tensor.js";

/**
 * Loads libtorch on its first use.
 * @throws FilterBasisError those of the interface, `engine-missing`
 */
export const torchLinearAlgebra: LinearAlgebra = {
  name: "libtorch",
  multiply,
  multiplyTransposed,
  keep,
  gram,
  eigen,
  svd,
  cholesky,
  solveTriangular,
  solve,
};

/**
 * Multiplications (of a product, or of the decompositions' products) from which on libtorch is worth its crossing,
 * and its loading.
 */
const large = 1e7;
/** The same where libtorch is loaded anyway: only the crossing counts. */
export const crossing = 1e5;

/**
 * The faster implementation for each size: TypeScript for small matrices, libtorch for large ones, as far as it is
 * there. libtorch is loaded with the first matrix of at least `from` multiplications, so that small networks never
 * wait for it. The choice depends
 * on sizes alone: the same input gives the same numbers whatever was computed before.
 */
export function bestLinearAlgebra(load: () => unknown = loadEngine, from: number = large): LinearAlgebra {
  let available: boolean | undefined;
  const by = (work: number): LinearAlgebra =>
    work >= from && (available ??= succeeds(load)) ? torchLinearAlgebra : pureLinearAlgebra;
  return {
    name: "by-size",
    multiply: (a, b) => by(a.rows * a.cols * b.cols).multiply(a, b),
    multiplyTransposed: (a, b) => by(a.rows * a.cols * b.rows).multiplyTransposed(a, b),
    keep: (matrix) => by((matrix.rows * matrix.cols) ** 1.5).keep(matrix),
    gram: (a) => by((a.rows * a.cols * a.cols) / 2).gram(a),
    eigen: (symmetric) => by((2 / 3) * symmetric.rows ** 3).eigen(symmetric),
    svd: (a) => by(4 * a.rows * a.cols * Math.min(a.rows, a.cols)).svd(a),
    cholesky: (positive) => by(positive.rows ** 3 / 6).cholesky(positive),
    solveTriangular: (right, lower) => by((right.rows * lower.rows ** 2) / 2).solveTriangular(right, lower),
    solve: (normal, right) => by(normal.rows ** 3 / 6 + normal.rows ** 2 * right.cols).solve(normal, right),
  };
}

/** False where libtorch or the addon is not there. */
function succeeds(load: () => unknown): boolean {
  try {
    load();
    return true;
  } catch (error) {
    if (isError(error, "engine-missing")) return false;
    throw error;
  }
}

function multiply(a: Matrix, b: Matrix): Matrix {
  requireFit(a, b);
  return within(() => toMatrix(call("mm", toTensor(a), toTensor(b)), a.rows, b.cols));
}

function multiplyTransposed(a: Matrix, b: Matrix): Matrix {
  requireWidth(a, b);
  return within(() => toMatrix(call("mm", toTensor(a), call("t", toTensor(b))), a.rows, b.rows));
}

/** Tensors of kept matrices, by the elements that they share. */
const tensors = new WeakMap<Float64Array, Tensor>();

function keep({ rows, cols, data }: Matrix): Kept {
  const tensor = unowned(() => fromArray(data, [rows, cols]));
  const elements = tensor.elements() as Float64Array;
  tensors.set(elements, tensor);
  return {
    rows,
    cols,
    data: elements,
    release() {
      tensors.delete(elements);
      tensor.dispose();
    },
  };
}

function gram(a: Matrix): Matrix {
  const size = a.cols;
  const product = within(() => {
    const tensor = toTensor(a);
    return toMatrix(call("mm", call("t", tensor), tensor), size, size);
  });
  const { data } = product;
  for (let i = 0; i < size; i++) for (let j = 0; j < i; j++) data[j * size + i] = data[i * size + j]!; // to the last bit
  return product;
}

function eigen(symmetric: Matrix): Eigen {
  requireSquare(symmetric);
  const size = symmetric.rows;
  if (size === 0) return pureLinearAlgebra.eigen(symmetric);
  const values = converged(
    () => toDoubles(call("flip", call("linalg_eigvalsh", toTensor(symmetric)), [0])),
    () => pureLinearAlgebra.eigen(symmetric).values,
  );
  return {
    values,
    vectors(count) {
      requireCount(count, size);
      return converged(
        () => {
          const [, vectors] = callAll("linalg_eigh", toTensor(symmetric)) as [Tensor, Tensor]; // columns, ascending
          const leading = call("flip", call("narrow", vectors, 1, size - count, count), [1]);
          return toMatrix(call("t", leading), count, size);
        },
        () => pureLinearAlgebra.eigen(symmetric).vectors(count),
      );
    },
  };
}

function svd(a: Matrix): Svd {
  requireFinite(a);
  const size = Math.min(a.rows, a.cols);
  if (size === 0) return pureLinearAlgebra.svd(a);
  return converged(
    () => {
      const [u, values, vh] = callAll("linalg_svd", toTensor(a), false) as [Tensor, Tensor, Tensor];
      return { u: toMatrix(u, a.rows, size), values: toDoubles(values), v: toMatrix(call("t", vh), a.cols, size) };
    },
    () => pureLinearAlgebra.svd(a),
  );
}

function cholesky(positive: Matrix): Matrix {
  requireSquare(positive);
  const size = positive.rows;
  return within(() => {
    const [lower, info] = callAll("linalg_cholesky_ex", toTensor(positive)) as [Tensor, Tensor];
    const order = info.item(); // of the first leading minor that is not positive; 0 where all are
    if (order > 0) throw notPositive(order - 1);
    return toMatrix(lower, size, size);
  });
}

function solveTriangular(right: Matrix, lower: Matrix): Matrix {
  requireFit(right, lower);
  requireSquare(lower);
  return within(() => {
    const solved = call("linalg_solve_triangular", toTensor(lower), toTensor(right), { upper: false, left: false });
    return toMatrix(solved, right.rows, right.cols);
  });
}

function solve(normal: Matrix, right: Matrix): Matrix {
  requireSquare(normal);
  requireFit(normal, right);
  requireFinite(right);
  const lower = safeFactor(normal, { cholesky });
  if (!lower) return shortestSolution(normal, right, { eigen, multiply });
  return within(() => toMatrix(call("cholesky_solve", toTensor(right), toTensor(lower)), right.rows, right.cols));
}

/** LAPACK's iterations fail on rare finite matrices; TypeScript's do not. */
function converged<T>(run: () => T, otherwise: () => T): T {
  try {
    return within(run);
  } catch (error) {
    if (isError(error, "engine") && /converge/.test(error.message)) return otherwise();
    throw error;
  }
}

/** Runs a function whose tensors are disposed with it. */
function within<T>(run: () => T): T {
  using _scope = new TensorScope();
  return run();
}

/** The kept tensor as it is, or a copy. */
const toTensor = ({ rows, cols, data }: Matrix): Tensor => {
  const kept = tensors.get(data);
  return kept ? call("view", kept, [rows, cols]) : fromArray(data, [rows, cols]);
};

const toDoubles = (tensor: Tensor): Float64Array => tensor.data() as Float64Array;

const toMatrix = (tensor: Tensor, rows: number, cols: number): Matrix =>
  matrix(rows, cols, toDoubles(call("contiguous", tensor)));

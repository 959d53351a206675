// Linear algebra in TypeScript alone: the default, in Node and in a browser.
import { cholesky, solveFactored, solveTriangular } from "./cholesky.js";
import { eigen } from "./eigen.js";
import { safeFactor, shortestSolution } from "./least-squares.js";
import type { LinearAlgebra } from "./linear-algebra.js";
import type { Matrix } from "./matrix.js";
import { gram, multiply, multiplyTransposed } from "./product.js";
import { requireFinite, requireFit, requireSquare } from "./require.js";
import { svd } from "./svd.js";

export const pureLinearAlgebra: LinearAlgebra = {
  name: "typescript",
  multiply,
  multiplyTransposed,
  keep: (kept) => ({ ...kept, release() {} }),
  gram,
  eigen,
  svd,
  cholesky,
  solveTriangular,
  solve,
};

function solve(normal: Matrix, right: Matrix): Matrix {
  requireSquare(normal);
  requireFit(normal, right);
  requireFinite(right);
  const lower = safeFactor(normal, { cholesky });
  return lower ? solveFactored(lower, right) : shortestSolution(normal, right, { eigen, multiply });
}

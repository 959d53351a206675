// Eigenproblems, Cholesky factors and products: pure TypeScript, ml-matrix and libtorch on the same matrices; time
// and accuracy. Times are process time (user and system, all threads), the least of the repetitions, so that a
// machine with other work does not stretch them as much. npx tsx bench/linear-algebra.ts
import { readFileSync } from "node:fs";
import { CholeskyDecomposition, EVD, Matrix as MlMatrix } from "ml-matrix";
import type { LinearAlgebra } from "../src/linalg/linear-algebra.js";
import { type Matrix, matrix, squaredNorm, transpose } from "../src/linalg/matrix.js";
import { pureLinearAlgebra } from "../src/linalg/pure.js";
import { Random } from "../src/linalg/random.js";
import { engineInfo } from "../src/torch/index.js";
import { torchLinearAlgebra } from "../src/torch/linalg.js";
import { writeResult } from "./result.js";

const seed = 1;
const repeats = 5;
const sizes = [64, 144, 288, 576, 1152] as const;
/** The largest size at which ml-matrix's eigenproblem is waited for. */
const patience = 576;

/**
 * One job of one library on one Gram matrix: all eigenvalues, the leading quarter of eigenvectors too, or the
 * Cholesky factor.
 */
interface Contender {
  readonly name: string;
  readonly values: (a: Matrix) => ArrayLike<number>;
  readonly vectors: (a: Matrix, count: number) => Matrix;
  readonly cholesky: (a: Matrix) => Matrix;
  readonly multiply: (a: Matrix, b: Matrix) => Matrix;
}

const ours = (name: string, { eigen, cholesky, multiply }: LinearAlgebra): Contender => ({
  name,
  values: (a) => eigen(a).values,
  vectors: (a, count) => eigen(a).vectors(count),
  cholesky,
  multiply,
});

const toMl = ({ rows, cols, data }: Matrix) => MlMatrix.from1DArray(rows, cols, data);
const fromMl = (found: MlMatrix) => matrix(found.rows, found.columns, found.to1DArray());

const mlMatrix: Contender = {
  name: "ml-matrix",
  values: (a) => new EVD(toMl(a), { assumeSymmetric: true }).realEigenvalues.reverse(),
  vectors: (a, count) => {
    const { eigenvectorMatrix } = new EVD(toMl(a), { assumeSymmetric: true }); // columns, ascending
    const leading = transpose(fromMl(eigenvectorMatrix)).data.slice((a.rows - count) * a.rows);
    return matrix(count, a.rows, leading);
  },
  cholesky: (a) => fromMl(new CholeskyDecomposition(toMl(a)).lowerTriangularMatrix),
  multiply: (a, b) => fromMl(toMl(a).mmul(toMl(b))),
};

const contenders = [ours("filterbasis", pureLinearAlgebra), mlMatrix, ours("libtorch", torchLinearAlgebra)];

/**
 * A Gram matrix of numbers that fall as a trained layer's directions do, with a diagonal that keeps it positive
 * definite.
 */
function gramOf(size: number): Matrix {
  const random = new Random(seed);
  const rows = 2 * size;
  const data = Float64Array.from(
    { length: rows * size },
    (_, i) => random.normal() * Math.exp((-3 * (i % size)) / size),
  );
  const gram = pureLinearAlgebra.gram(matrix(rows, size, data));
  for (let i = 0; i < size; i++) gram.data[i * size + i] = gram.data[i * size + i]! + 1e-3;
  return gram;
}

/** Milliseconds of process time, the least of some repetitions. */
function time(run: () => unknown, count: number): number {
  let least = Number.POSITIVE_INFINITY;
  for (let i = 0; i < count; i++) {
    const before = process.cpuUsage();
    run();
    const { user, system } = process.cpuUsage(before);
    least = Math.min(least, (user + system) / 1000);
  }
  return least;
}

const relative = (a: Matrix, b: Matrix): number =>
  Math.sqrt(squaredNorm(a.data.map((value, i) => value - b.data[i]!)) / squaredNorm(b.data));

/** |A v - lambda v| of the leading eigenvectors, as a share of the largest eigenvalue. */
function residual(a: Matrix, vectors: Matrix): number {
  const product = pureLinearAlgebra.multiply(vectors, a);
  let [worst, largest] = [0, 0];
  for (let i = 0; i < vectors.rows; i++) {
    const row = vectors.data.subarray(i * a.cols, (i + 1) * a.cols);
    const image = product.data.subarray(i * a.cols, (i + 1) * a.cols);
    const value = row.reduce((sum, one, j) => sum + one * image[j]!, 0);
    largest = Math.max(largest, Math.abs(value));
    worst = Math.max(worst, Math.sqrt(squaredNorm(image.map((one, j) => one - value * row[j]!))));
  }
  return worst / largest;
}

const rows = [];
for (const size of sizes) {
  const a = gramOf(size);
  const count = size / 4;
  for (const { name, values, vectors, cholesky, multiply } of contenders) {
    const n = size > 500 ? 2 : repeats;
    const slow = name === "ml-matrix" && size > patience;
    const lower = cholesky(a);
    const row = {
      size,
      library: name,
      valuesMs: slow ? null : time(() => values(a), n),
      quarterOfVectorsMs: slow ? null : time(() => vectors(a, count), n),
      choleskyMs: time(() => cholesky(a), n),
      multiplyMs: time(() => multiply(a, a), n),
      eigenResidual: slow ? null : residual(a, vectors(a, count)),
      choleskyError: relative(pureLinearAlgebra.multiply(lower, transpose(lower)), a),
      repeats: n,
    };
    rows.push(row);
    process.stdout.write(`${JSON.stringify(row)}\n`);
  }
}
const { version, blas, threads } = engineInfo();
const packageFile = new URL("../node_modules/ml-matrix/package.json", import.meta.url);
const mlVersion = (JSON.parse(readFileSync(packageFile, "utf8")) as { version: string }).version;
await writeResult("bench-linear-algebra", "npx tsx bench/linear-algebra.ts", {
  seed,
  clock: "process time, least of the repetitions",
  libtorch: { version, blas, threads },
  mlMatrix: mlVersion,
  rows,
});

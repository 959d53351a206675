// A layer as benchmarks of factors draw it: random filters, which need the most steps, under a covariance of images.
import type { LayerShape } from "../src/basis/factors.js";
import { type Matrix, matrix } from "../src/linalg/matrix.js";
import { multiplyTransposed } from "../src/linalg/product.js";
import type { Random } from "../src/linalg/random.js";

/** Two fields of c mixed channels, of which one varies faster in space than the other, and noise. */
export function covarianceOf({ c, kernel: [kh, kw] }: LayerShape, random: Random): Matrix {
  const channels = [0.9, 0.5].map((along) => ({ along, values: mixed(c, random) }));
  const [kernelElements, d] = [kh * kw, c * kh * kw];
  const out = matrix(d, d);
  for (const { along, values } of channels)
    for (let i = 0; i < d; i++)
      for (let j = 0; j < d; j++) {
        const [s, t] = [i % kernelElements, j % kernelElements];
        const apart = Math.abs(Math.floor(s / kw) - Math.floor(t / kw)) + Math.abs((s % kw) - (t % kw));
        const between = values[Math.floor(i / kernelElements) * c + Math.floor(j / kernelElements)]!;
        out.data[i * d + j] = out.data[i * d + j]! + between * along ** apart;
      }
  return out;
}

/** Random filters [n x c kh kw]. */
export function targetOf({ n, c, kernel: [kh, kw] }: LayerShape, random: Random): Matrix {
  const d = c * kh * kw;
  return matrix(
    n,
    d,
    Float64Array.from({ length: n * d }, () => random.normal()),
  );
}

/** A positive definite [c x c] whose eigenvalues fall. */
function mixed(c: number, random: Random): Float64Array {
  const factor = matrix(
    c,
    c,
    Float64Array.from({ length: c * c }, (_, at) => (random.normal() * Math.exp((-3 * (at % c)) / c)) / Math.sqrt(c)),
  );
  return multiplyTransposed(factor, factor).data;
}

// Eigenvalues, and on request eigenvectors, of a symmetric tridiagonal matrix: the implicit QL algorithm
// (Martin and Wilkinson 1968). It always converges on finite input; vectors cost 3 size^3 or more.
import { FilterBasisError } from "../errors/error.js";

/** Eigenvalues in no particular order; `vectors` (rows, starting as the identity or a basis) is rotated along. */
export function qlValues(diagonal: Float64Array, off: Float64Array, vectors?: Float64Array): Float64Array {
  const d = Float64Array.from(diagonal);
  const e = Float64Array.from(off);
  const size = d.length;
  // Couplings this small are rounding of the reduction itself; where the diagonal vanishes too, nothing else would
  // end the search.
  let negligible = 0;
  for (let i = 0; i < size; i++) negligible = Math.max(negligible, Math.abs(d[i]!) + Math.abs(e[i]!));
  negligible *= Number.EPSILON / 4;
  for (let l = 0; l < size; l++) {
    for (let round = 0; ; round++) {
      let m = l;
      while (
        m < size - 1 &&
        Math.abs(e[m]!) > Math.max(negligible, Number.EPSILON * (Math.abs(d[m]!) + Math.abs(d[m + 1]!)))
      )
        m++;
      if (m === l) break;
      if (round === 80) throw new FilterBasisError("internal", "the QL iteration did not converge");
      sweep(d, e, l, m, vectors);
    }
  }
  return d;
}

/** One implicit QL sweep over the unreduced block l..m. */
function sweep(d: Float64Array, e: Float64Array, l: number, m: number, vectors: Float64Array | undefined): void {
  const size = d.length;
  let g = (d[l + 1]! - d[l]!) / (2 * e[l]!);
  let r = Math.hypot(g, 1);
  g = d[m]! - d[l]! + e[l]! / (g + (g >= 0 ? r : -r));
  let s = 1;
  let c = 1;
  let p = 0;
  for (let i = m - 1; i >= l; i--) {
    const f = s * e[i]!;
    const b = c * e[i]!;
    r = Math.sqrt(f * f + g * g);
    e[i + 1] = r;
    // Recover from underflow: the block splits here.
    if (r === 0) {
      d[i + 1] = d[i + 1]! - p;
      e[m] = 0;
      return;
    }
    s = f / r;
    c = g / r;
    g = d[i + 1]! - p;
    r = (d[i]! - g) * s + 2 * c * b;
    p = s * r;
    d[i + 1] = g + p;
    g = c * r - b;
    if (vectors) rotate(vectors, i * size, (i + 1) * size, size, c, s);
  }
  d[l] = d[l]! - p;
  e[l] = g;
  e[m] = 0;
}

function rotate(vectors: Float64Array, low: number, high: number, size: number, c: number, s: number): void {
  for (let k = 0; k < size; k++) {
    const upper = vectors[high + k]!;
    const lower = vectors[low + k]!;
    vectors[high + k] = s * lower + c * upper;
    vectors[low + k] = c * lower - s * upper;
  }
}

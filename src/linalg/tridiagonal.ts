// Householder reduction of a symmetric matrix to tridiagonal form, T = Q^T A Q, the first half of every eigenproblem
// here.

/** A symmetric tridiagonal matrix, and the reflections that led to it. */
export interface Tridiagonal {
  readonly size: number;
  /** [size] */
  readonly diagonal: Float64Array;
  /** [size]; entry i couples i and i + 1, the last is 0. */
  readonly off: Float64Array;
  /** Row k + 1.. of column k holds the k-th reflection's vector v, and `scales[k]` its 2 / v^T v. */
  readonly reflections: Float64Array;
  readonly scales: Float64Array;
}

/**
 * Reduces the symmetric [size x size] matrix (only its lower triangle is read). About 4/3 size^3 operations. The
 * update by one reflection and the product with the next one's vector go over the matrix together: large matrices are
 * bound by memory.
 */
export function tridiagonalise(symmetric: Float64Array, size: number): Tridiagonal {
  const a = Float64Array.from(symmetric);
  const diagonal = new Float64Array(size);
  const off = new Float64Array(size);
  const scales = new Float64Array(size);
  const reflections = new Float64Array(size * size); // the vectors, one after the other in rows, so that they are read in order
  let v = new Float64Array(size); // of the last reflection, whose update A <- A - v q^T - q v^T is still to be made
  const q = new Float64Array(size);
  const p = new Float64Array(size);
  let pending = false;
  for (let k = 0; k < size - 1; k++) {
    const next = new Float64Array(size);
    for (let i = k; i < size; i++) {
      const at = i * size + k;
      if (pending) a[at] = a[at]! - v[i]! * q[k]! - q[i]! * v[k]!;
      next[i] = a[at]!;
    }
    diagonal[k] = next[k]!;
    next[k] = 0;
    const reflected = reflect(next, k + 1);
    off[k] = reflected.target;
    scales[k] = reflected.scale;
    if (reflected.scale === 0) {
      // Nothing to reflect; the pending update is made as it is, and none follows.
      if (pending) sweep(a, size, k + 1, v, q, next, p);
      pending = false;
      continue;
    }
    for (let i = k + 1; i < size; i++) reflections[k * size + i] = next[i]!;
    if (!pending) q.fill(0);
    sweep(a, size, k + 1, v, q, next, p);
    v = next;
    pending = true;
    // q = scale p - (scale / 2) (scale p . v) v
    let dot = 0;
    for (let i = k + 1; i < size; i++) dot += (p[i] = p[i]! * reflected.scale) * v[i]!;
    const half = (reflected.scale / 2) * dot;
    for (let i = k + 1; i < size; i++) q[i] = p[i]! - half * v[i]!;
  }
  if (size > 0) {
    const last = size - 1;
    diagonal[last] = a[last * size + last]! - (pending ? 2 * v[last]! * q[last]! : 0);
  }
  return { size, diagonal, off, reflections, scales };
}

/**
 * Makes the entries from `start` on the vector of the reflection that maps them to (target, 0, ...); scale 0 where
 * none is needed.
 */
function reflect(v: Float64Array, start: number): { readonly target: number; readonly scale: number } {
  const head = v[start]!;
  let largest = 0;
  for (let i = start; i < v.length; i++) largest = Math.max(largest, Math.abs(v[i]!));
  let norm = 0;
  if (largest > 0) for (let i = start; i < v.length; i++) norm += (v[i]! / largest) ** 2;
  norm = largest * Math.sqrt(norm);
  if (norm === Math.abs(head)) return { target: head, scale: 0 };
  const target = head > 0 ? -norm : norm;
  v[start] = head - target;
  return { target, scale: 1 / (norm * (norm + Math.abs(head))) }; // 2 / v^T v
}

/** One pass over the lower triangle from `start`: A <- A - v q^T - q v^T, and p = A u of the result. */
function sweep(
  a: Float64Array,
  size: number,
  start: number,
  v: Float64Array,
  q: Float64Array,
  u: Float64Array,
  p: Float64Array,
): void {
  p.fill(0);
  let i = start;
  for (; i + 3 < size; i += 4) {
    sweepFour(a, size, start, i, v, q, u, p);
    for (let row = i; row < i + 4; row++) sweepRow(a, size, i, row, v, q, u, p);
  }
  for (; i < size; i++) sweepRow(a, size, start, i, v, q, u, p);
}

/** Rows i to i + 3 up to column i: what is read of the vectors, and p, then serve all four. */
function sweepFour(
  a: Float64Array,
  size: number,
  start: number,
  i: number,
  v: Float64Array,
  q: Float64Array,
  u: Float64Array,
  p: Float64Array,
): void {
  const r0 = i * size;
  const r1 = r0 + size;
  const r2 = r1 + size;
  const r3 = r2 + size;
  const [v0, v1, v2, v3] = [v[i]!, v[i + 1]!, v[i + 2]!, v[i + 3]!];
  const [q0, q1, q2, q3] = [q[i]!, q[i + 1]!, q[i + 2]!, q[i + 3]!];
  const [u0, u1, u2, u3] = [u[i]!, u[i + 1]!, u[i + 2]!, u[i + 3]!];
  let [s0, s1, s2, s3] = [0, 0, 0, 0];
  for (let j = start; j < i; j++) {
    const vj = v[j]!;
    const qj = q[j]!;
    const uj = u[j]!;
    const a0 = a[r0 + j]! - v0 * qj - q0 * vj;
    const a1 = a[r1 + j]! - v1 * qj - q1 * vj;
    const a2 = a[r2 + j]! - v2 * qj - q2 * vj;
    const a3 = a[r3 + j]! - v3 * qj - q3 * vj;
    a[r0 + j] = a0;
    a[r1 + j] = a1;
    a[r2 + j] = a2;
    a[r3 + j] = a3;
    s0 += a0 * uj;
    s1 += a1 * uj;
    s2 += a2 * uj;
    s3 += a3 * uj;
    p[j] = p[j]! + a0 * u0 + a1 * u1 + a2 * u2 + a3 * u3;
  }
  p[i] = p[i]! + s0;
  p[i + 1] = p[i + 1]! + s1;
  p[i + 2] = p[i + 2]! + s2;
  p[i + 3] = p[i + 3]! + s3;
}

/** Row i from column `from` to its diagonal. */
function sweepRow(
  a: Float64Array,
  size: number,
  from: number,
  i: number,
  v: Float64Array,
  q: Float64Array,
  u: Float64Array,
  p: Float64Array,
): void {
  const row = i * size;
  let sum = 0;
  for (let j = from; j < i; j++) {
    const value = a[row + j]! - v[i]! * q[j]! - q[i]! * v[j]!;
    a[row + j] = value;
    sum += value * u[j]!;
    p[j] = p[j]! + value * u[i]!;
  }
  const value = a[row + i]! - 2 * v[i]! * q[i]!;
  a[row + i] = value;
  p[i] = p[i]! + sum + value * u[i]!;
}

/** Turns eigenvectors of T, one a row, into those of the matrix that was reduced, in place: v <- Q v. */
export function backTransform({ size, reflections, scales }: Tridiagonal, vectors: Float64Array): void {
  let row = 0;
  // Four vectors at a time: the reflections are the larger part, and are then read a quarter as often.
  for (; row + 3 * size < vectors.length; row += 4 * size) {
    const [w0, w1, w2, w3] = [row, row + size, row + 2 * size, row + 3 * size];
    for (let k = size - 2; k >= 0; k--) {
      const scale = scales[k]!;
      if (scale === 0) continue;
      const r = k * size;
      let dot0 = 0;
      let dot1 = 0;
      let dot2 = 0;
      let dot3 = 0;
      for (let i = k + 1; i < size; i++) {
        const v = reflections[r + i]!;
        dot0 += v * vectors[w0 + i]!;
        dot1 += v * vectors[w1 + i]!;
        dot2 += v * vectors[w2 + i]!;
        dot3 += v * vectors[w3 + i]!;
      }
      dot0 *= scale;
      dot1 *= scale;
      dot2 *= scale;
      dot3 *= scale;
      for (let i = k + 1; i < size; i++) {
        const v = reflections[r + i]!;
        vectors[w0 + i] = vectors[w0 + i]! - dot0 * v;
        vectors[w1 + i] = vectors[w1 + i]! - dot1 * v;
        vectors[w2 + i] = vectors[w2 + i]! - dot2 * v;
        vectors[w3 + i] = vectors[w3 + i]! - dot3 * v;
      }
    }
  }
  for (; row < vectors.length; row += size) {
    for (let k = size - 2; k >= 0; k--) {
      const scale = scales[k]!;
      if (scale === 0) continue;
      const r = k * size;
      let dot = 0;
      for (let i = k + 1; i < size; i++) dot += reflections[r + i]! * vectors[row + i]!;
      dot *= scale;
      for (let i = k + 1; i < size; i++) vectors[row + i] = vectors[row + i]! - dot * reflections[r + i]!;
    }
  }
}

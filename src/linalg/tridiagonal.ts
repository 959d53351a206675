// Householder reduction of a symmetric matrix to tridiagonal form, T = Q^T A Q, the first half of every eigenproblem here.

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
 * Reduces the symmetric [size x size] matrix (only its lower triangle is read). About 4/3 size^3 operations. The update by one
 * reflection and the product with the next one's vector go over the matrix together: large matrices are bound by memory.
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

/** Makes the entries from `start` on the vector of the reflection that maps them to (target, 0, ...); scale 0 where none is needed. */
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
  // Two rows at a time: what is read of the vectors, and p, then serve both.
  for (; i + 1 < size; i += 2) {
    const row = i * size;
    const below = row + size;
    const v0 = v[i]!;
    const q0 = q[i]!;
    const u0 = u[i]!;
    const v1 = v[i + 1]!;
    const q1 = q[i + 1]!;
    const u1 = u[i + 1]!;
    let sum0 = 0;
    let sum1 = 0;
    for (let j = start; j < i; j++) {
      const vj = v[j]!;
      const qj = q[j]!;
      const uj = u[j]!;
      const upper = a[row + j]! - v0 * qj - q0 * vj;
      const lower = a[below + j]! - v1 * qj - q1 * vj;
      a[row + j] = upper;
      a[below + j] = lower;
      sum0 += upper * uj;
      sum1 += lower * uj;
      p[j] = p[j]! + upper * u0 + lower * u1;
    }
    const first = (a[row + i] = a[row + i]! - 2 * v0 * q0);
    const beside = (a[below + i] = a[below + i]! - v1 * q0 - q1 * v0);
    const second = (a[below + i + 1] = a[below + i + 1]! - 2 * v1 * q1);
    p[i] = p[i]! + sum0 + first * u0 + beside * u1;
    p[i + 1] = p[i + 1]! + sum1 + beside * u0 + second * u1;
  }
  if (i === size) return;
  const row = i * size;
  let sum = 0;
  for (let j = start; j < i; j++) {
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

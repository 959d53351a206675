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
  for (let i = start; i < size; i++) {
    const row = i * size;
    const vi = v[i]!;
    const qi = q[i]!;
    const ui = u[i]!;
    let sum = 0;
    for (let j = start; j < i; j++) {
      const value = a[row + j]! - vi * q[j]! - qi * v[j]!;
      a[row + j] = value;
      sum += value * u[j]!;
      p[j] = p[j]! + value * ui;
    }
    const value = a[row + i]! - 2 * vi * qi;
    a[row + i] = value;
    p[i] = p[i]! + sum + value * ui;
  }
}

/** Turns eigenvectors of T, one a row, into those of the matrix that was reduced, in place: v <- Q v. */
export function backTransform({ size, reflections, scales }: Tridiagonal, vectors: Float64Array): void {
  for (let row = 0; row < vectors.length; row += size) {
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

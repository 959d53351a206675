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

/** Reduces the symmetric [size x size] matrix (only its lower triangle is read). About 4/3 size^3 operations. */
export function tridiagonalise(symmetric: Float64Array, size: number): Tridiagonal {
  const a = Float64Array.from(symmetric);
  const diagonal = new Float64Array(size);
  const off = new Float64Array(size);
  const scales = new Float64Array(size);
  const v = new Float64Array(size);
  const p = new Float64Array(size);
  const columns = new Float64Array(size * size); // the vectors, one after the other in rows, so that they are read in order
  for (let k = 0; k < size - 1; k++) {
    diagonal[k] = a[k * size + k]!;
    let largest = 0;
    for (let i = k + 1; i < size; i++) largest = Math.max(largest, Math.abs((v[i] = a[i * size + k]!)));
    let norm = 0;
    if (largest > 0) for (let i = k + 1; i < size; i++) norm += (v[i]! / largest) ** 2;
    norm = largest * Math.sqrt(norm);
    const head = v[k + 1]!;
    // Nothing below the head: already tridiagonal here.
    if (norm === Math.abs(head)) {
      off[k] = head;
      continue;
    }
    const target = head > 0 ? -norm : norm;
    off[k] = target;
    v[k + 1] = head - target;
    const scale = 1 / (norm * (norm + Math.abs(head))); // 2 / v^T v
    scales[k] = scale;
    for (let i = k + 1; i < size; i++) columns[k * size + i] = v[i]!;
    update(a, size, k + 1, v, p, scale);
  }
  if (size > 0) diagonal[size - 1] = a[size * size - 1]!;
  return { size, diagonal, off, reflections: columns, scales };
}

/** a <- H a H on the trailing block from `start`, H = I - scale v v^T, over the lower triangle. */
function update(a: Float64Array, size: number, start: number, v: Float64Array, p: Float64Array, scale: number): void {
  p.fill(0, start);
  for (let i = start; i < size; i++) {
    const row = i * size;
    const vi = v[i]!;
    let sum = 0;
    for (let j = start; j < i; j++) {
      const value = a[row + j]!;
      sum += value * v[j]!;
      p[j] = p[j]! + value * vi;
    }
    p[i] = p[i]! + sum + a[row + i]! * vi;
  }
  let dot = 0;
  for (let i = start; i < size; i++) dot += (p[i] = p[i]! * scale) * v[i]!;
  const half = (scale / 2) * dot;
  for (let i = start; i < size; i++) p[i] = p[i]! - half * v[i]!;
  for (let i = start; i < size; i++) {
    const row = i * size;
    const vi = v[i]!;
    const pi = p[i]!;
    for (let j = start; j <= i; j++) a[row + j] = a[row + j]! - vi * p[j]! - pi * v[j]!;
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

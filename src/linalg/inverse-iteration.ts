// Chosen eigenvectors of a symmetric tridiagonal matrix by inverse iteration: size operations a vector and step
// instead of the size^2 of QL, so that the first m of many eigenvectors are cheap. Neighbours are kept orthogonal
// explicitly.

/** Unit eigenvectors, one a row, for the given eigenvalues (in descending order); null if one did not settle. */
export function inverseIteration(
  diagonal: Float64Array,
  off: Float64Array,
  values: readonly number[],
): Float64Array | null {
  const size = diagonal.length;
  let norm = 0;
  for (let i = 0; i < size; i++)
    norm = Math.max(norm, Math.abs(diagonal[i]!) + Math.abs(off[i]!) + Math.abs(off[i - 1] ?? 0));
  const vectors = new Float64Array(values.length * size);
  const apart = 1e-3 * norm; // eigenvalues nearer than this are not told apart by inverse iteration alone
  const nudge = 4 * Number.EPSILON * norm;
  const work = makeWork(size);
  let shift = Infinity;
  for (let k = 0; k < values.length; k++) {
    const value = values[k]!;
    shift = Math.min(value, shift - nudge); // equal eigenvalues get shifts that differ a little
    let first = k;
    while (first > 0 && values[first - 1]! - value < apart) first--;
    factor(diagonal, off, shift, norm * Number.EPSILON, work);
    const x = vectors.subarray(k * size, (k + 1) * size);
    start(x, k);
    let settled = false;
    for (let step = 0; step < 6 && !settled; step++) {
      const growth = solve(work, x);
      // Growth of about 1 / (size * eps * norm) says that x lies in the eigenspace; one more step then polishes it.
      const kept = orthogonalise(vectors, first, k, size);
      if (!(kept > 0)) {
        start(x, k + 7919 * (step + 1));
        continue;
      }
      settled = step > 0 && growth * norm * Number.EPSILON * size * 100 > 1 && kept > 1e-3;
    }
    if (!settled || residual(diagonal, off, value, x) > 1e-11 * size * norm) return null;
  }
  return vectors;
}

interface Work {
  readonly pivot: Float64Array;
  readonly upper: Float64Array;
  readonly second: Float64Array;
  readonly factors: Float64Array;
  readonly swapped: Uint8Array;
}

function makeWork(size: number): Work {
  const vector = () => new Float64Array(size);
  return { pivot: vector(), upper: vector(), second: vector(), factors: vector(), swapped: new Uint8Array(size) };
}

/** LU with partial pivoting of T - shift I; pivots that vanish are replaced by `tiny`. */
function factor(diagonal: Float64Array, off: Float64Array, shift: number, tiny: number, work: Work): void {
  const { pivot, upper, second, factors, swapped } = work;
  const size = diagonal.length;
  let u = diagonal[0]! - shift;
  let v = off[0] ?? 0;
  for (let i = 0; i < size - 1; i++) {
    const below = off[i]!;
    const next = diagonal[i + 1]! - shift;
    const after = i + 2 < size ? off[i + 1]! : 0;
    if (Math.abs(below) > Math.abs(u)) {
      const ratio = u / below;
      pivot[i] = below;
      upper[i] = next;
      second[i] = after;
      swapped[i] = 1;
      factors[i] = ratio;
      u = v - ratio * next;
      v = -ratio * after;
    } else {
      const safe = Math.abs(u) < tiny ? tiny || Number.MIN_VALUE * 2 ** 60 : u;
      const ratio = below / safe;
      pivot[i] = safe;
      upper[i] = v;
      second[i] = 0;
      swapped[i] = 0;
      factors[i] = ratio;
      u = next - ratio * v;
      v = after;
    }
  }
  pivot[size - 1] = Math.abs(u) < tiny ? tiny || Number.MIN_VALUE * 2 ** 60 : u;
  upper[size - 1] = 0;
  second[size - 1] = 0;
}

/** x <- (T - shift I)^-1 x, then scaled to unit length; returns the length before. */
function solve({ pivot, upper, second, factors, swapped }: Work, x: Float64Array): number {
  const size = x.length;
  for (let i = 0; i < size - 1; i++) {
    if (swapped[i] === 1) {
      const held = x[i]!;
      x[i] = x[i + 1]!;
      x[i + 1] = held - factors[i]! * x[i]!;
    } else {
      x[i + 1] = x[i + 1]! - factors[i]! * x[i]!;
    }
  }
  let after = 0;
  let second2 = 0;
  for (let i = size - 1; i >= 0; i--) {
    const value = (x[i]! - upper[i]! * after - second[i]! * second2) / pivot[i]!;
    second2 = after;
    after = x[i] = value;
  }
  return normalise(x);
}

/**
 * Removes from row k its parts along rows first..k-1, again where much had to go; returns how much of its length was
 * left (of 1).
 */
function orthogonalise(vectors: Float64Array, first: number, k: number, size: number): number {
  const x = vectors.subarray(k * size, (k + 1) * size);
  let kept = 1;
  for (let pass = 0; pass < 2 && (pass === 0 || (kept > 0 && kept < 0.9)); pass++) {
    for (let row = first; row < k; row++) {
      const offset = row * size;
      let dot = 0;
      for (let i = 0; i < size; i++) dot += vectors[offset + i]! * x[i]!;
      for (let i = 0; i < size; i++) x[i] = x[i]! - dot * vectors[offset + i]!;
    }
    const length = normalise(x);
    if (pass === 0) kept = length;
  }
  return kept;
}

function normalise(x: Float64Array): number {
  let largest = 0;
  for (let i = 0; i < x.length; i++) largest = Math.max(largest, Math.abs(x[i]!));
  if (largest === 0 || !Number.isFinite(largest)) return largest === 0 ? 0 : Number.NaN;
  let sum = 0;
  for (let i = 0; i < x.length; i++) sum += (x[i]! / largest) ** 2;
  const length = largest * Math.sqrt(sum);
  for (let i = 0; i < x.length; i++) x[i] = x[i]! / length;
  return length;
}

/** A start that is no eigenvector's enemy: numbers of a fixed linear congruence. */
function start(x: Float64Array, seed: number): void {
  let state = (seed * 2654435761 + 12345) >>> 0;
  for (let i = 0; i < x.length; i++) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    x[i] = state / 2 ** 32 - 0.5;
  }
  normalise(x);
}

function residual(diagonal: Float64Array, off: Float64Array, value: number, x: Float64Array): number {
  let worst = 0;
  for (let i = 0; i < x.length; i++) {
    const sum =
      (diagonal[i]! - value) * x[i]! + (off[i] ?? 0) * (x[i + 1] ?? 0) + (i > 0 ? off[i - 1]! * x[i - 1]! : 0);
    worst = Math.max(worst, Math.abs(sum));
  }
  return worst;
}

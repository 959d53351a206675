// Clusters of points by Lloyd's algorithm, seeded. Distances that cannot matter are not computed (Hamerly, 2010: a
// bound on the distance to a point's own centre and one on that to all others), which changes nothing of the result.
import { Random } from "../linalg/random.js";

export interface Clustering {
  /** [k x d] */
  readonly centroids: Float64Array;
  /** The centroid of each point. */
  readonly labels: Int32Array;
}

export interface KmeansOptions {
  readonly seed: number | string;
  /** Sweeps at most. Default 300. */
  readonly sweeps?: number;
}

/**
 * @param points [N x d]; the first centres are k of them at random, all different as far as there are so many A centre
 * that has lost all its points takes the one that is farthest from its own centre. With as many centres as there are
 * different points, or more, every point is its own centre.
 */
export function kmeans(points: Float64Array, d: number, k: number, { seed, sweeps = 300 }: KmeansOptions): Clustering {
  const count = points.length / d;
  const distinct = distinctPoints(points, d, k);
  if (distinct !== undefined) return exactly(points, d, k, distinct);
  const work = begin(points, d, count, k, new Random(`kmeans ${seed}`));
  for (let sweep = 0; sweep < sweeps; sweep++) {
    const changed = assign(work);
    if (changed === 0 && sweep > 0) break;
    move(work);
  }
  return { centroids: work.centroids, labels: work.labels };
}

interface Work {
  readonly points: Float64Array;
  readonly d: number;
  readonly count: number;
  readonly k: number;
  readonly centroids: Float64Array;
  readonly labels: Int32Array;
  /** Of the distance to the point's own centre, and to the nearest of the others. */
  readonly upper: Float64Array;
  readonly lower: Float64Array;
  /** Half of the distance of each centre to its nearest neighbour. */
  readonly half: Float64Array;
}

function begin(points: Float64Array, d: number, count: number, k: number, random: Random): Work {
  const centroids = new Float64Array(k * d);
  const seen = new Set<string>();
  for (let j = 0; j < k; ) {
    const at = random.int(count);
    const point = points.subarray(at * d, (at + 1) * d);
    const key = point.join();
    if (seen.has(key)) continue;
    seen.add(key);
    centroids.set(point, j++ * d);
  }
  const bounds = { upper: new Float64Array(count).fill(Infinity), lower: new Float64Array(count) };
  return { points, d, count, k, centroids, labels: new Int32Array(count), ...bounds, half: new Float64Array(k) };
}

/** Every point to its nearest centre; how many changed theirs. */
function assign({ points, d, count, k, centroids, labels, upper, lower, half }: Work): number {
  for (let j = 0; j < k; j++) {
    let least = Infinity;
    for (let other = 0; other < k; other++)
      if (other !== j) least = Math.min(least, distance(centroids, j * d, centroids, other * d, d));
    half[j] = Math.sqrt(least) / 2;
  }
  let changed = 0;
  for (let i = 0; i < count; i++) {
    const own = labels[i]!;
    const bound = Math.max(half[own]!, lower[i]!);
    if (upper[i]! <= bound) continue;
    upper[i] = Math.sqrt(distance(points, i * d, centroids, own * d, d));
    if (upper[i]! <= bound) continue;
    let [best, second, at] = [Infinity, Infinity, own];
    for (let j = 0; j < k; j++) {
      const far = distance(points, i * d, centroids, j * d, d);
      if (far < best) [second, best, at] = [best, far, j];
      else if (far < second) second = far;
    }
    [upper[i], lower[i]] = [Math.sqrt(best), Math.sqrt(second)];
    if (at === own) continue;
    labels[i] = at;
    changed++;
  }
  return changed;
}

/** Every centre to the mean of its points. */
function move({ points, d, count, k, centroids, labels, upper, lower }: Work): void {
  const sums = new Float64Array(k * d);
  const sizes = new Int32Array(k);
  for (let i = 0; i < count; i++) {
    const label = labels[i]!;
    sizes[label] = sizes[label]! + 1;
    for (let t = 0; t < d; t++) sums[label * d + t] = sums[label * d + t]! + points[i * d + t]!;
  }
  const shifts = new Float64Array(k);
  let emptied = false;
  for (let j = 0; j < k; j++) {
    if (sizes[j] === 0) {
      emptied = true;
      continue;
    }
    let moved = 0;
    for (let t = 0; t < d; t++) {
      const mean = sums[j * d + t]! / sizes[j]!;
      moved += (mean - centroids[j * d + t]!) ** 2;
      centroids[j * d + t] = mean;
    }
    shifts[j] = Math.sqrt(moved);
  }
  if (emptied) {
    refill({ points, d, count, k, centroids, labels, sizes });
    upper.fill(Infinity);
    lower.fill(0);
    return;
  }
  const most = shifts.reduce((a, b) => Math.max(a, b), 0);
  for (let i = 0; i < count; i++) {
    upper[i] = upper[i]! + shifts[labels[i]!]!;
    lower[i] = lower[i]! - most;
  }
}

/** Each empty cluster begins anew at the point that is farthest from its centre. */
function refill(
  work: Pick<Work, "points" | "d" | "count" | "k" | "centroids" | "labels"> & { sizes: Int32Array },
): void {
  const { points, d, count, k, centroids, labels, sizes } = work;
  const taken = new Set<number>();
  for (let j = 0; j < k; j++) {
    if (sizes[j] !== 0) continue;
    let [farthest, at] = [-1, 0];
    for (let i = 0; i < count; i++) {
      const far = taken.has(i) ? -1 : distance(points, i * d, centroids, labels[i]! * d, d);
      if (far > farthest) [farthest, at] = [far, i];
    }
    taken.add(at);
    centroids.set(points.subarray(at * d, (at + 1) * d), j * d);
  }
}

function distance(a: Float64Array, i: number, b: Float64Array, j: number, d: number): number {
  let sum = 0;
  for (let t = 0; t < d; t++) sum += (a[i + t]! - b[j + t]!) ** 2;
  return sum;
}

/** The different points where there are no more than k of them, with the place of each point among them. */
function distinctPoints(points: Float64Array, d: number, k: number): ReadonlyMap<string, number> | undefined {
  const places = new Map<string, number>();
  for (let i = 0; i < points.length; i += d) {
    if (i > 0 && distance(points, i, points, i - d, d) === 0) continue;
    const key = points.subarray(i, i + d).join();
    if (places.has(key)) continue;
    if (places.size === k) return undefined;
    places.set(key, places.size);
  }
  return places;
}

function exactly(points: Float64Array, d: number, k: number, places: ReadonlyMap<string, number>): Clustering {
  const centroids = new Float64Array(k * d);
  const labels = new Int32Array(points.length / d);
  for (let i = 0; i < labels.length; i++) {
    const point = points.subarray(i * d, (i + 1) * d);
    const same = i > 0 && distance(points, i * d, points, (i - 1) * d, d) === 0;
    labels[i] = same ? labels[i - 1]! : places.get(point.join())!;
    centroids.set(point, labels[i]! * d);
  }
  return { centroids, labels };
}

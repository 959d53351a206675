// Kernels of two dimensions as scaled centroids (Son et al., 2018): each kernel v = W[i, j] is divided by t ||v||, t
// the sign of its centre element, so that the centre is positive; all of them are clustered by k-means, and v ~ scale
// C[index]. Transform-invariant: an index may also name a flipped or turned centroid, and centroids are found with each
// kernel turned so that it fits best.
import { kmeans } from "./kmeans.js";

export interface KernelCodes {
  /** [k x h w], the most frequent first. */
  readonly centroids: Float64Array;
  /** Of each kernel: centroid times transforms plus transform. */
  readonly indices: Int32Array;
  /** Of each kernel, [N]. */
  readonly scales: Float64Array;
}

export type Transforms = 1 | 2 | 8;

/**
 * Where the elements of a transformed kernel come from, [transforms][h w]: the kernel itself and mirrored left to right
 * (2); mirrored either way and both, and all four transposed (8; without the transposed ones where it is not square).
 */
export function kernelTransforms(
  [h, w]: readonly [number, number],
  transforms: Transforms,
): readonly (readonly number[])[] {
  const from = (at: (y: number, x: number) => number) =>
    Array.from({ length: h * w }, (_, t) => at(Math.floor(t / w), t % w));
  const plain = [
    from((y, x) => y * w + x),
    from((y, x) => y * w + w - 1 - x),
    from((y, x) => (h - 1 - y) * w + x),
    from((y, x) => (h - 1 - y) * w + w - 1 - x),
  ];
  if (transforms < 8) return plain.slice(0, transforms);
  if (h !== w) return plain;
  const turned = plain.map((order) => from((y, x) => order[x * w + y]!));
  return [...plain, ...turned];
}

export interface CodingOptions {
  readonly kernel: readonly [number, number];
  readonly transforms: Transforms;
  readonly seed: number;
  readonly sweeps: number;
}

/** @param kernels [N x h w] */
export function codeKernels(
  kernels: Float64Array,
  k: number,
  { kernel, transforms, seed, sweeps }: CodingOptions,
): KernelCodes {
  const [h, w] = kernel;
  const d = h * w;
  const count = kernels.length / d;
  const centre = Math.floor(h / 2) * w + Math.floor(w / 2);
  const scales = new Float64Array(count);
  const points = new Float64Array(kernels.length);
  for (let i = 0; i < count; i++) {
    const v = kernels.subarray(i * d, (i + 1) * d);
    const length = Math.sqrt(v.reduce((sum, value) => sum + value * value, 0));
    scales[i] = v[centre]! < 0 ? -length : length;
    for (let t = 0; t < d; t++) points[i * d + t] = length > 0 ? v[t]! / scales[i]! : 0;
  }
  const orders = kernelTransforms(kernel, transforms);
  const turned = new Int32Array(count);
  if (orders.length === 1) {
    const { centroids, labels } = kmeans(points, d, k, { seed, sweeps });
    return byFrequency(centroids, labels, d, 1, turned, scales);
  }
  // Begins with some of the kernels: means of kernels that stand as they are would be alike whichever way they are
  // turned.
  let found = kmeans(points, d, k, { seed, sweeps: 0 });
  for (let round = 0; round < 10; round++) {
    if (!turn(points, found.centroids, d, orders, turned) && round > 0) break;
    found = kmeans(upright(points, d, orders, turned), d, k, { seed, sweeps: Math.min(sweeps, 20) });
  }
  return byFrequency(found.centroids, found.labels, d, orders.length, turned, scales);
}

/** For each point the transform whose image of some centroid is nearest; whether any changed. */
function turn(
  points: Float64Array,
  centroids: Float64Array,
  d: number,
  orders: readonly (readonly number[])[],
  turned: Int32Array,
): boolean {
  const k = centroids.length / d;
  const images = orders.map((order) =>
    Float64Array.from({ length: k * d }, (_, at) => centroids[at - (at % d) + order[at % d]!]!),
  );
  let changed = false;
  for (let i = 0; i < turned.length; i++) {
    let [least, best] = [Infinity, 0];
    for (const [t, image] of images.entries())
      for (let j = 0; j < k; j++) {
        let far = 0;
        for (let e = 0; e < d && far < least; e++) far += (points[i * d + e]! - image[j * d + e]!) ** 2;
        if (far < least) [least, best] = [far, t];
      }
    if (turned[i] !== best) changed = true;
    turned[i] = best;
  }
  return changed;
}

/** Each point with its transform undone. */
function upright(
  points: Float64Array,
  d: number,
  orders: readonly (readonly number[])[],
  turned: Int32Array,
): Float64Array {
  const out = new Float64Array(points.length);
  for (let i = 0; i < turned.length; i++)
    for (const [to, from] of orders[turned[i]!]!.entries()) out[i * d + from] = points[i * d + to]!;
  return out;
}

function byFrequency(
  centroids: Float64Array,
  labels: Int32Array,
  d: number,
  transforms: number,
  turned: Int32Array,
  scales: Float64Array,
): KernelCodes {
  const k = centroids.length / d;
  const sizes = new Int32Array(k);
  for (const label of labels) sizes[label] = sizes[label]! + 1;
  const order = Array.from({ length: k }, (_, j) => j).sort((a, b) => sizes[b]! - sizes[a]! || a - b);
  const place = new Int32Array(k);
  const sorted = new Float64Array(centroids.length);
  for (const [to, from] of order.entries()) {
    place[from] = to;
    sorted.set(centroids.subarray(from * d, (from + 1) * d), to * d);
  }
  return { centroids: sorted, indices: labels.map((label, i) => place[label]! * transforms + turned[i]!), scales };
}

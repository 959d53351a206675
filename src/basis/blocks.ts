// Filters cut into blocks, each a cluster of input channels by a cluster of filters (Denton et al., 2014). Clusters
// have one size, so that grouped convolutions can read them: channels are put with the nearest centre that has room.
import { type Matrix, matrix, squaredNorm } from "../linalg/matrix.js";
import { Random } from "../linalg/random.js";
import type { Candidate, LayerShape, Order, Pair } from "./factors.js";

/** Places in clustered order: which channel, and which filter, stands at each. */
export interface Clusters {
  readonly counts: Pair;
  readonly channels: readonly number[];
  readonly filters: readonly number[];
}

/** @param grouping kmeans, or contiguous: as they stand */
export function clustered(
  weights: Matrix,
  { n, c, kernel }: LayerShape,
  counts: Pair,
  grouping: "kmeans" | "contiguous",
  seed = 1,
): Clusters {
  const area = kernel[0] * kernel[1];
  const asTheyStand = (size: number) => Array.from({ length: size }, (_, i) => i);
  if (grouping === "contiguous") return { counts, channels: asTheyStand(c), filters: asTheyStand(n) };
  const channels = Array.from({ length: c }, (_, j) => {
    const out = new Float64Array(n * area);
    for (let i = 0; i < n; i++) out.set(weights.data.subarray((i * c + j) * area, (i * c + j + 1) * area), i * area);
    return out;
  });
  const filters = Array.from({ length: n }, (_, i) => weights.data.slice(i * c * area, (i + 1) * c * area));
  return {
    counts,
    channels: counts[0] === 1 ? asTheyStand(c) : balancedOrder(channels, counts[0], seed),
    filters: counts[1] === 1 ? asTheyStand(n) : balancedOrder(filters, counts[1], seed + 1),
  };
}

const sweeps = 25;

/** k-means with clusters of one size: the points in the order of their clusters, in each as they stood. */
export function balancedOrder(given: readonly Float64Array[], count: number, seed: number): readonly number[] {
  const points = given.map(normalised);
  const room = points.length / count;
  const random = new Random(`clusters ${seed}`);
  const chosen = new Set<number>();
  while (chosen.size < count) chosen.add(random.int(points.length));
  let centres = [...chosen].map((at) => points[at]!);
  let labels: readonly number[] = [];
  for (let sweep = 0; sweep < sweeps; sweep++) {
    const next = assigned(points, centres, room);
    if (`${next}` === `${labels}`) break;
    labels = next;
    centres = centres.map((_, k) => mean(points.filter((_, i) => next[i] === k)));
  }
  return [...points.keys()].sort((a, b) => labels[a]! - labels[b]! || a - b);
}

/** The pairs of point and centre by distance; each point goes to the first centre that has room. */
function assigned(points: readonly Float64Array[], centres: readonly Float64Array[], room: number): number[] {
  const pairs = points.flatMap((point, i) => centres.map((centre, k) => ({ i, k, far: distance(point, centre) })));
  pairs.sort((a, b) => a.far - b.far || a.i - b.i || a.k - b.k);
  const labels = new Array<number>(points.length).fill(-1);
  const sizes = centres.map(() => 0);
  for (const { i, k } of pairs) {
    if (labels[i] !== -1 || sizes[k] === room) continue;
    labels[i] = k;
    sizes[k] = sizes[k]! + 1;
  }
  return labels;
}

function normalised(point: Float64Array): Float64Array {
  const length = Math.sqrt(squaredNorm(point)) || 1;
  return point.map((value) => value / length);
}

function distance(a: Float64Array, b: Float64Array): number {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += (a[i]! - b[i]!) ** 2;
  return sum;
}

function mean(points: readonly Float64Array[]): Float64Array {
  const out = new Float64Array(points[0]!.length);
  for (const point of points) for (let i = 0; i < out.length; i++) out[i] = out[i]! + point[i]! / points.length;
  return out;
}

/** The filters of block (g, h): [n / H x c / G kh kw]. */
export function blockOf(
  weights: Matrix,
  { n, c, kernel }: LayerShape,
  { counts, channels, filters }: Clusters,
  g: number,
  h: number,
): Matrix {
  const [width, height, area] = [c / counts[0], n / counts[1], kernel[0] * kernel[1]];
  const out = matrix(height, width * area);
  for (let i = 0; i < height; i++)
    for (let j = 0; j < width; j++) {
      const from = (filters[h * height + i]! * c + channels[g * width + j]!) * area;
      out.data.set(weights.data.subarray(from, from + area), (i * width + j) * area);
    }
  return out;
}

/**
 * The orders of a chain in three stages over these clusters: channels by clusters; from (g, h, k) to (h, g, k), `rank`
 * channels for each block, before the last stage; and filters back to their places. Without any where all stay.
 */
export function blockOrders({ counts: [g, h], channels, filters }: Clusters, rank: number): Pick<Candidate, "orders"> {
  const middle: number[] = [];
  for (let to = 0; to < h; to++)
    for (let from = 0; from < g; from++) for (let k = 0; k < rank; k++) middle.push((from * h + to) * rank + k);
  const back = new Array<number>(filters.length);
  for (const [place, filter] of filters.entries()) back[filter] = place;
  const orders = [channels, null, middle, back].map((order): Order => (order && isIdentity(order) ? null : order));
  return orders.every((order) => order === null) ? {} : { orders };
}

const isIdentity = (order: readonly number[]): boolean => order.every((from, to) => from === to);

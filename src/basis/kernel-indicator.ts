// The kernel sparsity and entropy indicator (Li et al., 2019) of a layer's input channels, and how many centroids each
// gets. For channel j with kernels W[i, j], i = 1..n: sparsity s_j = sum_i |W_ij|_1; dm(i) the sum of the Euclidean
// distances from kernel i to its K nearest, p_i = dm(i) / sum dm, entropy e_j = - sum_i p_i log2 p_i; both are moved to
// 0..1 over the channels, v_j = sqrt(s_j / (1 + alpha e_j)), moved to 0..1 too. Where all channels are alike, v is 1.

const neighbours = 5;

/**
 * @param weights W [n, c, h w]
 * @param legacyEntropy as the released code reads the array: kernels of other channels in the place of the channel's
 * own
 */
export function channelIndicator(
  weights: Float64Array,
  [n, c, area]: readonly [n: number, c: number, area: number],
  { alpha = 1, legacyEntropy = false } = {},
): Float64Array {
  const sparsity = new Float64Array(c);
  const entropy = new Float64Array(c);
  for (let j = 0; j < c; j++) {
    const kernels = kernelsOf(weights, n, c, area, j);
    sparsity[j] = kernels.reduce((sum, value) => sum + Math.abs(value), 0);
    entropy[j] = entropyOf(legacyEntropy ? legacyKernels(weights, n, c, area, j) : kernels, n, area);
  }
  const [s, e] = [unit(sparsity), unit(entropy)];
  return unit(s.map((value, j) => Math.sqrt(value / (1 + alpha * e[j]!))));
}

/** W[:, j]: [n, h w]. */
export function kernelsOf(weights: Float64Array, n: number, c: number, area: number, j: number): Float64Array {
  const out = new Float64Array(n * area);
  for (let i = 0; i < n; i++) out.set(weights.subarray((i * c + j) * area, (i * c + j + 1) * area), i * area);
  return out;
}

/** The array [c, n, h w] read as [n, c, h w], of which this takes what then stands at channel j. */
function legacyKernels(weights: Float64Array, n: number, c: number, area: number, j: number): Float64Array {
  const out = new Float64Array(n * area);
  for (let i = 0; i < n; i++) {
    const flat = i * c + j; // of [c, n]: channel flat / n, filter flat % n
    const from = ((flat % n) * c + Math.floor(flat / n)) * area;
    out.set(weights.subarray(from, from + area), i * area);
  }
  return out;
}

function entropyOf(kernels: Float64Array, n: number, area: number): number {
  const count = Math.min(neighbours, n - 1);
  if (count === 0) return 0;
  const density = new Float64Array(n);
  const row = new Float64Array(n);
  for (let i = 0; i < n; i++) {
    for (let other = 0; other < n; other++) {
      let sum = 0;
      for (let t = 0; t < area; t++) sum += (kernels[i * area + t]! - kernels[other * area + t]!) ** 2;
      row[other] = other === i ? Infinity : Math.sqrt(sum);
    }
    density[i] = row
      .slice()
      .sort()
      .subarray(0, count)
      .reduce((sum, value) => sum + value, 0);
  }
  const all = density.reduce((sum, value) => sum + value, 0);
  if (!(all > 0)) return 0;
  return -density.reduce((sum, value) => (value > 0 ? sum + (value / all) * Math.log2(value / all) : sum), 0);
}

/** Moved to 0..1; 1 where all are alike. */
function unit(values: Float64Array): Float64Array {
  const [least, most] = [Math.min(...values), Math.max(...values)];
  return values.map((value) => (most > least ? (value - least) / (most - least) : 1));
}

/** q of a channel: 0 (it is dropped), n (it stays), or ceil(n / 2^(G - 1 - t + T)) with t = floor(v G). */
export function centroidsOf(indicator: number, n: number, levels: number, halvings: number): number {
  const t = Math.floor(indicator * levels);
  if (t <= 0) return 0;
  if (t >= levels - 1) return n;
  return Math.ceil(n / 2 ** (levels - 1 - t + halvings));
}

// Filters of one colour each (Denton et al., 2014, for the first layer): of every filter W[o] [c x kh kw] the best rank
// 1 is a colour u over the channels times a kernel v. The n colours are put into C' clusters of one size (their leading
// direction is the cluster's colour), and each kernel is v = u^T W[o] for its cluster's: 1x1 from c to C' channels,
// then one kernel for each filter (a grouped convolution over C' groups); c C' + n kh kw weights. Colours have no sign.
import { type LinearAlgebra, spectrum } from "../linalg/low-rank.js";
import { type Matrix, matrix } from "../linalg/matrix.js";
import { balancedOrder } from "./blocks.js";
import { type Candidate, type Factors, type LayerShape, makeFactors } from "./factors.js";

/** @param filters W [n x c kh kw] @param colours a divisor of n */
export function monochromatic(
  filters: Matrix,
  shape: LayerShape,
  colours: number,
  linear: LinearAlgebra,
  seed: number,
): Factors {
  const { n, c, kernel } = shape;
  const area = kernel[0] * kernel[1];
  const order = balancedOrder(
    Array.from({ length: n }, (_, o) => colourOf(filterOf(filters, o, c, area), linear)),
    colours,
    seed,
  );
  const size = n / colours;
  const mixing = new Float64Array(colours * c);
  const kernels = new Float64Array(n * area);
  for (let k = 0; k < colours; k++) {
    const own = order.slice(k * size, (k + 1) * size);
    const together = matrix(c, size * area);
    for (const [at, o] of own.entries())
      for (let j = 0; j < c; j++)
        together.data.set(
          filterOf(filters, o, c, area).data.subarray(j * area, (j + 1) * area),
          (j * size + at) * area,
        );
    const colour = colourOf(together, linear);
    mixing.set(colour, k * c);
    for (let i = 0; i < size * area; i++)
      for (let j = 0; j < c; j++) {
        const to = k * size * area + i;
        kernels[to] = kernels[to]! + colour[j]! * together.data[j * size * area + i]!;
      }
  }
  const back = new Array<number>(n);
  for (const [place, filter] of order.entries()) back[filter] = place;
  return makeFactors({ ...monochromaticCandidate(colours), ...orderOf(back) }, shape, [mixing, kernels]);
}

export const monochromaticCandidate = (colours: number): Candidate => ({ family: "monochromatic", ranks: [colours] });

const orderOf = (back: readonly number[]): Pick<Candidate, "orders"> =>
  back.every((from, to) => from === to) ? {} : { orders: [null, null, back] };

const filterOf = ({ data }: Matrix, filter: number, c: number, area: number): Matrix =>
  matrix(c, area, data.subarray(filter * c * area, (filter + 1) * c * area));

/** The leading left singular vector, of length 1, its largest entry positive. */
function colourOf(filter: Matrix, linear: LinearAlgebra): Float64Array {
  const { coefficients } = spectrum(filter, linear).lowRank(1);
  const { data } = coefficients;
  const length = Math.sqrt(data.reduce((sum, value) => sum + value * value, 0));
  if (length === 0) return data.map((_, i) => (i === 0 ? 1 : 0));
  const largest = data.reduce((best, value) => (Math.abs(value) > Math.abs(best) ? value : best), 0);
  return data.map((value) => value / (Math.sign(largest) * length));
}

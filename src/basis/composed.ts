// The dense filters that a chain of convolutions amounts to.
import { type Matrix, matrix } from "../linalg/matrix.js";
import { multiply as product } from "../linalg/product.js";
import type { Factors, Order, Pair, Stage } from "./factors.js";

type Multiply = (a: Matrix, b: Matrix) => Matrix;

/** The dense filters that the chain amounts to: [n x c kh kw], each row [c, kh, kw]. */
export function composed(
  { stages, candidate }: Pick<Factors, "stages" | "candidate">,
  multiply: Multiply = product,
): Matrix {
  const [first, ...rest] = stages;
  const { orders = [] } = candidate;
  let sum = first!;
  for (const [i, stage] of rest.entries()) sum = followed(reordered(sum, orders[i + 1]), stage, multiply);
  const { weight, out, kernel } = ungrouped(reordered(sum, orders[stages.length]));
  return matrix(out, sum.in * kernel[0] * kernel[1], ofInputs(weight, sum.in, kernel[0] * kernel[1], orders[0]));
}

/** The stage with its filters in another order. */
function reordered(stage: Stage, order: Order | undefined): Stage {
  if (!order) return stage;
  const full = ungrouped(stage);
  const width = full.weight.length / full.out;
  const weight = new Float64Array(full.weight.length);
  for (const [to, from] of order.entries())
    weight.set(full.weight.subarray(from * width, (from + 1) * width), to * width);
  return { ...full, weight };
}

/** Filters over reordered channels as filters over the channels as they are. */
function ofInputs(weight: Float64Array, channels: number, elements: number, order: Order | undefined): Float64Array {
  if (!order) return weight;
  const out = new Float64Array(weight.length);
  const rows = weight.length / (channels * elements);
  for (let o = 0; o < rows; o++)
    for (const [place, channel] of order.entries()) {
      const from = (o * channels + place) * elements;
      out.set(weight.subarray(from, from + elements), (o * channels + channel) * elements);
    }
  return out;
}

/** The same convolution without groups: [out, in, kernel], zeros where an output does not see an input. */
function ungrouped(stage: Stage): Stage {
  const { weight, out, groups, kernel } = stage;
  if (groups === 1) return stage;
  const width = (stage.in / groups) * kernel[0] * kernel[1];
  const full = new Float64Array(out * width * groups);
  for (let o = 0; o < out; o++) {
    const group = Math.floor((o * groups) / out);
    full.set(weight.subarray(o * width, (o + 1) * width), (o * groups + group) * width);
  }
  return { ...stage, groups: 1, weight: full };
}

/** Two convolutions as one; of each axis at most one of them has several kernel elements. */
function followed(first: Stage, second: Stage, multiply: Multiply): Stage {
  if (second.groups > 1) {
    if (second.groups === second.in && second.out === second.in) return followedByDepthwise(first, second);
    return followed(first, ungrouped(second), multiply);
  }
  const { groups } = first;
  const [taps1, taps2] = [first.kernel[0] * first.kernel[1], second.kernel[0] * second.kernel[1]];
  const kernel: Pair = [first.kernel[0] * second.kernel[0], first.kernel[1] * second.kernel[1]];
  const [kernelElements, perGroup, mid] = [taps1 * taps2, first.in / groups, first.out / groups];
  const places = Array.from({ length: taps1 }, (_, tap) => place(tap, first.kernel, kernel));
  const weight = new Float64Array(second.out * first.in * kernelElements);
  for (let t2 = 0; t2 < taps2; t2++) {
    const offset = place(t2, second.kernel, kernel); // on each axis this or the first stage's place is 0
    for (let g = 0; g < groups; g++) {
      const left = matrix(second.out, mid); // [n, mid] of this group at this kernel element
      for (let o = 0; o < second.out; o++)
        for (let j = 0; j < mid; j++)
          left.data[o * mid + j] = second.weight[(o * second.in + g * mid + j) * taps2 + t2]!;
      const width = perGroup * taps1;
      const right = matrix(mid, width, first.weight.subarray(g * mid * width, (g + 1) * mid * width));
      const { data } = multiply(left, right); // [n, perGroup taps1]
      for (let o = 0; o < second.out; o++)
        for (let i = 0; i < perGroup; i++)
          for (let t1 = 0; t1 < taps1; t1++)
            weight[(o * first.in + g * perGroup + i) * kernelElements + places[t1]! + offset] =
              data[o * width + i * taps1 + t1]!;
    }
  }
  return { ...second, in: first.in, groups: 1, kernel, weight };
}

/** Every filter of the first times the one that reads it. */
function followedByDepthwise(first: Stage, second: Stage): Stage {
  const [taps1, taps2] = [first.kernel[0] * first.kernel[1], second.kernel[0] * second.kernel[1]];
  const kernel: Pair = [first.kernel[0] * second.kernel[0], first.kernel[1] * second.kernel[1]];
  const perGroup = first.in / first.groups;
  const weight = new Float64Array(first.out * perGroup * taps1 * taps2);
  for (let o = 0; o < first.out; o++)
    for (let i = 0; i < perGroup; i++)
      for (let t1 = 0; t1 < taps1; t1++)
        for (let t2 = 0; t2 < taps2; t2++)
          weight[
            (o * perGroup + i) * taps1 * taps2 + place(t1, first.kernel, kernel) + place(t2, second.kernel, kernel)
          ] = first.weight[(o * perGroup + i) * taps1 + t1]! * second.weight[o * taps2 + t2]!;
  return { ...first, kernel, weight };
}

/** Where the kernel element `tap` of a stage lies in the kernel of the chain. */
const place = (tap: number, own: Pair, all: Pair): number => Math.floor(tap / own[1]) * all[1] + (tap % own[1]);

// New biases of layers that keep their filters, where a ReLU stands behind them. What a layer makes below zero says
// nothing there, and most of what many channels make is below zero: a bias that makes the mean of the output right
// makes the mean behind the ReLU wrong, and what all places lack alike is what the next layer adds up. So the bias is
// the one with the right mean behind the ReLU, sum relu(u + b) = sum relu(y + s), in the channels in which it lowers
// the error on samples held out (decision 48).
import type { SampleStore } from "./sample-store.js";

interface Made {
  /** What the layer and the shortcut make in the compressed network, [rows x n]. */
  readonly u: Float32Array;
  /** The same in the original network. */
  readonly wanted: Float32Array;
  readonly held: boolean;
}

/** A bias with the right mean behind the ReLU, and errors there, by the energy of what is wanted. */
export interface BehindRelu {
  /** On samples held out, with the bias as it is. */
  readonly before: number;
  /** On samples held out, fitted without them. */
  readonly after: number;
  /** What the biases change by, fitted to all samples, [n]. */
  readonly shift: Float64Array;
}

/** @param store - of what the layer makes, without the shortcut */
export function biasBehindRelu(store: SampleStore): BehindRelu {
  const n = store.outputs;
  const all = store.kept.map(
    (one): Made => ({
      u: plus(one.x, one.s),
      wanted: plus(one.y, one.s),
      held: one.held,
    }),
  );
  const fit = all.filter(({ held }) => !held);
  const held = all.filter((one) => one.held);
  const deciding = held.length > 0 ? held : fit;
  const none = new Float64Array(n);
  const fitted = shiftsOf(fit, n);
  const [plain, shifted] = [errorsOf(deciding, none), errorsOf(deciding, fitted)];
  const takes = plain.map((error, o) => shifted[o]! < error);
  const energy = sum(energiesOf(deciding, n)) || Number.MIN_VALUE;
  const better = plain.map((error, o) => (takes[o] ? shifted[o]! : error));
  const final = held.length > 0 && takes.some(Boolean) ? shiftsOf(all, n) : fitted;
  const shift = final.map((value, o) => (takes[o] ? value : 0));
  return { before: sum(plain) / energy, after: sum(better) / energy, shift };
}

const plus = (values: Float32Array, others: Float32Array | undefined): Float32Array =>
  others === undefined ? values : values.map((value, i) => value + others[i]!);

const sum = (values: readonly number[]): number => values.reduce((total, value) => total + value, 0);

/** Newton's steps end after as many: the sum is made of straight pieces and convex, so that few are needed. */
const steps = 40;

/** The shift b of every channel with sum relu(u + b) = sum relu(wanted), [n]; 0 where there is nothing to find. */
function shiftsOf(samples: readonly Made[], n: number): Float64Array {
  const wanted = new Float64Array(n);
  const least = new Float64Array(n).fill(Number.POSITIVE_INFINITY);
  let rows = 0;
  for (const one of samples) {
    rows += one.u.length / n;
    for (let i = 0, o = 0; i < one.u.length; i++, o = o + 1 === n ? 0 : o + 1) {
      wanted[o] = wanted[o]! + Math.max(0, one.wanted[i]!);
      if (one.u[i]! < least[o]!) least[o] = one.u[i]!;
    }
  }
  const shift = new Float64Array(n);
  const made = new Float64Array(n);
  const above = new Float64Array(n);
  let open = rows > 0;
  for (let step = 0; open && step < steps; step++) {
    made.fill(0);
    above.fill(0);
    for (const { u } of samples)
      for (let i = 0, o = 0; i < u.length; i++, o = o + 1 === n ? 0 : o + 1) {
        const value = u[i]! + shift[o]!;
        if (value <= 0) continue;
        made[o] = made[o]! + value;
        above[o] = above[o]! + 1;
      }
    open = false;
    for (let o = 0; o < n; o++) {
      const lacking = wanted[o]! - made[o]!;
      if (Math.abs(lacking) <= 1e-9 * wanted[o]!) continue;
      if (above[o]! > 0) shift[o] = shift[o]! + lacking / above[o]!;
      else if (lacking > 0)
        shift[o] = wanted[o]! / rows - least[o]!; // all above zero: beyond the root, from where steps come down to it
      else continue;
      open = true;
    }
  }
  return shift;
}

/** Squared errors behind the ReLU, [n]. */
function errorsOf(samples: readonly Made[], shift: Float64Array): number[] {
  const n = shift.length;
  const errors = new Float64Array(n);
  for (const { u, wanted } of samples)
    for (let i = 0, o = 0; i < u.length; i++, o = o + 1 === n ? 0 : o + 1)
      errors[o] = errors[o]! + (Math.max(0, u[i]! + shift[o]!) - Math.max(0, wanted[i]!)) ** 2;
  return [...errors];
}

/** Of what is wanted behind the ReLU, [n]. */
const energiesOf = (samples: readonly Made[], n: number): number[] =>
  errorsOf(
    samples.map((one) => ({ ...one, u: new Float32Array(one.wanted.length) })),
    new Float64Array(n),
  );

// How often values of an activation occur: collected without knowing their range beforehand, and the ranges that eight
// bits should cover, chosen in three ways.
import type { Range } from "../passes/quantize/steps.js";

/** Bins from -reach to reach; the reach doubles when a value lies beyond it. */
export interface Histogram {
  reach: number;
  readonly counts: Float64Array;
  low: number;
  high: number;
}

const bins = 8192;

export const emptyHistogram = (): Histogram => ({
  reach: 0,
  counts: new Float64Array(bins),
  low: Number.POSITIVE_INFINITY,
  high: Number.NEGATIVE_INFINITY,
});

/** Adds every `stride`-th value to the bins; the ends are those of all. False where a value is not finite. */
export function addValues(histogram: Histogram, values: Float32Array, stride = 1): boolean {
  let { low, high } = histogram;
  for (let i = 0; i < values.length; i++) {
    const value = values[i]!;
    if (value < low) low = value;
    if (value > high) high = value;
    if (!(value - value === 0)) return false;
  }
  [histogram.low, histogram.high] = [low, high];
  widen(histogram, Math.max(Math.abs(low), Math.abs(high)));
  const { counts, reach } = histogram;
  if (reach === 0) return true;
  const perUnit = bins / 2 / reach;
  for (let i = 0; i < values.length; i += stride) {
    const bin = Math.min(bins - 1, Math.floor(bins / 2 + values[i]! * perUnit));
    counts[bin]!++;
  }
  return true;
}

/** Doubles the reach until it holds a size: pairs of bins become one. */
function widen(histogram: Histogram, size: number): void {
  if (histogram.reach === 0) {
    histogram.reach = Number.isFinite(size) ? size : 0;
    return;
  }
  const { counts } = histogram;
  while (histogram.reach < size) {
    const merged = new Float64Array(bins);
    for (let i = 0; i < bins; i++) merged[bins / 4 + (i >> 1)]! += counts[i]!;
    counts.set(merged);
    histogram.reach *= 2;
  }
}

/** How the range of an activation is chosen from what was seen. */
export const rangeChoices = ["all", "percentile", "least-squares"] as const;
export type RangeChoice = (typeof rangeChoices)[number];

/** Of the values, on each side: what a range by percentile leaves out. */
const leftOut = 1e-4;

/** The range that eight bits are to cover. Values that were never seen cover nothing: [0, 0]. */
export function rangeOf(histogram: Histogram, choice: RangeChoice): Range {
  const { low, high } = histogram;
  if (!(low <= high)) return { low: 0, high: 0 };
  const all = { low: Math.min(0, low), high: Math.max(0, high) };
  if (choice === "all" || all.high === all.low) return all;
  return choice === "percentile" ? withoutTails(histogram, all) : leastSquares(histogram, all);
}

const centre = ({ reach }: Histogram, bin: number): number => ((bin + 0.5) / (bins / 2) - 1) * reach;

function withoutTails(histogram: Histogram, all: Range): Range {
  const { counts, reach } = histogram;
  const total = counts.reduce((sum, count) => sum + count, 0);
  const width = reach / (bins / 2);
  let [below, above] = [0, 0];
  let [first, last] = [0, bins - 1];
  while (first < last && below + counts[first]! <= leftOut * total) below += counts[first++]!;
  while (last > first && above + counts[last]! <= leftOut * total) above += counts[last--]!;
  return {
    low: Math.max(all.low, Math.min(0, centre(histogram, first) - width / 2)),
    high: Math.min(all.high, Math.max(0, centre(histogram, last) + width / 2)),
  };
}

/** The range, a part of the whole one, whose rounding and clipping lose the least squares. */
function leastSquares(histogram: Histogram, all: Range): Range {
  const { counts } = histogram;
  let best = { range: all, loss: Number.POSITIVE_INFINITY };
  for (let part = 1; part >= 0.2; part -= 0.02) {
    const range = { low: all.low * part, high: all.high * part };
    const rounding = ((range.high - range.low) / 255) ** 2 / 12;
    let loss = 0;
    for (let bin = 0; bin < bins; bin++) {
      if (counts[bin] === 0) continue;
      const value = centre(histogram, bin);
      const beyond = value > range.high ? value - range.high : value < range.low ? range.low - value : 0;
      loss += counts[bin]! * (beyond === 0 ? rounding : beyond ** 2);
    }
    if (loss < best.loss) best = { range, loss };
  }
  return best.range;
}

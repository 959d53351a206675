// What times measured in turns say: medians with their spread, and the quotient of two candidates from rounds in which
// both ran, which a machine that is busy now and idle then disturbs far less than either time.
import { median } from "./latency.js";

/** The middle of many measurements, and between what half of them lie. */
export interface Spread {
  readonly median: number;
  readonly quartiles: readonly [low: number, high: number];
}

export interface PairedRatio extends Spread {
  /**
   * The true quotient lies in here with this probability (of "one half of the rounds lie above it"; order statistics of
   * the rounds).
   */
  readonly interval: readonly [low: number, high: number];
  readonly confidence: number;
  /**
   * The second against the first: faster or slower only where all of the interval says so and the difference matters.
   */
  readonly verdict: Verdict;
}

export type Verdict = "faster" | "slower" | "within noise";

/** Differences below this are not told: where its memory happens to lie changes a model's time by as much. */
const leastDifference = 0.01;

export function spreadOf(samples: readonly number[]): Spread {
  return { median: median(samples), quartiles: [quantile(samples, 0.25), quantile(samples, 0.75)] };
}

/** The quotient first / second over the rounds: above 1 where the second is faster. */
export function pairedRatio(first: readonly number[], second: readonly number[]): PairedRatio {
  const ratios = first.map((value, round) => value / second[round]!);
  const { low, high, confidence } = medianInterval(ratios);
  const spread = spreadOf(ratios);
  const faster = low > 1 && spread.median > 1 + leastDifference;
  const slower = high < 1 && spread.median < 1 / (1 + leastDifference);
  return {
    ...spread,
    interval: [low, high],
    confidence,
    verdict: faster ? "faster" : slower ? "slower" : "within noise",
  };
}

/**
 * Between which of the sorted values the median of their distribution lies, with at least 95 % (5 values: all of them,
 * 94 %). Fewer than five values say too little by themselves: their range, a factor between quotients, is taken twice
 * more to both sides.
 */
function medianInterval(values: readonly number[]): {
  readonly low: number;
  readonly high: number;
  readonly confidence: number;
} {
  const sorted = [...values].sort((a, b) => a - b);
  const n = sorted.length;
  let drop = 0;
  while (drop + 1 < n / 2 && confidenceOf(n, drop + 1) >= 0.95) drop++;
  const [low, high] = [sorted[drop]!, sorted[n - 1 - drop]!];
  const wider = n < 5 ? (high / low) ** 2 : 1;
  return { low: low / wider, high: high * wider, confidence: confidenceOf(n, drop) };
}

/**
 * The chance that the median lies between the values numbered `drop` from below and from above: 1 - 2 P(at most `drop`
 * of n coins fall heads).
 */
function confidenceOf(n: number, drop: number): number {
  let [term, tail] = [0.5 ** n, 0];
  for (let k = 0; k <= drop; k++) {
    tail += term;
    term *= (n - k) / (k + 1);
  }
  return 1 - 2 * tail;
}

function quantile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  const at = share * (sorted.length - 1);
  const below = sorted[Math.floor(at)]!;
  return below + (at - Math.floor(at)) * (sorted[Math.ceil(at)]! - below);
}

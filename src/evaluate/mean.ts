// A mean over inputs, and how sure it is.

/** A mean over inputs, with half the width of its 95 % interval (0 for fewer than two inputs). */
export interface Mean {
  readonly mean: number;
  readonly interval: number;
}

/** The mean and its 95 % interval, by the spread over inputs. */
export function meanOf(values: readonly number[]): Mean {
  const n = values.length;
  if (n === 0) return { mean: Number.NaN, interval: 0 };
  const mean = values.reduce((sum, value) => sum + value, 0) / n;
  if (n === 1) return { mean, interval: 0 };
  const variance = values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / (n - 1);
  return { mean, interval: 1.96 * Math.sqrt(variance / n) };
}

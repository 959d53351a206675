// A bound on the size of a single value, so that a small hostile graph ends in a typed error and not in a machine
// without memory.
import { totalmem } from "node:os";
import { FilterBasisError } from "../../errors/error.js";
import { broadcastSizes } from "../../ops/rules/call.js";

/** Elements (of 4 bytes) that fill half of the memory. */
const limit = Math.min(2 ** 40, totalmem() / 8);

/**
 * The dims themselves, if a value of that shape may be made.
 * @throws FilterBasisError `too-large` beyond half of the machine's memory, `shape-mismatch` for a negative size
 */
export function bounded(dims: readonly number[]): readonly number[] {
  let count = 1;
  for (const n of dims) {
    if (!Number.isSafeInteger(n) || n < 0) {
      throw new FilterBasisError("shape-mismatch", "a size is not a whole number of at least 0", {
        got: `[${dims.join(", ")}]`,
      });
    }
    count *= n;
  }
  if (count <= limit) return dims;
  throw new FilterBasisError("too-large", "a value would not fit the machine's memory", {
    expected: `at most ${Math.floor(limit)} elements`,
    got: `[${dims.join(", ")}]`,
  });
}

/**
 * A list of this length may be made in JavaScript.
 * @throws FilterBasisError `too-large`
 */
export function boundedList(length: number): number {
  if (length <= 2 ** 24) return length;
  throw new FilterBasisError("too-large", "an axis is too long for this operator", {
    expected: `at most ${2 ** 24}`,
    got: String(length),
  });
}

/**
 * The dims of two values broadcast together, checked for size.
 * @throws FilterBasisError `shape-mismatch`
 */
export function broadcast(a: readonly number[], b: readonly number[]): readonly number[] {
  const clash = () =>
    new FilterBasisError("shape-mismatch", "the shapes cannot be broadcast together", {
      got: `[${a.join(", ")}] and [${b.join(", ")}]`,
    });
  return bounded(broadcastSizes([a, b], clash) as readonly number[]);
}

export const sameDims = (a: readonly number[], b: readonly number[]): boolean =>
  a.length === b.length && a.every((n, i) => n === b[i]);

// Without a budget: a plan that keeps the limit on the images that chose it may lose more on others. It is followed by
// slower ones, for as much less as its file lost too much.
import { isError } from "../errors/error.js";
import type { Loss } from "../evaluate/compare-on-data.js";

/** Plans behind the first; each costs a refit and a verification. */
const retries = 2;

interface Tries<P, R> {
  /**
   * Writes what a plan gives.
   * @param isStrict whether a loss above the limit that nobody named is an error too
   * @throws FilterBasisError `loses-function` with the facts `loss` and `most` where that loses too much
   */
  readonly carryOut: (plan: P, isStrict: boolean) => Promise<R>;
  /** A plan that is expected to lose at most `limit` where this one lost `lost`; undefined where none is worth it. */
  readonly slower: (plan: P, lost: Pick<Loss, "mean">, limit: number) => P | undefined;
  /** Whether the limit was named: a file that loses more is not written. */
  readonly isNamed: boolean;
  readonly note?: ((text: string) => void) | undefined;
}

/**
 * Carries a plan out, and where the file loses more than the limit on other images, slower plans after it. Without a
 * named limit the last of them is written all the same, with what it loses.
 * @throws FilterBasisError the last `loses-function`; what else carrying out and planning throw
 */
export async function untilKept<P, R>(first: P, tries: Tries<P, R>): Promise<R> {
  let plan = first;
  for (let tried = 0; tried < retries; tried++) {
    try {
      return await tries.carryOut(plan, true);
    } catch (error) {
      if (!isError(error, "loses-function")) throw error;
      const { loss, most } = error.facts as { readonly loss: Loss; readonly most: number };
      const next = tries.slower(plan, loss, most);
      if (next === undefined && tries.isNamed) throw error;
      if (next === undefined) break;
      tries.note?.(`lost ${loss.mean.toPrecision(3)} on other images than those that chose it: a slower plan`);
      plan = next;
    }
  }
  return tries.carryOut(plan, false);
}

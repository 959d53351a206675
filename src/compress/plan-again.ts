// A file that was measured slower than its plan is not the end: the plan was timed before the refit, in the fastest of
// several timings, and what counts is the file. The plan is made again for as much more as the file fell short of.
import { isError } from "../errors/error.js";
import { isOutOfReach } from "./out-of-reach.js";
import type { CalibratedBudget } from "./plan-calibrated.js";
import type { Times } from "./time.js";

/** Plans behind the first; each costs a refit and a verification. */
const retries = 2;

/** Beyond what the file fell short of, so that the same noise does not decide again. */
const margin = 1.02;

interface Tries<P, R> {
  /** Writes what a plan gives. @throws FilterBasisError `does-not-pay` with the fact `times` where that is too slow */
  readonly carryOut: (plan: P) => Promise<R>;
  /** A plan for a budget. @throws FilterBasisError as `outOfReach` */
  readonly plan: (budget: CalibratedBudget) => Promise<P>;
  readonly note?: ((text: string) => void) | undefined;
}

/**
 * Carries a plan out, and where the file is slower than a budget in time allows, faster plans after it.
 * @throws FilterBasisError the last `does-not-pay`; what else carrying out and planning throw
 */
export async function untilFast<P, R>(first: P, budget: CalibratedBudget, tries: Tries<P, R>): Promise<R> {
  let [plan, asked] = [first, budget];
  for (let tried = 0; ; tried++) {
    try {
      return await tries.carryOut(plan);
    } catch (error) {
      const times = missedBy(error);
      const further = times && faster(asked, budget, times);
      if (further === undefined || tried === retries) throw error;
      tries.note?.(`measured ${times!.ratio.toFixed(2)} x on the file: planned again for ${textOf(further)}`);
      asked = further;
      plan = await tries.plan(asked).catch((reason: unknown) => {
        throw isOutOfReach(reason) ? error : reason;
      });
    }
  }
}

const missedBy = (error: unknown): Times | undefined =>
  isError(error, "does-not-pay") ? (error.facts.times as Times | undefined) : undefined;

/** The budget that a plan is made for, by as much as its file missed the one that was given; undefined without one. */
function faster(
  asked: CalibratedBudget,
  { speedup, latency }: CalibratedBudget,
  times: Times,
): CalibratedBudget | undefined {
  if (speedup !== undefined) return { ...asked, speedup: (margin * asked.speedup! * speedup) / times.ratio };
  if (latency === undefined) return undefined;
  return { ...asked, latency: (asked.latency! * latency) / (margin * times.written) };
}

const textOf = ({ speedup, latency }: CalibratedBudget): string =>
  speedup !== undefined ? `${speedup.toFixed(2)} x` : `${latency!.toFixed(2)} ms`;

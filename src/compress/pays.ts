// Whether a result pays: no larger and no slower than the file that was given. What was asked for by sizes or layouts
// is obeyed instead.
import { FilterBasisError } from "../errors/error.js";
import type { JobOptions } from "./job.js";
import type { Times } from "./time.js";

/** A budget is asked for to get a better file; sizes and layouts that were given are obeyed. */
function isObeyed({ plan = {}, layout = "auto" }: JobOptions): boolean {
  const sizes = plan.basis !== undefined || Object.values(plan.layers ?? {}).some(({ basis }) => basis !== undefined);
  return sizes || layout !== "auto";
}

/** @throws FilterBasisError `does-not-pay` where a file that a budget asked for would be larger than the original */
export function checkSize(original: number | undefined, written: number, options: JobOptions): void {
  if (isObeyed(options) || original === undefined || written <= original) return;
  throw new FilterBasisError(
    "does-not-pay",
    "the written file would be larger than the original: its few weights are less than what describes them",
    { expected: `at most ${original} bytes`, got: `${written} bytes`, facts: { bytes: { original, written } } },
  );
}

/** A mixture of layouts has to save this much of the time to be worth taking over the dense layout. */
export const worthwhile = 0.985;

/** What a written file may be slower than the original by. */
const slowest = 1.03;

/** Whether a file that a budget asked for was measured to be slower than the original. */
export const isTooSlow = (times: Times, options: JobOptions): boolean =>
  !isObeyed(options) && times.verdict === "slower" && slowest * times.ratio < 1;

/** `does-not-pay` */
export const tooSlow = (times: Times): FilterBasisError =>
  new FilterBasisError("does-not-pay", "the written file would be slower than the original", {
    expected: `at most ${times.original.toFixed(2)} ms`,
    got: `${times.written.toFixed(2)} ms`,
    cures: ["give a budget in weights: --keep-params", "give sizes, which are obeyed: --basis M"],
    facts: { times },
  });

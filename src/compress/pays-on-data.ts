// Whether the result of a compression on data pays: what it loses, how fast it is, how many bytes it has, against what
// was asked for.
import { FilterBasisError } from "../errors/error.js";
import type { ComparedOnData, Loss } from "../evaluate/compare-on-data.js";
import type { CalibratedBudget } from "./plan-calibrated.js";
import type { Times } from "./time.js";

/** What a file may be slower than the original by, or short of the speed-up that was asked for. */
const noise = 1.03;

/** @throws FilterBasisError `loses-function`; `data-mismatch` where the images say nothing of the output */
export function checkLoss(compared: ComparedOnData, most: number): void {
  if (compared.loss.constant) throw saysNothing(compared.loss);
  if (compared.loss.mean > most)
    throw losesFunction(compared, most, "ask for less: a larger --keep-macs, a smaller --speedup");
}

/** The output decides nothing: it is the same on every image. */
export const saysNothing = ({ output }: Pick<Loss, "output">): FilterBasisError =>
  new FilterBasisError("data-mismatch", "the output is the same on every image, so that its loss decides nothing", {
    tensor: output,
    cures: [
      "name another output: --loss-output",
      "give other images",
      "say how they become inputs: --normalize, --range",
      "give a budget without a limit",
    ],
  });

/** @param less what to ask for instead */
export function losesFunction({ loss, outputs, inputs }: ComparedOnData, most: number, less: string): FilterBasisError {
  return new FilterBasisError(
    "loses-function",
    `the result loses ${loss.mean.toPrecision(3)} of ${loss.output} (${loss.kind}) on ${inputs} images`,
    {
      field: "max-loss",
      expected: `at most ${most}`,
      got: loss.mean.toPrecision(3),
      cures: [less, "give more images"],
      facts: { loss, most, outputs },
    },
  );
}

export const nothingChosen = (budget: CalibratedBudget) =>
  new FilterBasisError("does-not-pay", "the plan leaves every layer as it is: there is nothing to write", {
    got: Object.entries(budget)
      .map(([name, value]) => `${name} ${value}`)
      .join(", "),
    cures: ["ask for more: a smaller --keep-macs, --keep-params or --keep-bytes, a larger --speedup"],
  });

/** @throws FilterBasisError `budget-unreachable` */
export function checkBytes(keep: number, original: number | undefined, bytes: number): void {
  if (original === undefined || bytes <= keep * original) return;
  throw new FilterBasisError("budget-unreachable", `the written file has more bytes than --keep-bytes ${keep} allows`, {
    field: "keep-bytes",
    expected: `at most ${Math.floor(keep * original)} bytes`,
    got: `${bytes} bytes`,
    facts: { reachable: bytes / original },
  });
}

/** Why a file is not what was asked for: `does-not-pay`; undefined where it is. */
export function whyNotFast(times: Times, budget: CalibratedBudget): FilterBasisError | undefined {
  const { original, written, ratio, verdict } = times;
  const { speedup, latency } = budget;
  const facts = { times };
  const change = `${ratio.toFixed(2)} x (${original.toFixed(2)} ms -> ${written.toFixed(2)} ms)`;
  if (speedup !== undefined && ratio * noise < speedup)
    return new FilterBasisError("does-not-pay", "the written file is not as much faster as was asked for", {
      expected: `${speedup} x`,
      got: change,
      cures: [`--speedup ${Math.floor(100 * ratio) / 100}`],
      facts,
    });
  if (latency !== undefined && written > noise * latency)
    return new FilterBasisError("does-not-pay", "the written file is not as fast as was asked for", {
      expected: `${latency} ms`,
      got: change,
      cures: [`--latency ${Math.ceil(100 * written) / 100}`],
      facts,
    });
  if (Object.values(budget).every((value) => value === undefined) && verdict !== "faster")
    return new FilterBasisError("does-not-pay", "the written file is not faster than the original", {
      expected: "faster",
      got: change,
      cures: ["allow more loss: --max-loss", "give a budget in weights: --keep-params"],
      facts,
    });
  const smaller = budget.keepParams !== undefined || budget.keepBytes !== undefined;
  if (smaller || verdict !== "slower" || noise * ratio >= 1) return undefined;
  return new FilterBasisError("does-not-pay", "the written file would be slower than the original", {
    expected: `at most ${original.toFixed(2)} ms`,
    got: `${written.toFixed(2)} ms`,
    cures: ["give a budget in weights: --keep-params"],
    facts,
  });
}

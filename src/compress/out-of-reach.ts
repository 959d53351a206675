// Budgets in milliseconds that no plan keeps, and the nearest that one does.
import { FilterBasisError, isError } from "../errors/error.js";
import type { CalibratedBudget, CalibratedPlan } from "./plan-calibrated.js";

/** `does-not-pay`: no plan that was timed is as fast as was asked for; its facts name what is `reachable`. */
export function outOfReach(
  { speedup, latency }: CalibratedBudget,
  { times, calibration }: CalibratedPlan,
): FilterBasisError {
  const { original, written } = times!;
  const reachable = Math.max(1, Math.floor((100 * original) / written) / 100);
  const matrices = calibration.layers.filter(({ layer }) => layer.kind !== "conv").length;
  const nearest = Math.ceil(100 * written) / 100;
  const facts = { reachable, milliseconds: { original, best: written } };
  const cures = [
    ...(reachable > 1.02 ? [latency === undefined ? `--speedup ${reachable}` : `--latency ${nearest}`] : []),
    ...(matrices > 0 ? [`${matrices} fully connected layers are not timed and stay as they are: --keep-macs`] : []),
  ];
  if (latency !== undefined)
    return new FilterBasisError(
      "does-not-pay",
      `${latency} ms are out of reach: the best plan that was timed takes ${nearest} ms`,
      { field: "latency", expected: `at least ${nearest} ms`, got: `${latency} ms`, cures, facts },
    );
  return new FilterBasisError(
    "does-not-pay",
    `a speed-up of ${speedup} is out of reach: the best plan that was timed makes it ${reachable}`,
    { field: "speedup", expected: `at most ${reachable}`, got: `${speedup}`, cures, facts },
  );
}

/** Whether the error names what can be reached in place of a budget in milliseconds. */
export const isOutOfReach = (error: unknown): error is FilterBasisError =>
  isError(error, "does-not-pay") && error.facts.reachable !== undefined;

export const fastEnough = (latency: number, original: number) =>
  new FilterBasisError("does-not-pay", "the original is as fast as that", {
    field: "latency",
    expected: `less than ${original.toFixed(2)} ms`,
    got: `${latency} ms`,
    cures: ["ask for less: a smaller --latency"],
    facts: { milliseconds: { original } },
  });

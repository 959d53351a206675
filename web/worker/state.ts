// What the worker knows between two requests.
import type { CalibrationData } from "../../src/compress/calibration-data.js";
import type { CalibratedOptions, CalibratedResult } from "../../src/compress/compress-calibrated.js";
import type { Given, JobHooks } from "../../src/compress/job.js";
import type { CalibratedJob, Planner } from "../../src/compress/plan-calibrated.js";
import { FilterBasisError } from "../../src/errors/error.js";
import type { ModelInputs } from "../../src/runtime/index.js";

export type Tell = Required<Pick<JobHooks, "note" | "progress">>;

export interface OpenNetwork {
  readonly given: Given & { readonly file: string };
  readonly inputs: ModelInputs;
}

export interface OpenPlan {
  readonly data: CalibrationData;
  readonly job: CalibratedJob;
  readonly planner: Planner;
}

/** Nothing is asked of the page's plans: what is found is the fastest that loses little, or a point of the curve. */
export const options: CalibratedOptions = { budget: {}, runtime: "web" };

interface State {
  network?: OpenNetwork;
  plan?: OpenPlan;
  result?: CalibratedResult;
}

export const state: State = {};

/** @throws FilterBasisError `usage` where a step before is missing */
export function known<K extends keyof State>(what: K): NonNullable<State[K]> {
  const found = state[what];
  if (found === undefined) throw new FilterBasisError("usage", `there is no ${what} yet`);
  return found as NonNullable<State[K]>;
}

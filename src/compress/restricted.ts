// Which candidates are left where a layout or a number of splits is asked for.
import type { CandidateOptions } from "../basis/candidates.js";
import type { LayerShape } from "../basis/factors.js";
import type { CalibratedJob } from "./plan-calibrated.js";

/** The candidates that a layout or a number of splits leaves: a basis, which all splits share. */
export function restricted(
  options: CandidateOptions,
  { c }: LayerShape,
  { splits, basesOnly }: Pick<CalibratedJob, "splits" | "basesOnly">,
): CandidateOptions {
  if (splits === undefined && basesOnly !== true) return options;
  if (splits === 1) return { ...options, families: ["one-split", "low-rank"] };
  if (splits === undefined) return { ...options, families: ["one-split", "shared-bases", "low-rank"] };
  return { ...options, families: ["shared-bases"], splits: [splits === "channels" ? c : splits] };
}

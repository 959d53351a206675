// A plan for a file of so many bytes: a budget in weights, moved until the written file has at most those bytes. What a
// file takes beside its weights (names, records) is counted by writing it without values.
import { type Factors, makeFactors, stageShapes } from "../basis/factors.js";
import type { Calibration, PlannedChoice } from "../calibrate/calibrated.js";
import { biasesOf, type Replacement } from "../calibrate/replacement.js";
import { FilterBasisError, isError } from "../errors/error.js";
import { modelBytes, writtenBytes } from "../runtime/model-bytes.js";
import type { CalibratedJob, CalibratedPlan } from "./plan-calibrated.js";
import { byWeights, type Counts } from "./solve-calibrated.js";
import { writeChains } from "./write-chains.js";

/** What the written file may gain by metadata that is not known yet. */
const metadata = 512;

/** @throws FilterBasisError `budget-unreachable`, with the least that is reachable */
export async function planByBytes(
  job: Pick<CalibratedJob, "file" | "original">,
  calibration: Calibration,
  counts: Counts,
  keep: number,
): Promise<CalibratedPlan> {
  const original = job.file === undefined ? writtenBytes(job.original) : await modelBytes(job.file);
  const bytesOf = (chosen: readonly PlannedChoice[]) => metadata + bytesWritten(calibration, chosen);
  const plan = (share: number) => Promise.resolve().then(() => byWeights(counts, calibration, share));
  const { made: chosen } = await withinBytes({ keep, original, plan, bytesOf });
  return { calibration, chosen };
}

interface ByBytes<T> {
  /** The share of the original's bytes that is asked for. */
  readonly keep: number;
  readonly original: number;
  /** The plan that keeps a share of the weights. @throws FilterBasisError `budget-unreachable` */
  plan(share: number): Promise<T>;
  bytesOf(plan: T): number;
}

/** Rounds in which the share of the weights is halved. */
const rounds = 12;

/** The plan of the most weights whose file has at most so many bytes. @throws FilterBasisError `budget-unreachable` */
export async function withinBytes<T>({
  keep,
  original,
  plan,
  bytesOf,
}: ByBytes<T>): Promise<{ made: T; share: number }> {
  const most = keep * original;
  let [low, high]: [number, number] = [0, 1];
  let best: { made: T; share: number } | undefined;
  let least = Number.POSITIVE_INFINITY;
  for (let round = 0; round < rounds; round++) {
    const share = round === 0 ? Math.min(1, keep) : (low + high) / 2;
    const made = await plan(share).catch((error: unknown) => {
      if (!isError(error, "budget-unreachable")) throw error;
      return undefined;
    });
    const bytes = made === undefined ? Number.NaN : bytesOf(made);
    if (bytes < least) least = bytes;
    if (made !== undefined && bytes <= most) [best, low] = [{ made, share }, share];
    else if (made === undefined) low = share;
    else high = share;
  }
  if (best !== undefined) return best;
  throw unreachable(keep, Number.isFinite(least) ? least / original : 1);
}

function unreachable(keep: number, share: number): FilterBasisError {
  const reachable = Math.ceil(share * 10_000) / 10_000;
  return new FilterBasisError(
    "budget-unreachable",
    `the budget --keep-bytes ${keep} cannot be met: the least reachable is ${reachable}`,
    {
      field: "keep-bytes",
      expected: `at least ${reachable}`,
      got: `${keep}`,
      cures: reachable < 1 ? [`--keep-bytes ${reachable}`] : [],
      facts: { reachable },
    },
  );
}

/** Of the file of a plan, with zeros for its factors. */
function bytesWritten(calibration: Calibration, chosen: readonly PlannedChoice[]): number {
  const replacements = chosen.map(
    ({ layer, candidate }): Replacement => ({
      layer,
      filters: layer.weight,
      biases: biasesOf(layer),
      ...(candidate.family === "dense" ? {} : { factors: withoutValues(candidate, layer.shape) }),
    }),
  );
  return writtenBytes(writeChains(calibration.graph, replacements, chosen, "dense").graph);
}

function withoutValues(candidate: Factors["candidate"], shape: Factors["shape"]): Factors {
  const sizes = stageShapes(candidate, shape).map(
    (stage) => (stage.out * stage.in * stage.kernel[0] * stage.kernel[1]) / stage.groups,
  );
  return makeFactors(
    candidate,
    shape,
    sizes.map((size) => new Float64Array(size)),
  );
}

// Bases of exactly the sizes that were asked for, fitted to what the layers see: nothing is planned, and a layer is
// obeyed also where it grows.
import type { Candidate } from "../basis/factors.js";
import { fitCandidate, ridged } from "../basis/fit.js";
import { fullRanks } from "../basis/full-ranks.js";
import { bestSplits, chooseSplits } from "../basis/split.js";
import { type Calibration, calibrate, type PlannedChoice } from "../calibrate/calibrated.js";
import { costOf, type LayerChoice, usualFloor } from "../calibrate/choices.js";
import type { CalibratedLayer } from "../calibrate/layers.js";
import { FilterBasisError } from "../errors/error.js";
import { matches, type Selection, skipReason } from "../methods/pattern.js";
import { calibrateOptions } from "./calibrate-options.js";
import { stepsOf } from "./job.js";
import type { CalibratedJob, CalibratedPlan } from "./plan-calibrated.js";

/** As the options say it: of all layers, and of those that a pattern matches, which is stronger. */
export interface Sizes {
  readonly splits?: number | "auto" | "channels";
  readonly basis?: number;
  readonly layers?: Readonly<
    Record<string, { readonly splits?: number | undefined; readonly basis?: number | undefined }>
  >;
}

/** @throws FilterBasisError `invalid-plan` where no layer can have its size; what calibrating throws */
export async function explicitPlan(job: CalibratedJob, sizes: Sizes): Promise<CalibratedPlan> {
  const { prepared, data, engine, hooks } = job;
  const progress = stepsOf(hooks);
  const calibrated = await calibrate(prepared, data.images, engine, {
    candidates: { families: [] },
    ...calibrateOptions(job, data.images),
    progress: progress.report,
  }).finally(() => progress.stop());
  const asked = calibrated.layers.map(({ layer }) => candidateFor(layer, sizes, job.selection));
  if (asked.every((one) => typeof one === "string")) throw nothing(calibrated, asked);
  const wanted = new Map<CalibratedLayer, Candidate>(
    calibrated.layers.flatMap(({ layer }, i) => (typeof asked[i] === "string" ? [] : [[layer, asked[i]!] as const])),
  );
  const errors = await errorsOf(calibrated, wanted, job);
  const chosen = calibrated.layers.map((one): PlannedChoice => {
    const candidate = wanted.get(one.layer);
    const choice: LayerChoice =
      candidate === undefined
        ? one.choices[0]!
        : {
            candidate,
            error: errors.get(one.layer)!,
            ...costOf(candidate, one.layer.shape, calibrated.extents.of(one.layer)),
          };
    return { ...choice, layer: one.layer, price: choice.weights, loss: choice.error };
  });
  const skipped = calibrated.layers.flatMap(({ layer: { name } }, i) =>
    typeof asked[i] === "string" ? [{ name, reason: asked[i] as string }] : [],
  );
  return { calibration: { ...calibrated, skipped: [...calibrated.skipped, ...skipped] }, chosen };
}

/** A layer's basis, or why it has none. */
function candidateFor(layer: CalibratedLayer, sizes: Sizes, selection: Selection = {}): Candidate | string {
  const { name, kind, shape } = layer;
  const reason = skipReason(name, selection);
  if (reason !== undefined) return reason;
  const [, rule] = Object.entries(sizes.layers ?? {}).find(([pattern]) => matches(name, pattern)) ?? [];
  const basis = rule?.basis ?? sizes.basis;
  if (basis === undefined) return "no basis size is given for it";
  if (kind !== "conv") return "it is a fully connected layer: a basis is of a convolution";
  const splits = splitsOf(layer, rule?.splits ?? sizes.splits ?? "auto");
  const candidate: Candidate =
    splits === 1 ? { family: "one-split", ranks: [basis] } : { family: "shared-bases", splits, ranks: [basis] };
  const full = fullRanks(candidate, shape)[0]!;
  return basis <= full ? candidate : `a basis of ${basis} is larger than the full rank ${full} of its filters`;
}

function splitsOf({ shape: { n, c, kernel } }: CalibratedLayer, wanted: number | "auto" | "channels"): number {
  if (wanted === "channels") return c;
  if (wanted !== "auto") return chooseSplits(c, wanted).splits;
  return bestSplits({ outChannels: n, inChannels: c, kernelElements: kernel[0] * kernel[1] });
}

/** The share of its output's energy that each layer loses. */
async function errorsOf(
  { moments }: Calibration,
  wanted: ReadonlyMap<CalibratedLayer, Candidate>,
  { engine }: CalibratedJob,
): Promise<ReadonlyMap<CalibratedLayer, number>> {
  const errors = new Map<CalibratedLayer, number>();
  for await (const { layer, moments: own } of moments([...wanted.keys()])) {
    const { covariance, ridge } = ridged(own.covariance, usualFloor);
    const { error = 1 } = fitCandidate(layer.weight, covariance, layer.shape, wanted.get(layer)!, engine.algebra, {
      ridge,
    });
    errors.set(layer, error);
  }
  return errors;
}

function nothing({ layers }: Calibration, reasons: readonly (Candidate | string)[]): FilterBasisError {
  const got = layers.map(({ layer }, i) => `${layer.name}: ${reasons[i] as string}`).slice(0, 5);
  return new FilterBasisError("invalid-plan", "no layer can have a basis of that size", {
    field: "basis",
    got: got.join("; ") || "no layers",
  });
}

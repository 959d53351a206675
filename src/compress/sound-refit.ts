// A refit makes each layer's output better, on images held out from it. Whether the network is the better for it as a
// whole is looked at here: where it clearly loses more, the factors from before the refit are kept.
import { type Compressed, compressCalibrated } from "../calibrate/calibrated.js";
import type { CalibrationImages } from "../calibrate/engine.js";
import { withReplacements } from "../calibrate/replacement.js";
import type { CalibratedJob, CalibratedPlan } from "./plan-calibrated.js";

/** So much more is lost for another reason than chance: times what is lost without the refit, and beside it. */
const [clearly, beside] = [1.5, 0.05];
/** Images that are looked at, and of large ones. */
const [looked, lookedLarge] = [32, 4];

/**
 * The refit, or what was fitted in closed form where the network loses clearly more by the refit, on images that it was
 * fitted to. @throws what running the networks throws
 */
export async function soundRefit(
  { calibration, chosen }: Pick<CalibratedPlan, "calibration" | "chosen">,
  refitted: Compressed,
  { engine, data, hooks, lossOf }: Pick<CalibratedJob, "engine" | "data" | "hooks" | "lossOf">,
  images: CalibrationImages,
): Promise<Compressed> {
  if (lossOf === undefined || refitted.replacements.every(({ factors }) => factors === undefined)) return refitted;
  const most = data.all.batch === 1 ? lookedLarge : looked;
  const lostBy = ({ replacements }: Compressed) => lossOf(withReplacements(calibration.graph, replacements), most);
  const before = await compressCalibrated(calibration, chosen, images, engine, {
    ...(hooks.signal && { signal: hooks.signal }),
  });
  const [plain, after] = [await lostBy(before), await lostBy(refitted)];
  if (!Number.isFinite(plain) || after <= clearly * plain + beside) return refitted;
  hooks.note?.(`the refit made the network worse (a loss of ${after.toPrecision(3)}, ${plain.toPrecision(3)} without)`);
  return before;
}

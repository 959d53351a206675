// What every calibration of a job is told, whatever it plans.
import { openCalibrationCache } from "../calibrate/cache.js";
import type { CalibrateOptions } from "../calibrate/calibrated.js";
import type { CalibrationImages } from "../calibrate/engine.js";
import type { CalibratedJob } from "./plan-calibrated.js";

export function calibrateOptions(
  { prepared, engine, data, lead, hooks: { signal } }: CalibratedJob,
  images: CalibrationImages,
): CalibrateOptions {
  return {
    cache: openCalibrationCache(prepared, images, engine),
    ...(data.batch === undefined ? {} : { batch: data.batch }),
    ...(signal && { signal }),
    ...(lead && { lead }),
  };
}

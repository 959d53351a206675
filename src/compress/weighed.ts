// Layers of a calibration with how much each counts at the output that decides (see `sensitivitiesOf`), measured once
// and kept in the cache.

import type { Sensitivities } from "../calibrate/cache.js";
import type { Calibration } from "../calibrate/calibrated.js";
import type { CalibrationImages } from "../calibrate/engine.js";
import { sensitivitiesOf, withSensitivities } from "../calibrate/sensitivity.js";
import { isFloat } from "../graph/values.js";
import { inferShapes } from "../ops/infer.js";
import { calibrateOptions } from "./calibrate-options.js";
import { stepsOf } from "./job.js";
import type { CalibratedJob } from "./plan-calibrated.js";

/** Raised when how they are measured changes. */
const version = 1;

/** A network whose output says nothing, or which is not finite, keeps its layers as they are: all count alike. */
export async function weighed(
  job: CalibratedJob,
  calibration: Calibration,
  images: CalibrationImages,
): Promise<Calibration> {
  const { engine, effort, hooks } = job;
  const most = effort?.probing;
  const output = job.output ?? floatOutput(calibration);
  // An output that is not there is told by what compares it.
  if (output === undefined || !calibration.graph.outputs.some(({ name }) => name === output)) return calibration;
  const { cache, ...options } = calibrateOptions(job, images);
  const settings = JSON.stringify([version, output, most, calibration.layers.map(({ choices }) => choices.length)]);
  const known = await cache?.sensitivities(settings);
  if (known !== undefined) return countedBy(calibration, known);
  const progress = stepsOf(hooks);
  const found = await sensitivitiesOf(calibration, images, engine, {
    ...{ output, progress: progress.report },
    ...(most === undefined ? {} : { most }),
    ...(options.batch === undefined ? {} : { batch: options.batch }),
    ...(options.signal && { signal: options.signal }),
  }).finally(() => progress.stop());
  const named = Object.fromEntries([...found].map(([{ weightName }, value]) => [weightName, value]));
  await cache?.keepSensitivities(settings, named);
  return countedBy(calibration, named);
}

function floatOutput({ graph }: Calibration): string | undefined {
  const types = inferShapes(graph);
  return graph.outputs.find(({ name, tensor }) => isFloat(tensor?.type ?? types.get(name)?.type ?? "int64"))?.name;
}

const countedBy = (calibration: Calibration, found: Sensitivities): Calibration =>
  withSensitivities(calibration, ({ weightName }) => found[weightName]);

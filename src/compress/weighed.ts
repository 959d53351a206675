// Layers of a calibration with how much each counts at the output that decides (see `sensitivitiesOf`), measured once
// and kept in the cache.

import type { Sensitivities } from "../calibrate/cache.js";
import type { Calibration } from "../calibrate/calibrated.js";
import type { LayerChoices } from "../calibrate/choices.js";
import type { CalibrationImages } from "../calibrate/engine.js";
import { sensitivitiesOf, withSensitivities } from "../calibrate/sensitivity.js";
import type { Value } from "../graph/types.js";
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
  const outputs = floatOutputs(calibration);
  const output = outputs.find((name) => name === (job.output ?? name));
  if (output === undefined) return calibration; // one that is not there is told by what compares it
  const { cache, ...options } = calibrateOptions(job, images);
  const settings = JSON.stringify([version, output, most, calibration.layers.map(({ choices }) => choices.length)]);
  const known = await cache?.sensitivities(settings);
  const isOf = ({ layer: { weightName } }: LayerChoices): boolean => Number.isFinite(known?.[weightName]);
  if (calibration.layers.some(isOf)) return countedBy(calibration, known!); // else it is a file of another version
  const progress = stepsOf(hooks);
  const found = await sensitivitiesOf(calibration, images, engine, {
    ...{ output, progress: progress.report },
    ...(most === undefined ? {} : { most }),
    ...(options.batch === undefined ? {} : { batch: options.batch }),
    ...(options.signal && { signal: options.signal }),
  }).finally(() => progress.stop());
  const named = Object.fromEntries([...found].map(([{ weightName }, value]) => [weightName, value]));
  if (!Object.values(named).every(Number.isFinite)) return calibration; // an output that is not finite
  await cache?.keepSensitivities(settings, named);
  return countedBy(calibration, named);
}

function floatOutputs({ graph }: Calibration): readonly string[] {
  const types = inferShapes(graph);
  const isOne = ({ name, tensor }: Value): boolean => isFloat(tensor?.type ?? types.get(name)?.type ?? "int64");
  return graph.outputs.filter(isOne).map(({ name }) => name);
}

const countedBy = (calibration: Calibration, found: Sensitivities): Calibration =>
  withSensitivities(calibration, ({ weightName }) => found[weightName]);

// Planning in this tab: what layers lose on the pictures, what their candidates take here, and the curve of both.
import { type CalibrationData, calibrationData } from "../../src/compress/calibration-data.js";
import { calibratedJob } from "../../src/compress/choose-plan.js";
import {
  type CalibratedJob,
  type CalibratedPlan,
  openPlanner,
  type Planner,
} from "../../src/compress/plan-calibrated.js";
import { FilterBasisError } from "../../src/errors/error.js";
import { describeChain } from "../../src/methods/chain-record.js";
import { bestEngine } from "../host/best-engine.js";
import type { Planned, PlannedLayer, Requests } from "../protocol.js";
import { effort, timing } from "./effort.js";
import { cutPictures, halvesOf, pictureData, readPictures } from "./pictures.js";
import { known, options, state, type Tell } from "./state.js";
import { onlySharpens } from "./super-resolution.js";

/** Beyond it the layers' times add up to nearly nothing: what is left is what else the network does, and noise. */
const mostSpeedup = 10;

export async function planOn({ pictures }: Requests["plan"]["ask"], tell: Tell): Promise<Planned> {
  const { given } = known("network");
  delete state.plan;
  const data = await piecesFor(await readPictures(pictures), tell);
  const whole = calibratedJob(given, data, options, bestEngine(), tell);
  const job: CalibratedJob = { ...whole, place: { ...whole.place, ...timing }, effort };
  const planner = await openPlanner(job, "time");
  await planner.measure();
  const points = planner.curve().filter(({ speedup }) => speedup <= mostSpeedup);
  if (points.length === 0) throw new FilterBasisError("does-not-pay", "no layer could be timed");
  state.plan = { data, job, planner };
  const plans = planner.plans();
  return {
    points: points.map((point, i) => ({ ...point, layers: layersOf(planner, plans[i]!) })),
    milliseconds: points[0]!.speedup * points[0]!.milliseconds,
    ...{
      images: data.images.count * data.all.each,
      heldOut: (data.heldOut?.count ?? 0) * data.all.each,
      guessed: data.all.guessed,
    },
    size: data.all.dims.join(" × "),
  };
}

/** Side of what a super-resolution network of free sizes is shown. */
const side = 48;

/** The pictures as the network takes them: pieces of theirs, where they are few and large. */
async function piecesFor(names: readonly string[], { note }: Tell): Promise<CalibrationData> {
  const { given, inputs } = known("network");
  const dataOf = (of: readonly string[], size?: { readonly width: number; readonly height: number }) =>
    calibrationData(given.graph, pictureData(of), inputs, { note, ...(size && { size }) });
  const plain = await dataOf(names);
  const { how, dims, input } = plain.all;
  const [, height = 0, width = 0] = dims;
  if (!plain.all.images) return plain;
  if (how.scale === undefined) return dataOf(cutPictures(names, halvesOf(names, { width, height })));
  const sharpens = onlySharpens(given.graph, inputs.shapes, input);
  const unit = sharpens ? how.scale : 1;
  const own = inputs.chosen.some((one) => one.input === input)
    ? { width: side * unit, height: side * unit }
    : { width, height };
  const factor = sharpens ? 1 : how.scale;
  return dataOf(cutPictures(names, { width: own.width * factor, height: own.height * factor }), own);
}

export function layersOf(planner: Planner, { chosen }: CalibratedPlan): readonly PlannedLayer[] {
  const times = planner.layerTimes(chosen);
  return chosen.map(({ layer, candidate, error }, i) => {
    const { original, written } = times[i] ?? {};
    return {
      ...{ name: layer.name, error },
      became: candidate.family === "dense" ? "as it is" : describeChain(candidate),
      ...(original === undefined ? {} : { original }),
      ...(written === undefined ? {} : { written }),
    };
  });
}

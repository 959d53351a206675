// Compressing: the fastest plan that loses little, or a point of the curve, carried out, verified and compared.
import { type ChosenPlan, choosePlanned } from "../../src/compress/choose-plan.js";
import { carryOut, openReference } from "../../src/compress/compress-calibrated.js";
import { FilterBasisError } from "../../src/errors/error.js";
import { fileBytes } from "../host/memory.js";
import type { Made, Requests } from "../protocol.js";
import { layersOf } from "./plan.js";
import { known, options, state, type Tell } from "./state.js";

export async function compressAt({ point }: Requests["compress"]["ask"], tell: Tell): Promise<Made> {
  const { given } = known("network");
  const { planner, job: planned } = known("plan");
  const { rounds: _, budget: __, patience: ___, ...place } = planned.place; // what is handed over is timed for longer
  const job = { ...planned, hooks: tell, place };
  delete state.result;
  const reference = await openReference(given, job);
  const chosen: ChosenPlan =
    point === undefined
      ? await choosePlanned(planner, given, job, options)
      : { planner, images: planner.images, plan: planAt(point) };
  const name = `${given.file.replace(/\.onnx$/i, "")}-small.onnx`;
  // A point that was chosen is obeyed, as long as it is not slower.
  const asked = point === undefined ? options : { ...options, budget: { speedup: 1 } };
  const result = await carryOut(given, name, { job, chosen, reference }, asked);
  state.result = result;
  const { before, after, bytes, times, compared, verified, plan } = result;
  return {
    ...{ file: name, model: fileBytes(name), verified: verified.maxDifference },
    bytes: [bytes.original ?? 0, bytes.written],
    macs: [before.macs, after.macs],
    weights: [before.weights, after.weights],
    milliseconds: { original: times.original, written: times.written, ratio: times.ratio },
    loss: { ...compared.loss, images: compared.inputs },
    layers: layersOf(planner, plan),
  };
}

function planAt(point: number): ChosenPlan["plan"] {
  const found = known("plan").planner.plans()[point];
  if (found === undefined) throw new FilterBasisError("usage", `the curve has no point ${point}`);
  return found;
}

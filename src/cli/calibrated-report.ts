// The result of a compression by data as plain data: what `compress --json` prints and a report is made of.
import type { CalibratedResult } from "../compress/compress-calibrated.js";
import { describeChain } from "../methods/chain-record.js";
import { withBytes } from "./compress-text.js";

/** The result as plain data. */
export function reportOf(result: CalibratedResult, images: number) {
  const { file, before, after, bytes, verified, times, compared, plan, skipped } = result;
  return {
    file,
    method: "calibrated",
    before: withBytes(before, bytes.original),
    ...withBytes(after, bytes.written),
    layers: layersOf(result).filter((one) => !isDense(one)),
    /** Layers that the plan leaves as they are. */
    dense: layersOf(result).filter(isDense),
    skipped,
    verified: true,
    maxDifference: verified.maxDifference,
    agreement: verified.original,
    milliseconds: times,
    ...(plan.times ? { predicted: plan.times } : {}),
    ...(result.predictedLoss === undefined ? {} : { predictedLoss: result.predictedLoss }),
    images,
    compared,
    curve: result.curve,
    layersLoss: plan.chosen.reduce((sum, { loss }) => sum + loss, 0),
    tried: result.tried,
  };
}

export function layersOf({ layers, layerTimes }: CalibratedResult) {
  return layers.map(({ layer, choice, refit }, i) => {
    const { original, written, precision } = layerTimes[i] ?? {};
    return {
      name: layer,
      filters: [choice.layer.shape.n, choice.layer.shape.c, ...choice.layer.shape.kernel],
      factors: choice.candidate.family === "dense" ? "dense" : describeChain(choice.candidate),
      weights: choice.weights,
      macs: choice.macs,
      /** Share of the output's energy that is lost on the calibration images, before the refit. */
      error: choice.error,
      ...(refit ? { refit: refit.took } : {}),
      ...(original === undefined || written === undefined ? {} : { milliseconds: { original, written } }),
      /** In which it was timed faster, where the plan may choose; what is lost by it decides later. */
      ...(precision === undefined ? {} : { precision }),
    };
  });
}

export const isDense = ({ factors }: { readonly factors: string }): boolean => factors === "dense";

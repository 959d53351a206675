// What was kept of a compression, as its report shows it.
import type { CompressionReport, OutputRow } from "../report/compression.js";
import type { KeptReport } from "./kept-reports.js";
import { lossNames } from "./loss-text.js";

/** @param model the name of the original's file */
export function fromKept(kept: KeptReport, model: string | undefined): Omit<CompressionReport, "title" | "pictures"> {
  const { before, layers, dense, skipped, milliseconds, compared, curve, tried, images, layersLoss, eightBits } = kept;
  const { loss, inputs } = compared;
  const int8 = (count: number | undefined) => (eightBits && count !== undefined ? { int8Layers: count } : {});
  const measured = tried.flatMap(({ milliseconds: time, layers: sum, loss: own }) =>
    time === undefined || sum === undefined || own === undefined
      ? []
      : [{ milliseconds: time, loss: sum, measured: own }],
  );
  const chosen = { milliseconds: milliseconds.written, loss: layersLoss ?? 0, measured: loss.mean };
  return {
    about: [
      `${model === undefined ? "" : `of ${model}; `}calibrated on ${images} images without labels, evaluated on ${inputs} ${compared.fitted ? "of them, for there were no others" : "others"}`,
      "milliseconds of the original file and of the written file were taken in turns when it was written",
    ],
    states: [
      { name: "original", metrics: { ...countsOf(before), ...int8(0), latencyMs: milliseconds.original } },
      {
        name: "compressed",
        metrics: { ...countsOf(kept), ...int8(eightBits?.layers.length), latencyMs: milliseconds.written },
      },
    ],
    lost: {
      text: `${loss.output} lost ${loss.mean.toPrecision(3)} +- ${loss.interval.toPrecision(2)} (${lossNames[loss.kind]})`,
      outputs: compared.outputs.map(outputRow),
    },
    ...(curve.length > 0 && layersLoss !== undefined
      ? { curve: { predicted: curve, measured, chosen, lossName: lossNames[loss.kind] } }
      : {}),
    layers: [...layers, ...dense],
    skipped,
    ...(eightBits && { precision: { int8: eightBits.layers, float: eightBits.float } }),
  };
}

const countsOf = ({ weights, macs, bytes }: Pick<KeptReport, "weights" | "macs" | "bytes">) => ({
  weights,
  macs,
  bytes,
});

function outputRow(one: KeptReport["compared"]["outputs"][number]): OutputRow {
  const { output, kind, loss, relative, correlation, iou, classesAgree, psnr, psnrToTruth, top1Error } = one;
  const more = [
    iou && `IoU ${iou.mean.toFixed(4)}`,
    classesAgree && `${(100 * classesAgree.mean).toFixed(2)} % of classes agree`,
    psnr === null ? null : `PSNR between ${psnr.toFixed(2)} dB`,
    psnrToTruth && `to the truth ${psnrToTruth.original.mean.toFixed(2)} -> ${psnrToTruth.other.mean.toFixed(2)} dB`,
    top1Error && `top-1 error ${top1Error.original.toFixed(2)} -> ${top1Error.other.toFixed(2)} %`,
  ].filter(Boolean);
  const text = `${loss.mean.toPrecision(3)} (${lossNames[kind]})`;
  return { output, loss: text, relative: relative.mean, correlation, more: more.join("; ") };
}

// What was lost on data, in words: the one number of the task, and the table of outputs.
import type { ComparedOnData, Loss } from "../evaluate/compare-on-data.js";
import { type LossKind, largeLoss, type OutputLoss } from "../evaluate/loss.js";
import { columns } from "./columns.js";

export const lossNames: Readonly<Record<LossKind, string>> = {
  mask: "1 - IoU",
  classes: "share of classes that changed",
  decibels: "dB lost",
  relative: "relative error",
};

const amount = ({ kind, mean }: Pick<Loss, "kind" | "mean">): string =>
  kind === "decibels" ? `${mean.toFixed(2)} dB` : mean.toPrecision(3);

/** A first line that warns of a large loss; none for a small one. */
export function warning(loss: Loss): readonly string[] {
  if (!(loss.mean > largeLoss[loss.kind])) return [];
  const what = loss.kind === "decibels" ? amount(loss) : `${amount(loss)} (${lossNames[loss.kind]})`;
  const limit = `--max-loss ${largeLoss[loss.kind]} writes nothing that loses more`;
  return [`${loss.output} lost ${what}: too much for most uses (${limit})`, ""];
}

/** The loss, what labels or true images say, and the table of outputs. */
export function lossLines({ loss, outputs }: ComparedOnData): readonly string[] {
  const head = ["output", "as", "loss", "relative error", "correlation", "IoU", "classes agree", "PSNR between", ""];
  return [
    `loss of ${loss.output} (${lossNames[loss.kind]}): ${loss.mean.toPrecision(3)} +- ${loss.interval.toPrecision(2)}`,
    ...outputs.flatMap(truthLines),
    columns([head, ...outputs.map(row)]),
  ];
}

function row(one: OutputLoss): string[] {
  return [
    one.output,
    one.kind,
    one.loss.mean.toPrecision(3),
    one.relative.mean.toPrecision(3),
    one.correlation?.toFixed(4) ?? "",
    one.iou?.mean.toFixed(4) ?? "",
    one.classesAgree === null ? "" : `${(100 * one.classesAgree.mean).toFixed(2)} %`,
    one.psnr?.toFixed(2) ?? "",
    [
      one.notFinite > 0 ? `${one.notFinite} not finite` : "",
      one.otherSizes > 0 ? `${one.otherSizes} of other sizes` : "",
      one.constant ? "the same on every input: says nothing" : "",
    ]
      .filter(Boolean)
      .join("; "),
  ];
}

function truthLines({ output, psnrToTruth: psnr, ssimToTruth: ssim, top1Error: top1 }: OutputLoss): readonly string[] {
  const similar = ssim ? `, SSIM ${ssim.original.mean.toFixed(4)} -> ${ssim.other.mean.toFixed(4)}` : "";
  return [
    ...(psnr
      ? [`${output} to the truth: PSNR ${psnr.original.mean.toFixed(2)} -> ${psnr.other.mean.toFixed(2)} dB${similar}`]
      : []),
    ...(top1 ? [`${output} by the labels: top-1 error ${top1.original.toFixed(2)} -> ${top1.other.toFixed(2)} %`] : []),
  ];
}

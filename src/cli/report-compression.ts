// The report of a compressed file: what `compress` kept of it, else what its own records and a new timing say.
import { basename } from "node:path";
import type { FeedOptions } from "../evaluate/model-feeds.js";
import type { Graph } from "../graph/types.js";
import { cost } from "../ops/cost/cost.js";
import type { CompressionReport, OutputRow } from "../report/compression.js";
import { basisRows, chainRows } from "../report/recorded-layers.js";
import { loadModel } from "../runtime/files.js";
import { modelBytes } from "../runtime/model-bytes.js";
import type { Context } from "./frame.js";
import { type KeptReport, keptReport, readReport } from "./kept-reports.js";
import { lossNames } from "./loss-text.js";
import { picturesOf } from "./report-pictures.js";

export interface CompressionReportOptions {
  /** What `compress --json` printed, instead of what the cache holds. */
  readonly record?: string | undefined;
  /** Where they are not those that the record names. */
  readonly original?: string | undefined;
  readonly data?: string | undefined;
  readonly pictures: boolean;
}

/** @throws FilterBasisError `not-found`, `malformed`; what loading a model throws */
export async function compressionReport(
  file: string,
  { record, original, data, pictures }: CompressionReportOptions,
  context: Context,
): Promise<CompressionReport> {
  const kept = record === undefined ? await keptReport(file) : await readReport(record);
  const graph = await loadModel(file, { note: context.note });
  if (kept === undefined)
    context.note(`nothing that was measured of ${file} is kept here: give what compress --json printed, --record FILE`);
  const model = original ?? kept?.source?.model;
  const source = { model, data: data ?? kept?.source?.data };
  const options = (data === undefined ? (kept?.source?.options ?? {}) : {}) as FeedOptions;
  const output = kept?.compared.loss.output ?? graph.outputs[0]!.name;
  const drawn =
    pictures && source.model !== undefined && source.data !== undefined
      ? await picturesOf(file, { model: source.model, data: source.data, options }, output, context)
      : [];
  const title = basename(file);
  if (kept !== undefined) return { title, ...fromKept(kept, model), pictures: drawn };
  return { title, ...(await fromFile(file, graph, original)), pictures: drawn };
}

function fromKept(kept: KeptReport, model: string | undefined): Omit<CompressionReport, "title" | "pictures"> {
  const { before, layers, dense, skipped, milliseconds, compared, curve, tried, images, layersLoss } = kept;
  const { loss, inputs } = compared;
  const measured = tried.flatMap(({ milliseconds: time, layers: sum, loss: own }) =>
    time === undefined || sum === undefined || own === undefined
      ? []
      : [{ milliseconds: time, loss: sum, measured: own }],
  );
  const chosen = { milliseconds: milliseconds.written, loss: layersLoss ?? 0, measured: loss.mean };
  return {
    about: [
      `${model === undefined ? "" : `of ${basename(model)}; `}calibrated on ${images} images without labels, evaluated on ${inputs} ${compared.fitted ? "of them, for there were no others" : "others"}`,
      "milliseconds of the original file and of the written file were taken in turns when it was written",
    ],
    states: [
      { name: "original", metrics: { ...countsOf(before), latencyMs: milliseconds.original } },
      { name: "compressed", metrics: { ...countsOf(kept), latencyMs: milliseconds.written } },
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

/** What the file itself tells, beside the original's counts where that is named. */
async function fromFile(
  file: string,
  graph: Graph,
  original: string | undefined,
): Promise<Omit<CompressionReport, "title" | "pictures">> {
  const counted = async (path: string, model: Graph) => {
    const { weights, parameters, macs } = cost(model);
    return { weights, parameters, macs, bytes: await modelBytes(path) };
  };
  return {
    about: ["counted in the file itself; nothing was measured for this page"],
    states: [
      ...(original === undefined
        ? []
        : [{ name: "original", metrics: await counted(original, await loadModel(original)) }]),
      { name: "compressed", metrics: await counted(file, graph) },
    ],
    layers: [...basisRows(graph), ...chainRows(graph)],
    skipped: [],
  };
}

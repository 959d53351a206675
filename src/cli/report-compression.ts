// The report of a compressed file: what `compress` kept of it, else what its own records and a new timing say.
import { basename } from "node:path";
import type { FeedOptions } from "../evaluate/model-feeds.js";
import type { Graph } from "../graph/types.js";
import { inFloats, layerPrecisions } from "../methods/precision-record.js";
import { cost } from "../ops/cost/cost.js";
import type { CompressionReport } from "../report/compression.js";
import { basisRows, chainRows } from "../report/recorded-layers.js";
import { loadModel } from "../runtime/files.js";
import { modelBytes } from "../runtime/model-bytes.js";
import type { Context } from "./frame.js";
import { fromKept } from "./kept-page.js";
import { keptReport, readReport } from "./kept-reports.js";
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
  if (kept !== undefined) return { title, ...fromKept(kept, model && basename(model)), pictures: drawn };
  return { title, ...(await fromFile(file, graph, original)), pictures: drawn };
}

/** What the file itself tells, beside the original's counts where that is named. */
async function fromFile(
  file: string,
  graph: Graph,
  original: string | undefined,
): Promise<Omit<CompressionReport, "title" | "pictures">> {
  const counted = async (path: string, model: Graph) => {
    const { weights, parameters, macs } = cost(model);
    const int8Layers = layerPrecisions(model).int8.length;
    return { weights, parameters, macs, bytes: await modelBytes(path), ...(int8Layers > 0 && { int8Layers }) };
  };
  return {
    about: ["counted in the file itself; nothing was measured for this page"],
    states: [
      ...(original === undefined
        ? []
        : [{ name: "original", metrics: await counted(original, await loadModel(original)) }]),
      { name: "compressed", metrics: await counted(file, graph) },
    ],
    layers: [...basisRows(graph), ...chainRows(inFloats(graph))],
    skipped: [],
  };
}

// `evaluate`: how good a model is on data, what it costs, how fast it runs; beside another where one is named.
import { dataHelp } from "../data/table.js";
import { FilterBasisError } from "../errors/error.js";
import { type Evaluation, evaluateModel, type ModelFigures } from "../evaluate/evaluate.js";
import { columns, grouped } from "./columns.js";
import { command } from "./frame.js";
import { inputOption, readInputShapes } from "./input-shapes.js";
import { modelFile } from "./model-file.js";
import { given, whole } from "./values.js";

export default command({
  name: "evaluate",
  summary: "top-1 error, or PSNR and SSIM; parameters, MACs, bytes; latency",
  args: {
    model: { type: "positional", description: "an ONNX file or a run folder", required: true },
    data: {
      type: "string",
      description: dataHelp,
      valueHint: "DATA",
      required: true,
    },
    against: { type: "string", description: "another model, measured alike and timed in turns", valueHint: "OTHER" },
    normalize: {
      type: "string",
      description: "classifiers: cifar10, imagenet, none or m,m,m/s,s,s; by default what the model says",
      valueHint: "HOW",
    },
    scale: { type: "string", description: "super-resolution: 2, 3 or 4", valueHint: "S" },
    range: {
      type: "enum",
      options: ["1", "255", "auto"],
      description: "super-resolution: what 8-bit 255 is in the network: 1, 255 or auto",
      valueHint: "R",
    },
    measure: {
      type: "enum",
      options: ["luma", "rgb"],
      description: "luma (border: the scale) or rgb (border: the scale + 6)",
      valueHint: "M",
    },
    shave: { type: "string", description: "another border, in pixels", valueHint: "N" },
    split: { type: "enum", options: ["train", "valid"], description: "DIV2K: train or valid", valueHint: "PART" },
    inference: {
      type: "enum",
      options: ["whole", "chop", "ensemble"],
      description: "whole, chop (the authors' quarters) or ensemble (eight turned copies)",
      valueHint: "HOW",
    },
    limit: { type: "string", description: "only the first N images", valueHint: "N" },
    input: inputOption,
    threads: { type: "string", description: "threads of ONNX Runtime", valueHint: "N" },
    runtime: { type: "enum", options: ["node", "web"], description: "node or web", valueHint: "R" },
    latency: { type: "boolean", description: "time the models (--no-latency: do not)", default: true },
  },
  async run(args, context) {
    const result = await evaluateModel(await modelFile(args.model), {
      data: args.data,
      ...given("against", args.against === undefined ? undefined : await modelFile(args.against)),
      ...given("normalize", args.normalize),
      ...given("scale", whole("--scale", args.scale, 1, 16)),
      ...given("range", args.range === undefined || args.range === "auto" ? args.range : (Number(args.range) as 1 | 255)),
      ...given("measure", args.measure),
      ...given("shave", whole("--shave", args.shave, 0, 1000)),
      ...given("split", args.split),
      ...given("inference", args.inference),
      ...given("limit", whole("--limit", args.limit, 1, 1e9)),
      ...given("threads", whole("--threads", args.threads, 1, 1024)),
      ...given("runtime", args.runtime),
      shapes: (graph) => readInputShapes(graph, context.repeated("input")),
      latency: args.latency,
      note: context.note,
      progress: context.progress,
      signal: context.signal,
    });
    if (context.signal.aborted) throw new FilterBasisError("interrupted", "stopped while evaluating");
    return { json: result, text: show(result) };
  },
});

function show(result: Evaluation): string {
  const models: readonly ModelFigures[] = result.against ? [result, result.against] : [result];
  const bicubic = result.bicubic && ["bicubic", result.bicubic.psnr.toFixed(2), result.bicubic.ssim.toFixed(4)];
  const quality = result.psnr === undefined ? ["top-1 error %"] : ["PSNR dB", "SSIM"];
  const table = columns([
    ["model", ...quality, "weights", "all", "MACs", "bytes", ...(result.latencyMs === undefined ? [] : ["ms"])],
    ...models.map((one) => [
      one.model,
      ...(one.psnr === undefined ? [one.top1Error!.toFixed(2)] : [one.psnr.toFixed(2), one.ssim!.toFixed(4)]),
      ...[one.weights, one.all, one.macs, one.bytes].map(grouped),
      ...(one.latencyMs === undefined ? [] : [one.latencyMs.toFixed(2)]),
    ]),
    ...(bicubic ? [bicubic] : []),
  ]);
  const each = result.pictures?.map(({ name, psnr, ssim, bicubic: plain }) => [
    name,
    psnr.toFixed(2),
    ssim.toFixed(4),
    plain.psnr.toFixed(2),
    plain.ssim.toFixed(4),
  ]);
  const shapes = [...result.input].map(([name, dims]) => `${name} ${dims.join("x")}`).join(", ");
  return [
    ...(each ? [columns([["picture", "PSNR dB", "SSIM", "bicubic", "SSIM"], ...each]), ""] : []),
    table,
    "",
    `${result.images} images; MACs${result.latencyMs === undefined ? "" : " and milliseconds (median, models in turns)"} at ${shapes}`,
  ].join("\n");
}

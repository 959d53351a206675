// `evaluate`: how good a model is on data, what it costs, how fast it runs; beside another where one is named.
import { checkDataSource, dataHelp } from "../data/table.js";
import { FilterBasisError } from "../errors/error.js";
import { type Evaluation, evaluateModel, type ModelMetrics } from "../evaluate/evaluate.js";
import { columns, grouped } from "./columns.js";
import { command } from "./frame.js";
import { readStatedInputs } from "./input-values.js";
import { modelFile } from "./model-file.js";
import { inputLines, inputOptions, latencyOption, runtimeOptions } from "./model-inputs.js";
import { given, rangeOf, whole } from "./values.js";

export default command({
  name: "evaluate",
  summary: "top-1 error, or PSNR and SSIM; parameters, MACs, bytes; latency",
  examples: [
    "evaluate small.onnx --data classes/ --normalize imagenet --against model.onnx",
    "evaluate sr.onnx --data photos/ --scale 2 --no-latency",
  ],
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
      description: "super-resolution: what 8-bit 255 is in the network; auto finds it by running it",
    },
    measure: {
      type: "enum",
      options: ["luma", "rgb"],
      description: "super-resolution: on luma (without a border of the scale) or on RGB (of the scale + 6)",
    },
    shave: { type: "string", description: "super-resolution: another border, in pixels", valueHint: "N" },
    split: { type: "enum", options: ["train", "valid"], description: "DIV2K: which of its images (default valid)" },
    inference: {
      type: "enum",
      options: ["whole", "chop", "ensemble"],
      description: "super-resolution: the whole image, chop (the authors' quarters) or ensemble (eight turned copies)",
      valueHint: "HOW",
    },
    limit: { type: "string", description: "only the first N images", valueHint: "N" },
    ...inputOptions,
    ...runtimeOptions,
    latency: latencyOption,
  },
  rules: [
    {
      option: "normalize",
      excludes: ["scale", "range", "measure", "shave", "split", "inference"],
      why: "the one is for classifiers, the other for super-resolution",
    },
  ],
  async run(args, context) {
    const file = await modelFile(args.model);
    const against = args.against === undefined ? undefined : await modelFile(args.against);
    await checkDataSource(args.data);
    const result = await evaluateModel(file, {
      data: args.data,
      ...given("against", against),
      ...given("normalize", args.normalize),
      ...given("scale", whole("--scale", args.scale, 1, 16)),
      ...given("range", rangeOf(args.range)),
      ...given("measure", args.measure),
      ...given("shave", whole("--shave", args.shave, 0, 1000)),
      ...given("split", args.split),
      ...given("inference", args.inference),
      ...given("limit", whole("--limit", args.limit, 1, 1e9)),
      ...given("threads", whole("--threads", args.threads, 1, 1024)),
      ...given("runtime", args.runtime),
      shapes: (graph) => readStatedInputs(graph, context.repeated).shapes,
      values: (graph) => readStatedInputs(graph, context.repeated).values,
      chosen(file, inputs) {
        for (const line of inputLines(inputs)) context.note(`${file}: ${line}`);
      },
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
  const models: readonly ModelMetrics[] = result.against ? [result, result.against] : [result];
  const bicubic = result.bicubic && ["bicubic", result.bicubic.psnr.toFixed(2), result.bicubic.ssim.toFixed(4)];
  const quality = result.psnr === undefined ? ["top-1 error %"] : ["PSNR dB", "SSIM"];
  const table = columns([
    ["model", ...quality, "weights", "parameters", "MACs", "bytes", ...(result.latencyMs === undefined ? [] : ["ms"])],
    ...models.map((one) => [
      one.model,
      ...(one.psnr === undefined ? [one.top1Error!.toFixed(2)] : [one.psnr.toFixed(2), one.ssim!.toFixed(4)]),
      ...[one.weights, one.parameters, one.macs, one.bytes].map(grouped),
      ...(one.latencyMs === undefined ? [] : [one.latencyMs.toFixed(2)]),
    ]),
    ...(bicubic ? [bicubic] : []),
  ]);
  const each = result.perImage?.map(({ name, psnr, ssim, bicubic: plain }) => [
    name,
    psnr.toFixed(2),
    ssim.toFixed(4),
    plain.psnr.toFixed(2),
    plain.ssim.toFixed(4),
  ]);
  const shapes = [...result.input].map(([name, dims]) => `${name} ${dims.join("x")}`).join(", ");
  const uncounted = models.filter((one) => one.uncounted.length > 0);
  return [
    ...(each ? [columns([["image", "PSNR dB", "SSIM", "bicubic", "SSIM"], ...each]), ""] : []),
    table,
    "",
    `${result.images} images; MACs${result.latencyMs === undefined ? "" : " and milliseconds (median, models in turns)"} at ${shapes}`,
    ...uncounted.map(
      (one) => `${one.model}: MACs without those of ${one.uncounted.join(", ")}, whose sizes are not known`,
    ),
  ].join("\n");
}

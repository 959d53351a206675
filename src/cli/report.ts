// `report`: a run folder, a compressed file, or a comparison of methods as one self-contained HTML page.
import { stat } from "node:fs/promises";
import { join } from "node:path";
import { parseHTML } from "linkedom";
import { FilterBasisError } from "../errors/error.js";
import { type ComparisonReport, comparisonPage } from "../report/comparison.js";
import { compressionPage } from "../report/compression.js";
import { reportPage } from "../report/page.js";
import { checkOutput } from "../runtime/output.js";
import { writeAside } from "../runtime/write.js";
import { runFiles } from "../train/run-folder.js";
import { type Context, command, type Outcome, stopIfAsked } from "./frame.js";
import { comparisonFiles } from "./method-comparison.js";
import { inputOptions } from "./model-inputs.js";
import { readComparison } from "./report-comparison.js";
import { type CompressionReportOptions, compressionReport } from "./report-compression.js";
import { withCrops } from "./report-crops.js";
import { readRun } from "./report-run.js";
import { withTimes } from "./report-times.js";
import { given, whole } from "./values.js";

export default command({
  name: "report",
  summary: "one self-contained HTML page of a run, of a compressed model, or of a comparison of methods",
  examples: ["report runs/short", "report small.onnx --original model.onnx --data photos/ --no-times"],
  args: {
    run: {
      type: "positional",
      description: "a run folder, a file that compress wrote, or the folder of compare --methods",
      required: true,
    },
    output: {
      type: "string",
      alias: "o",
      description: "the page; by default report.html in the run folder, or beside the model",
      valueHint: "FILE",
    },
    crops: {
      type: "boolean",
      default: true,
      description: "draw pieces of a super-resolution run's test pictures, or what a compressed model makes",
      negativeDescription: "leave the pictures out",
    },
    times: {
      type: "boolean",
      default: true,
      description: "measure how long the compressed layers and the models take",
      negativeDescription: "leave the times out",
    },
    record: { type: "string", description: "of a model: what compress --json printed", valueHint: "FILE" },
    original: { type: "string", description: "of a model: what it was before", valueHint: "MODEL" },
    data: { type: "string", description: "of a model: images to draw, where others are wanted", valueHint: "DATA" },
    ...inputOptions,
    threads: { type: "string", description: "threads of ONNX Runtime for the times", valueHint: "N" },
  },
  rules: [{ option: "threads", excludes: ["times=false"], why: "nothing else takes threads" }],
  async run({ run, output, crops, times, threads, record, original, data }, context) {
    const there = await stat(run).catch(() => undefined);
    if (there === undefined)
      throw new FilterBasisError("not-found", "there is no such file or folder", {
        file: run,
        expected: "a run folder, the folder of a comparison, or a compressed model",
      });
    if (there.isFile()) return compression(run, output, { record, original, data, pictures: crops }, context);
    const useless = Object.entries({ record, original, data }).find(([, value]) => value !== undefined);
    if (useless !== undefined)
      throw new FilterBasisError("usage", `--${useless[0]} is of a compressed model`, { got: `the folder ${run}` });
    const compared = await readComparison(run);
    if (compared !== undefined) return comparison(run, output, compared);
    const limits = given("threads", whole("--threads", threads, 1, 1024));
    const file = output ?? join(run, "report.html");
    const check = () => checkOutput(file, { inputs: Object.values(runFiles).map((name) => join(run, name)) });
    if (output !== undefined) await check();
    const read = await readRun(run);
    if (output === undefined) await check(); // whether the run's own folder is one is known now
    await stopIfAsked(context.signal);
    const drawn = crops ? await withCrops(read, context) : read.report;
    const report = times ? await withTimes(drawn, read.models, context, limits) : drawn;
    const { document } = parseHTML("<!doctype html><html><body></body></html>");
    const html = reportPage(report, document as unknown as Document);
    await writeAside(file, html);
    const { metrics, layers, pictures, states, crops: pieces = [] } = report;
    const counts = {
      steps: metrics.steps.length,
      epochs: metrics.epochs.length,
      layers: layers.length,
      pictures: pictures.length + pieces.length,
    };
    return {
      json: { file, bytes: Buffer.byteLength(html), ...counts, states },
      text: `wrote ${file}: ${counts.steps} steps, ${counts.epochs} epochs, ${counts.layers} compressed layers, ${counts.pictures} pictures`,
    };
  },
});

async function comparison(folder: string, output: string | undefined, report: ComparisonReport): Promise<Outcome> {
  const file = output ?? join(folder, "report.html");
  await checkOutput(file, { inputs: Object.values(comparisonFiles).map((name) => join(folder, name)) });
  const { document } = parseHTML("<!doctype html><html><body></body></html>");
  const html = comparisonPage(report, document as unknown as Document);
  await writeAside(file, html);
  const failed = report.methods.filter(({ reason }) => reason !== undefined).length;
  const counts = { methods: report.methods.length, failed };
  return {
    json: { file, bytes: Buffer.byteLength(html), ...counts },
    text: `wrote ${file}: ${counts.methods} methods${failed > 0 ? `, ${failed} of them with a reason why they end where they do` : ""}`,
  };
}

async function compression(
  file: string,
  output: string | undefined,
  options: CompressionReportOptions,
  context: Context,
): Promise<Outcome> {
  const page = output ?? `${file.replace(/\.onnx$/i, "")}.html`;
  await checkOutput(page, { inputs: [file, options.record ?? [], options.original ?? []].flat() });
  const report = await compressionReport(file, options, context);
  await stopIfAsked(context.signal);
  const { document } = parseHTML("<!doctype html><html><body></body></html>");
  const html = compressionPage(report, document as unknown as Document);
  await writeAside(page, html);
  const counts = { layers: report.layers.length, pictures: report.pictures.length };
  return {
    json: { file: page, bytes: Buffer.byteLength(html), ...counts, states: report.states },
    text: `wrote ${page}: ${counts.layers} layers, ${counts.pictures} pictures`,
  };
}

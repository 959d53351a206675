// `report`: a run folder as one self-contained HTML page.
import { join } from "node:path";
import { parseHTML } from "linkedom";
import { reportPage } from "../report/page.js";
import { checkOutput } from "../runtime/output.js";
import { writeAside } from "../runtime/write.js";
import { runFiles } from "../train/run-folder.js";
import { command, stopIfAsked } from "./frame.js";
import { inputOptions } from "./model-inputs.js";
import { withCrops } from "./report-crops.js";
import { readRun } from "./report-run.js";
import { withTimes } from "./report-times.js";
import { given, whole } from "./values.js";

export default command({
  name: "report",
  summary: "one self-contained HTML page of a run",
  args: {
    run: { type: "positional", description: "a run folder", required: true },
    output: {
      type: "string",
      alias: "o",
      description: "the page; by default report.html in the run folder",
      valueHint: "FILE",
    },
    crops: {
      type: "boolean",
      default: true,
      description: "draw pieces of the test pictures of a super-resolution run",
      negativeDescription: "leave the pictures out",
    },
    times: {
      type: "boolean",
      default: true,
      description: "measure how long the compressed layers and the models take",
      negativeDescription: "leave the times out",
    },
    ...inputOptions,
    threads: { type: "string", description: "threads of ONNX Runtime for the times", valueHint: "N" },
  },
  rules: [{ option: "threads", excludes: ["times=false"], why: "nothing else takes threads" }],
  async run({ run, output, crops, times, threads }, context) {
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

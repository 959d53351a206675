// `demo`: the main job on real data in minutes. The networks that ship with the project are compressed, fine-tuned for
// a while, verified, evaluated.
import { mkdir } from "node:fs/promises";
import { basename, join, resolve } from "node:path";
import { getCifar10 } from "../data/cifar10.js";
import { isError } from "../errors/error.js";
import { loadModel } from "../runtime/files.js";
import { describeMachine, type Machine } from "../runtime/machine.js";
import { modelBytes } from "../runtime/model-bytes.js";
import { checkOutputFolder } from "../runtime/output.js";
import { runtimeVersion } from "../runtime/session.js";
import { engineInfo, packageRoot } from "../torch/index.js";
import { classifierHalf, runtimeThreads, usualSpeedup } from "./demo-classifier.js";
import { type ImageOutcome, imageDemo, prepareImages } from "./demo-images.js";
import { countOnly, type Row, showRows, type Threads } from "./demo-models.js";
import { type Context, command } from "./frame.js";
import { modelFile } from "./model-file.js";
import { given, number, whole } from "./values.js";

export default command({
  name: "demo",
  summary: "the main job on real data in minutes",
  examples: ["demo", "demo --seconds 60 --speedup 2"],
  args: {
    output: {
      type: "string",
      alias: "o",
      description: "where everything is written (default runs/demo-TIME)",
      valueHint: "FOLDER",
    },
    seconds: {
      type: "string",
      description: "how long to fine-tune, both networks together",
      default: "150",
      valueHint: "S",
    },
    speedup: {
      type: "string",
      description: `how many times faster the classifier shall be (default ${usualSpeedup}, or what is reachable)`,
      valueHint: "X",
    },
    threads: { type: "string", description: "threads of libtorch and ONNX Runtime", valueHint: "N" },
    model: { type: "string", description: "another classifier of CIFAR-10", valueHint: "FILE" },
    normalize: {
      type: "string",
      description: "what that model takes: cifar10, imagenet, none or m,m,m/s,s,s",
      valueHint: "HOW",
    },
    pictures: { type: "string", description: "photographs for the super-resolution half", valueHint: "FOLDER" },
  },
  rules: [{ option: "normalize", needs: ["model"], why: "the shipped model states its normalisation" }],
  async run(args, context) {
    const [seconds, speedup] = [number("--seconds", args.seconds, 1, 1e6)!, number("--speedup", args.speedup, 1, 100)];
    const threads: Threads = args.threads === undefined ? {} : { threads: whole("--threads", args.threads, 1, 1024)! };
    const file = await modelFile(
      args.model !== undefined ? resolve(args.model) : join(packageRoot(), "weights", "vgg16-half.onnx"),
    );
    const output = args.output ?? join("runs", `demo-${new Date().toISOString().slice(0, 19).replaceAll(":", "-")}`);
    await checkOutputFolder(output, { bytes: 20 * (await modelBytes(file)) }); // models, checkpoints, and what becomes of them
    await mkdir(output, { recursive: true });
    const photographs = await prepareImages(join(output, "pictures"), args.pictures, context);
    const missing = await whatIsMissing(context);
    for (const line of missing) context.note(line);
    const canFineTune = !missing.some((line) => line.startsWith("libtorch"));
    const hasData = !missing.some((line) => line.startsWith("CIFAR-10"));
    const machine = conditionsOf(describeMachine());
    const original = await loadModel(file);
    const normalize = args.normalize ?? original.metadata.get("filterbasis.normalize") ?? "cifar10";
    const { rows, fineTuning } = hasData
      ? await classifierHalf(
          {
            ...{ output, file, original, normalize, threads, seconds: canFineTune ? seconds * classifierShare : 0 },
            ...given("speedup", speedup),
          },
          context,
        )
      : { rows: countOnly([{ label: "original", file, graph: original }]), fineTuning: undefined };
    const rest = { seconds: seconds * (1 - classifierShare), keepMacs: 0.5, canFineTune };
    const images = await imageDemo(join(output, "pictures"), photographs, rest, threads, context);
    const network = args.model === undefined ? "VGG-16 at half width" : basename(file);
    const asked = `${speedup ?? usualSpeedup} x faster asked for, threads: ${runtimeThreads({ threads }).threads}`;
    const tuned = fineTuning ? `, fine-tuned for ${Math.round(fineTuning.seconds)} s` : "";
    const title = `${network} on CIFAR-10, ${asked}${tuned}`;
    const command = `filterbasis demo --seconds ${seconds}${speedup === undefined ? "" : ` --speedup ${speedup}`}`;
    return {
      json: {
        ...{ title, date: new Date().toISOString().slice(0, 10), machine, versions: await programVersions() },
        ...{
          seed: fineTuning?.recipe.seed ?? 1,
          ...(hasData ? { images: 10_000 } : {}),
          command,
          output,
          rows,
          missing,
        },
        ...given("fineTuning", fineTuning),
        ...given("pictures", images),
      },
      text: show(title, rows, images),
    };
  },
});

function show(title: string, rows: readonly Row[], images: ImageOutcome | undefined): string {
  return [
    `${title}:`,
    showRows(rows),
    ...(images && images.rows.length > 0 ? ["", `${images.title}:`, showRows(images.rows)] : []),
    "",
    "every model was reopened and run in ONNX Runtime against what it should compute",
    ...[...rows, ...(images?.rows ?? [])].flatMap(({ label, file: path }) =>
      path === undefined ? [] : [`  ${label.padEnd(10)} ${path}`],
    ),
    ...(images?.figure ? [`  ${"figure".padEnd(10)} ${images.figure}`] : []),
    ...(images?.credit ? [`  ${"".padEnd(10)} ${images.credit}`] : []),
  ].join("\n");
}

/** Of the time to fine-tune; the rest is for super-resolution. */
const classifierShare = 4 / 5;

/** What stands in the way of the whole demo; it then runs on what there is. */
async function whatIsMissing(context: Context): Promise<readonly string[]> {
  const missing: string[] = [];
  const reason = (error: unknown): string =>
    isError(error) ? [error.message, ...error.cures].join("; ") : String(error);
  try {
    await getCifar10({ note: context.note, signal: context.signal });
  } catch (error) {
    if (!isError(error)) throw error;
    missing.push(`CIFAR-10 is missing, so nothing is trained and no error is measured: ${reason(error)}`);
  }
  try {
    engineInfo();
  } catch (error) {
    if (!isError(error, "engine-missing")) throw error;
    missing.push(`libtorch is missing, so nothing is trained: ${reason(error)}`);
  }
  return missing;
}

function conditionsOf({ system, processor, threads, load }: Machine) {
  return { system, processor, threads: `${threads} threads`, load: `load ${load.toFixed(1)}` };
}

async function programVersions(): Promise<Readonly<Record<string, string>>> {
  const libtorch = ((): string => {
    try {
      return engineInfo().version;
    } catch {
      return "absent";
    }
  })();
  return { Node: process.version, libtorch, "ONNX Runtime": await runtimeVersion("node") };
}

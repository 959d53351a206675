// One row of npm run bench:compress: the command, the comparison on other pictures, and the quality where truths are
// there, each in a process of its own.
import { cpSync, existsSync, mkdirSync, rmSync, statSync, symlinkSync } from "node:fs";
import { dirname, join } from "node:path";
import { program, runCommand, runNode } from "../../scripts/wild/command.js";
import { qualityOf, type Truths } from "../quality.js";
import type { Wanted } from "./rows.js";

export interface Made {
  readonly name: string;
  readonly budget: readonly string[];
  readonly threads: number;
  readonly without?: "libtorch";
  readonly commit: string;
  readonly date: string;
  /** `written`, the code of the error, or why there is no row. */
  readonly outcome: string;
  readonly message?: string;
  readonly seconds?: number;
  readonly peakMiB?: number;
  /** As `compress` says: its first prediction beside what was measured, the loss on images held out. */
  readonly told?: Told | Readonly<Record<string, unknown>>;
  readonly counts?: { readonly before: Counts; readonly after: Counts };
  /** Layers that were replaced, and those that were not with the reason. */
  readonly replaced?: number;
  readonly skipped?: readonly { readonly name: string; readonly reason: string }[];
  readonly bytes?: { readonly original: number; readonly written: number };
  /** As `compare` says, on other pictures. */
  readonly second?: Compared;
  /** Layers that compute in eight bits, where the precision was free. */
  readonly eightBits?: number;
  /** The same two files in WebAssembly, in turns. */
  readonly web?: Compared["milliseconds"];
  /** As `evaluate` says: PSNR on luma of the original and of the result. */
  readonly quality?: { readonly data: string; readonly original: number; readonly written: number };
}

export interface Told {
  readonly milliseconds: unknown;
  readonly loss: { readonly mean: number } | undefined;
  readonly inputs: number | undefined;
  /** Milliseconds; `first` is of the first plan, before anything was learned from timing a whole network. */
  readonly predicted: { readonly first: { readonly predicted: number; readonly written: number } } | undefined;
  readonly predictedLoss: number | undefined;
}

export interface Counts {
  readonly weights: number;
  readonly macs: number;
}

export interface Compared {
  readonly milliseconds: {
    readonly original: number;
    readonly written: number;
    readonly ratio: number;
    readonly interval: readonly number[];
  };
  readonly loss: { readonly kind: string; readonly mean: number; readonly interval?: number };
  readonly inputs: number;
  readonly outputs: readonly Record<string, unknown>[];
}

const minutes = 25;

/** Where a row's file is written. */
const outputOf = ({ name, budget }: Pick<Wanted, "name" | "budget">, folder: string): string =>
  join(folder, `${[name, budget[0]!.slice(2), budget[1], ...budget.slice(2).filter(isWord)].join("-")}.onnx`);

const isWord = (text: string): boolean => /^[a-z]/.test(text);

/** @param folder for the written files */
export async function makeRow(row: Wanted, threads: number, commit: string, folder: string): Promise<Made> {
  const { name, budget, model, data, others, input, truths, without } = row;
  const base = { name, budget, threads, ...(without && { without }), commit, date: new Date().toISOString() };
  if (model === undefined) return { ...base, outcome: "skipped", message: "the network is not here" };
  if (data === undefined || others === undefined)
    return { ...base, outcome: "skipped", message: "the pictures are not here" };
  mkdirSync(folder, { recursive: true });
  const output = outputOf(row, folder);
  rmSync(output, { force: true });
  const place = ["--threads", `${threads}`];
  const asked = ["compress", model, "-o", output, "--data", data, ...budget, ...input, ...place];
  const ran = await runNode(without === undefined ? program : withoutLibtorch(folder), [...asked, "--json"], {
    timeoutSeconds: 60 * minutes,
  });
  const cost = { seconds: Math.round(ran.seconds), peakMiB: Math.round(ran.peakKiB / 1024) };
  if (ran.timedOut) return { ...base, ...cost, outcome: "timed-out", message: `after ${minutes} minutes` };
  const answer = read(ran.stdout);
  if (ran.exit !== 0 || !existsSync(output)) {
    const { code = "no-answer", message = ran.stderr.slice(-300), ...facts } = answer?.error ?? {};
    if (code === "interrupted") throw new Error(`${name}: stopped`); // no row: it is made the next time
    return { ...base, ...cost, outcome: code, message, ...(answer?.error ? { told: facts } : {}) };
  }
  const {
    milliseconds,
    compared,
    predicted,
    predictedLoss,
    layers = [],
    skipped = [],
    before,
    weights,
    macs,
    eightBits,
  } = answer ?? {};
  const second = await comparedAgain(row, output, place);
  const quality = truths === undefined ? undefined : await qualitiesOf(model, output, truths);
  return {
    ...base,
    ...cost,
    outcome: "written",
    told: { milliseconds, loss: compared?.loss, inputs: compared?.inputs, predicted, predictedLoss },
    ...(before === undefined ? {} : { counts: { before, after: { weights: weights!, macs: macs! } } }),
    ...{ replaced: layers.length, skipped },
    ...(eightBits === undefined ? {} : { eightBits: eightBits.layers.length }),
    bytes: { original: statSync(model).size, written: statSync(output).size },
    ...(second === undefined ? {} : { second }),
    ...(quality === undefined ? {} : { quality }),
  };
}

/** The program in a copy of the package that has no native engine: its answer is that of who never ran `setup`. */
function withoutLibtorch(folder: string): string {
  const root = dirname(dirname(dirname(program)));
  const copy = join(folder, "without-libtorch");
  rmSync(copy, { recursive: true, force: true });
  mkdirSync(copy, { recursive: true });
  for (const name of ["dist", "package.json", "recipes"])
    cpSync(join(root, name), join(copy, name), { recursive: true });
  symlinkSync(join(root, "node_modules"), join(copy, "node_modules"));
  return join(copy, "dist", "cli", "main.js");
}

/** Timed a second time, and compared on pictures that nothing was fitted to. */
async function comparedAgain(
  { model, others, input, limit }: Wanted,
  output: string,
  place: readonly string[],
): Promise<Compared | undefined> {
  const drawn = limit === undefined ? [] : ["--limit", `${limit}`, "--seed", "1"];
  const words = ["compare", model!, output, "--data", others!, ...input, ...drawn, ...place];
  const { stdout } = await runCommand(words, { timeoutSeconds: 1800 });
  const second = read(stdout) as Compared | undefined;
  if (second === undefined) return undefined;
  const { milliseconds, loss, inputs, outputs } = second;
  return { milliseconds, loss, inputs, outputs };
}

/** Of a row whose file is here: both files in turns in WebAssembly. */
export async function timesInWeb(
  row: Wanted,
  threads: number,
  folder: string,
): Promise<Compared["milliseconds"] | undefined> {
  const { model, others, input } = row;
  const output = outputOf(row, folder);
  if (model === undefined || others === undefined || !existsSync(output)) return undefined;
  const drawn = ["--limit", "2", "--seed", "1", "--runtime", "web", "--threads", `${threads}`];
  const { stdout } = await runCommand(["compare", model, output, "--data", others, ...input, ...drawn], {
    timeoutSeconds: 900,
  });
  return (read(stdout) as Compared | undefined)?.milliseconds;
}

async function qualitiesOf(model: string, output: string, truths: Truths): Promise<Made["quality"]> {
  const [original, written] = [await qualityOf(model, truths), await qualityOf(output, truths)];
  return { data: truths.name, original, written };
}

interface Answer {
  readonly milliseconds?: unknown;
  readonly compared?: { readonly loss: Told["loss"]; readonly inputs: number };
  readonly predicted?: Told["predicted"];
  /** On the images that the factors were fitted to. */
  readonly predictedLoss?: number;
  readonly layers?: readonly unknown[];
  readonly skipped?: Made["skipped"];
  readonly before?: Counts;
  readonly weights?: number;
  readonly macs?: number;
  readonly eightBits?: { readonly layers: readonly unknown[] };
  readonly error?: { readonly code: string; readonly message: string };
}

function read(text: string): Answer | undefined {
  try {
    return JSON.parse(text) as Answer;
  } catch {
    return undefined;
  }
}

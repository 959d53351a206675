// One row: the operation is run as a user would run it, and what it wrote is measured beside the original.
import { existsSync, rmSync } from "node:fs";
import { join } from "node:path";
import { readRecord } from "../../src/methods/record.js";
import { loadModel } from "../../src/runtime/files.js";
import { type Answer, type LayerAnswer, readAnswer } from "./answers.js";
import { type Ran, runCommand } from "./command.js";
import type { Feed, Sizes } from "./feeds.js";
import { bytesOf, type Counts, countsOf, difference, type Effort, exactnessOf, keptOf, timesOf } from "./measure.js";
import type { WildModel } from "./models.js";
import { budgetWords, type Operation, one, planOf } from "./operations.js";
import { saveMoved } from "./rounding.js";
import type { Exactness, ModelFacts, Row } from "./rows.js";
import type { OutputDifference } from "./runner.js";
import { isRuntimeText, violationsOf } from "./violations.js";

/** What all rows of one network share. */
export interface Subject {
  readonly model: WildModel;
  readonly facts: ModelFacts;
  readonly feeds: readonly Feed[];
  readonly sizes: Sizes;
  readonly counts: Counts | undefined;
  /** The original stores or computes in half precision. */
  readonly half: boolean;
  /** Where its written files stand. */
  readonly folder: string;
  readonly effort: Effort;
  readonly commit: string;
}

export const outputOf = ({ folder }: Pick<Subject, "folder">, operation: string): string =>
  join(folder, `${operation}.onnx`);

const compressions = ["weights-0.6", "macs-0.6"];

/** Runs and measures one operation on one network. */
export async function examine(subject: Subject, operation: Operation): Promise<Row> {
  const { model, facts, commit } = subject;
  const about = { model: model.name, operation: operation.name, commit };
  const input = operation.input === "compressed" ? compressedOf(subject) : model.path;
  if (input === undefined) return { ...about, outcome: "nothing-to-undo", seconds: 0, peakMiB: 0, violations: [] };
  const output = outputOf(subject, operation.name);
  rmSync(output, { force: true });
  const words = operation.words.map((word) => (word === "INPUT" ? input : word === "OUTPUT" ? output : word));
  const ran = await runCommand(words);
  const answer = readAnswer(ran.stdout);
  const row = {
    ...about,
    ...outcomeOf(ran, answer, operation),
    seconds: round(ran.seconds, 2),
    peakMiB: round(ran.peakKiB / 1024, 1),
    ...runtimeText(ran.stderr),
    ...(await cureOf(subject, operation, answer)),
    ...(await planDifferences(subject, operation, answer)),
    ...(existsSync(output) ? await fileOf(subject, operation, input, output, answer) : {}),
  };
  return { ...row, violations: violationsOf(row, operation, facts, model.mustBeWritten) };
}

/** The first file that a budget command wrote. */
const compressedOf = (subject: Subject): string | undefined =>
  compressions.map((name) => outputOf(subject, name)).find((file) => existsSync(file));

function outcomeOf({ exit, timedOut, stderr }: Ran, { error }: Answer, { kind }: Operation) {
  if (timedOut) return { outcome: "internal", message: "it did not end in time" };
  if (error !== undefined) {
    const { code, message, reachable, best, bytes } = error;
    return {
      outcome: code,
      message,
      ...(reachable === undefined ? {} : { reachable }),
      ...(best === undefined ? {} : { best }),
      ...(bytes === undefined ? {} : { larger: bytes }),
    };
  }
  if (exit !== 0) return { outcome: "internal", message: `exit code ${exit}: ${stderr.trim().split("\n").at(-1)}` };
  return { outcome: kind === "reads" ? "answered" : "written" };
}

/** The first line on standard error that ONNX Runtime wrote itself, without its colours. */
function runtimeText(stderr: string) {
  const lines = stderr.replaceAll(/\p{Cc}\[[\d;]*m/gu, "").split(/[\r\n]+/);
  const own = lines.find((line) => (/onnxruntime/i.test(line) || isRuntimeText(line)) && !line.startsWith("error "));
  return own === undefined ? {} : { runtimeText: own.slice(0, 200) };
}

/** A refused budget names what to ask for instead; that must then be written. */
async function cureOf(subject: Subject, { kind, budget }: Operation, { error }: Answer) {
  const cure = error?.cures.find((text) => /^--keep-(params|macs) [\d.]+$/.test(text));
  if (kind !== "budget" || budget === undefined || cure === undefined) return {};
  const output = outputOf(subject, "cure");
  const asked = ["compress", subject.model.path, "-o", output, ...cure.split(" "), "--threads", "1"];
  const { error: failed } = readAnswer((await runCommand(asked)).stdout);
  const counts = failed === undefined ? await countsOf(output, subject.sizes) : undefined;
  const kept = keptOf(subject.counts, counts)[budget.of];
  const limit = Number(cure.split(" ")[1]);
  rmSync(output, { force: true });
  const outcome = failed?.code ?? (kept <= limit + 1e-9 ? "written" : `keeps ${kept.toFixed(4)}`);
  return { cure: { words: cure, outcome } };
}

/**
 * What `plan` says of the same budget against what the compression reports and what the file records, layer by layer.
 */
async function planDifferences({ model, folder }: Subject, operation: Operation, answer: Answer) {
  const plan = operation.kind === "budget" ? planOf(operation) : undefined;
  if (plan === undefined || operation.budget === undefined) return {};
  const { stdout } = await runCommand(["plan", model.path, ...budgetWords(operation.budget), ...one]);
  const planned = readAnswer(stdout);
  const [says, does] = [planned.error?.code ?? "a plan", answer.error?.code ?? "a plan"];
  if (says !== does) return { planDiffers: [`plan gives ${says}, compress ${does}`] };
  if (answer.error !== undefined) return { planDiffers: [] };
  const written = (await recordedLayers(outputOf({ folder }, operation.name))) ?? [];
  return {
    planDiffers: [
      ...layerDifferences(planned.layers, answer.layers, "compress reports"),
      ...layerDifferences(planned.layers, written, "the file records"),
    ],
  };
}

async function recordedLayers(file: string): Promise<readonly LayerAnswer[] | undefined> {
  if (!existsSync(file)) return undefined;
  const recorded = readRecord(await loadModel(file))?.layers ?? [];
  // Nodes that read the same coefficients are one layer.
  const layers = new Map(recorded.toReversed().map((layer) => [layer.coefficients, layer]));
  return [...layers.values()].map(({ name, output, splits, basisSize }) => ({
    name: name || output,
    splits,
    basis: basisSize,
  }));
}

function layerDifferences(
  planned: readonly LayerAnswer[],
  done: readonly LayerAnswer[],
  who: string,
): readonly string[] {
  const text = ({ splits, basis }: LayerAnswer) => `${splits} x ${basis}`;
  const names = [...new Set([...planned, ...done].map(({ name }) => name))];
  return names.flatMap((name) => {
    const [was, is] = [planned, done].map((list) =>
      list
        .filter((layer) => layer.name === name)
        .map(text)
        .join(", "),
    );
    return was === is ? [] : [`${name}: planned ${was || "nothing"}, ${who} ${is || "nothing"}`];
  });
}

async function fileOf(subject: Subject, operation: Operation, input: string, output: string, answer: Answer) {
  const { model, feeds, sizes, counts, facts, effort } = subject;
  const written = await countsOf(output, sizes);
  const about = {
    bytes: bytesOf(output),
    kept: keptOf(counts, written),
    miscounted: miscounted(subject, operation, answer, written, bytesOf(output)),
  };
  if (facts.why !== undefined) return about;
  const fromOriginal = await difference(model.path, output, feeds);
  if (fromOriginal.outputs === undefined) {
    const failure = `ONNX Runtime does not run it: ${fromOriginal.failure}`;
    return { ...about, exactness: { against: "original", outputs: [], failure } satisfies Exactness };
  }
  return {
    ...about,
    difference: fromOriginal.outputs,
    ...(operation.kind === "exact"
      ? { exactness: await exactness(subject, operation, input, output, fromOriginal) }
      : {}),
    times: await timesOf(model.path, output, feeds, effort),
  };
}

/** An exact step against the file it was given (undo: the compressed one). */
async function exactness(
  { feeds, facts, half, folder }: Subject,
  { rounds, input: from }: Operation,
  input: string,
  output: string,
  fromOriginal: Awaited<ReturnType<typeof difference>>,
): Promise<Exactness> {
  if (from === "compressed") {
    const { outputs: noise = [] } = await difference(input, input, feeds, "disabled");
    return exactnessOf("compressed", await difference(input, output, feeds), { noise, half });
  }
  const allowance = { noise: facts.noise, half };
  if (rounds !== true) return exactnessOf("original", fromOriginal, allowance);
  const rounding: OutputDifference[] = [];
  const moved = outputOf({ folder }, "moved");
  for (const seed of [1, 2, 3, 4]) {
    // One move may by chance leave an output of a single number where it was: the largest of several counts.
    await saveMoved(input, moved, seed);
    const { outputs, failure } = await difference(input, moved, feeds);
    if (outputs === undefined) throw new Error(`${input} does not run with its weights moved: ${failure}`);
    rounding.push(...outputs);
  }
  rmSync(moved, { force: true });
  return exactnessOf("original", fromOriginal, { ...allowance, rounding });
}

/** Metrics of a command that are not those of the files. */
function miscounted(
  { counts, facts }: Subject,
  { kind, input }: Operation,
  { before, after }: Answer,
  written: Counts | undefined,
  bytes: number,
): readonly string[] {
  const unlike = (what: string, told: number | undefined, is: number | undefined) =>
    told === undefined || is === undefined || told === is ? [] : [`${what}: told ${told}, is ${is}`];
  return [
    ...(kind === "budget" ? unlike("weights of the original", before.weights, counts?.weights) : []),
    ...(input === undefined ? unlike("bytes of the original", before.bytes, facts.bytes) : []),
    ...unlike("weights", after.weights, written?.weights),
    ...unlike("bytes", after.bytes, bytes),
  ];
}

const round = (value: number, places: number): number => Number(value.toFixed(places));

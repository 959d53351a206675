// One network of the table: `compress --speedup S --data D` on it, and what a second, independent timing finds.
import { existsSync, mkdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { runCommand } from "../wild/command.js";
import type { Feed } from "../wild/feeds.js";
import { bytesOf, type Effort, timesOf } from "../wild/measure.js";
import type { Times } from "../wild/rows.js";

export interface PaysRow {
  readonly model: string;
  /** What the user asked for: the original's time over the result's. */
  readonly speedup: number;
  readonly data: string;
  readonly commit: string;
  /** `written`, or the code of the error. */
  readonly outcome: string;
  readonly message?: string;
  /** The command's own account: its milliseconds in turns, its first prediction, its loss on images held out. */
  readonly told?: Told;
  /** A second timing in processes of its own: process time and wall clock, in turns. */
  readonly second?: Times;
  readonly bytes?: { readonly original: number; readonly written: number };
  readonly layers?: number;
  /** What an error says beside its message: why it does not pay. */
  readonly facts?: unknown;
  readonly seconds: number;
  readonly peakMiB: number;
}

interface Told {
  readonly milliseconds: { readonly original: number; readonly written: number; readonly ratio: number };
  readonly predicted?: unknown;
  readonly loss: { readonly kind: string; readonly mean: number };
  readonly inputs: number;
}

export interface Job {
  readonly name: string;
  readonly path: string;
  readonly data: string;
  readonly dataName: string;
  readonly feeds: readonly Feed[];
  readonly speedup: number;
  readonly words: readonly string[];
  readonly folder: string;
  readonly commit: string;
  readonly effort: Effort;
  readonly timeoutSeconds: number;
}

/** Runs the command, times what it wrote a second time, and says what came of it. */
export async function payingRow(job: Job): Promise<PaysRow> {
  mkdirSync(job.folder, { recursive: true });
  const output = join(job.folder, `${job.name}.onnx`);
  rmSync(output, { force: true });
  const asked = ["compress", job.path, "-o", output, "--speedup", `${job.speedup}`, "--data", job.data, ...job.words];
  const ran = await runCommand(asked, { timeoutSeconds: job.timeoutSeconds });
  const base = {
    model: job.name,
    speedup: job.speedup,
    data: job.dataName,
    commit: job.commit,
    seconds: Number(ran.seconds.toFixed(1)),
    peakMiB: Math.round(ran.peakKiB / 1024),
  };
  if (ran.timedOut) return { ...base, outcome: "timed-out", message: `stopped after ${job.timeoutSeconds} s` };
  const answer = parse(ran.stdout);
  if (ran.exit !== 0 || answer === undefined || !existsSync(output))
    return { ...base, ...failureOf(answer, ran.stderr) };
  const { milliseconds, compared, layers = [], predicted } = answer;
  return {
    ...base,
    outcome: "written",
    told: {
      milliseconds: { original: milliseconds.original, written: milliseconds.written, ratio: milliseconds.ratio },
      ...(predicted === undefined ? {} : { predicted }),
      loss: { kind: compared.loss.kind, mean: compared.loss.mean },
      inputs: compared.inputs,
    },
    second: await timesOf(job.path, output, job.feeds, job.effort),
    bytes: { original: bytesOf(job.path), written: bytesOf(output) },
    layers: layers.length,
  };
}

interface Answer {
  readonly milliseconds: { readonly original: number; readonly written: number; readonly ratio: number };
  readonly compared: { readonly loss: { readonly kind: string; readonly mean: number }; readonly inputs: number };
  readonly layers?: readonly unknown[];
  readonly predicted?: unknown;
  readonly error?: { readonly code: string; readonly message: string; readonly [fact: string]: unknown };
}

function parse(text: string): Answer | undefined {
  try {
    return JSON.parse(text) as Answer;
  } catch {
    return undefined;
  }
}

function failureOf(answer: Answer | undefined, stderr: string): Pick<PaysRow, "outcome" | "message" | "facts"> {
  const error = answer?.error;
  if (error === undefined) return { outcome: "no-answer", message: stderr.trim().split("\n").at(-1) ?? "" };
  const { code, message, ...facts } = error;
  return { outcome: code, message, facts };
}

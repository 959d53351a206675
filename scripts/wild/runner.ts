// The tasks of runner.mjs, each in a process of its own.
import { fileURLToPath } from "node:url";
import { runNode } from "./command.js";
import type { Feed } from "./feeds.js";

const script = fileURLToPath(new URL("./runner.mjs", import.meta.url));

/** How far one output is from the original's (see outputs.mjs). */
export interface OutputDifference {
  readonly name: string;
  readonly type: string;
  readonly rms: number;
  readonly max: number;
  readonly unequal: number;
  readonly constant: boolean;
  readonly fault?: string;
}

interface Turn {
  readonly cpu: number;
  readonly wall: number;
}

interface Tasks {
  readonly probe: {
    readonly asked: { readonly model: string; readonly candidates: readonly Feed[] };
    readonly answer: { readonly opens: boolean; readonly runs?: number; readonly failures: readonly string[] };
  };
  readonly difference: {
    readonly asked: {
      readonly reference: string;
      readonly others: readonly { readonly model: string; readonly level: "all" | "disabled" }[];
      readonly feeds: readonly Feed[];
    };
    readonly answer: readonly { readonly outputs?: readonly OutputDifference[]; readonly failure?: string }[];
  };
  readonly time: {
    readonly asked: {
      readonly models: readonly string[];
      readonly feeds: readonly Feed[];
      readonly seconds: number;
      readonly leastRounds: number;
      readonly mostRounds: number;
      readonly burstMs: number;
    };
    readonly answer: { readonly rounds: readonly (readonly Turn[])[]; readonly runsInBurst: number };
  };
  readonly peak: {
    readonly asked: { readonly model: string; readonly feeds: readonly Feed[] };
    readonly answer: { readonly peakKiB: number };
  };
}

/** Runs one task. @throws Error where the process failed; what a model refuses is in the answer */
export async function runTask<Mode extends keyof Tasks>(
  task: { readonly mode: Mode } & Tasks[Mode]["asked"],
): Promise<Tasks[Mode]["answer"]> {
  const ran = await runNode(script, [], { stdin: JSON.stringify(task) });
  if (ran.exit !== 0)
    throw new Error(`the ${task.mode} process ended with ${ran.exit}: ${ran.stderr.trim().split("\n").at(-1)}`);
  const answer = JSON.parse(ran.stdout) as Tasks[Mode]["answer"] & { readonly failure?: string };
  if (!Array.isArray(answer) && answer.failure !== undefined) throw new Error(`${task.mode}: ${answer.failure}`);
  return answer;
}

// `--processes N`: this program N times on this machine as one group, for those without a launcher. What the first one
// says is what is said; of the others only how they failed.
import { spawn } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type ErrorCode, FilterBasisError } from "../errors/error.js";
import { usableCores } from "../torch/environment.js";
import { meetingFile } from "../torch/launcher.js";
import type { Context } from "./frame.js";
import { sameProgram } from "./processes.js";

/** How one of the processes ended. */
interface Ended {
  readonly rank: number;
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
}

/**
 * Runs a command as a group of processes; gives the JSON of the first.
 * @throws FilterBasisError the first one's own error, or `group` where another one ended without it
 */
export async function runTogether(
  words: readonly string[],
  size: number,
  { note, signal }: Pick<Context, "note" | "signal">,
): Promise<object> {
  const folder = await mkdtemp(join(tmpdir(), "filterbasis-group-"));
  try {
    const start = (rank: number): Promise<Ended> =>
      member(words, environmentOf(folder, rank, size), rank, { note, signal });
    const ended = await Promise.all(Array.from({ length: size }, (_, rank) => start(rank)));
    return resultOf(ended, note);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

function environmentOf(folder: string, rank: number, size: number): NodeJS.ProcessEnv {
  const threads = String(Math.max(1, Math.floor(usableCores() / size)));
  return {
    OMP_NUM_THREADS: threads,
    ...process.env,
    ...{ RANK: String(rank), LOCAL_RANK: String(rank), WORLD_SIZE: String(size) },
    [meetingFile]: join(folder, "meeting"),
  };
}

/** Ends with this program: a closed channel is a SIGTERM to it (see `endWithParent`). */
function member(
  words: readonly string[],
  env: NodeJS.ProcessEnv,
  rank: number,
  { note, signal }: Pick<Context, "note" | "signal">,
): Promise<Ended> {
  const { file, args } = sameProgram([...words, "--json"]);
  return new Promise((resolve, reject) => {
    // In a process group of its own: a terminal's Ctrl-C reaches it once, through this program.
    const child = spawn(file, args, { env, stdio: ["ignore", "pipe", "pipe", "ipc"], detached: true });
    const stop = (): void => void child.kill("SIGTERM");
    if (signal.aborted) stop();
    signal.addEventListener("abort", stop);
    let [stdout, stderr, line] = ["", "", ""];
    child.stdout!.setEncoding("utf8").on("data", (text: string) => {
      stdout += text;
    });
    child.stderr!.setEncoding("utf8").on("data", (text: string) => {
      stderr = (stderr + text).slice(-8000);
      if (rank > 0) return;
      const lines = (line + text).split("\n");
      line = lines.pop()!;
      for (const said of lines) if (!/^(error [a-z-]+: | {2}cure: |stopping; )/.test(said) && said !== "") note(said);
    });
    child.on("error", reject);
    child.on("close", (code, by) => {
      signal.removeEventListener("abort", stop);
      resolve({ rank, code, signal: by, stdout, stderr });
    });
  });
}

function resultOf(ended: readonly Ended[], note: (text: string) => void): object {
  const first = ended[0]!;
  const failed = ended.filter(({ code }) => code !== 0 && code !== 143);
  for (const one of failed) if (one.rank > 0) note(`rank ${one.rank} ${how(one)}`);
  const said = parsed(first.stdout);
  if (said !== undefined && !("error" in said) && failed.length === 0) return said;
  if (said !== undefined && "error" in said) throw errorOf(said.error as Told);
  const cause = failed[0] ?? first;
  throw new FilterBasisError("group", `rank ${cause.rank} ${how(cause)}`, { facts: { rank: cause.rank } });
}

const how = ({ code, signal, stderr }: Ended): string => {
  const last = stderr
    .trim()
    .split("\n")
    .filter((line) => !line.startsWith("  cure: "))
    .at(-1);
  return `ended ${signal === null ? `with code ${code}` : `by ${signal}`}${last ? `: ${last}` : ""}`;
};

interface Told {
  readonly code: ErrorCode;
  readonly message: string;
  readonly cures?: readonly string[];
  readonly rank?: number;
}

const errorOf = ({ code, message, cures = [], rank }: Told): FilterBasisError =>
  new FilterBasisError(code, message, { cures, ...(rank !== undefined && { facts: { rank } }) });

function parsed(text: string): object | undefined {
  try {
    return JSON.parse(text) as object;
  } catch {
    return undefined;
  }
}

/** Where this process was started by `runTogether`: it stops, as on a SIGTERM, when that program is gone. */
export function endWithParent(): void {
  if (process.channel === undefined || process.env[meetingFile] === undefined) return;
  process.on("disconnect", () => process.kill(process.pid, "SIGTERM"));
}

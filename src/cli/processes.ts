// Commands of this program in processes of their own, so many at a time.
import { spawn } from "node:child_process";
import { createRequire } from "node:module";
import { fileURLToPath, pathToFileURL } from "node:url";
import { FilterBasisError } from "../errors/error.js";
import type { Context } from "./frame.js";

export interface ProcessCommand {
  readonly name: string;
  readonly file: string;
  readonly args: readonly string[];
}

/** This program with other words. Where the sources run as they are, Node is taught TypeScript. */
export function sameProgram(words: readonly string[]): Pick<ProcessCommand, "file" | "args"> {
  const isSource = import.meta.url.endsWith(".ts");
  const own = fileURLToPath(new URL(isSource ? "./main.ts" : "./main.js", import.meta.url));
  const taught = isSource ? ["--import", pathToFileURL(createRequire(import.meta.url).resolve("tsx")).href] : [];
  return { file: process.execPath, args: [...taught, own, ...words] };
}

/**
 * Runs commands, `jobs` of them at a time; what one of them says on its failure is told. A signal goes to all.
 * @throws FilterBasisError `interrupted`
 */
export async function runProcesses(
  commands: readonly ProcessCommand[],
  jobs: number,
  { note, progress, signal }: Pick<Context, "note" | "progress" | "signal">,
): Promise<void> {
  if (commands.length === 0) return;
  const waiting = [...commands];
  const bar = progress(`${Math.min(jobs, commands.length)} processes`, commands.length);
  let done = 0;
  const worker = async (): Promise<void> => {
    for (let next = waiting.shift(); next !== undefined && !signal.aborted; next = waiting.shift()) {
      const { code, said } = await finished(next, signal);
      done += 1;
      bar.update(done, next.name);
      if (code !== 0) note(`${next.name} ended with code ${code}: ${said.trim().split("\n").at(-1) ?? ""}`);
    }
  };
  try {
    await Promise.all(Array.from({ length: Math.min(jobs, commands.length) }, worker));
  } finally {
    bar.stop();
  }
  if (signal.aborted) throw new FilterBasisError("interrupted", "stopped; the same command goes on");
}

/** How a process ended, and the end of what it said on stderr. */
function finished({ file, args }: ProcessCommand, signal: AbortSignal): Promise<{ code: number | null; said: string }> {
  return new Promise((resolve, reject) => {
    const child = spawn(file, args, { stdio: ["ignore", "ignore", "pipe"] });
    const stop = (): void => void child.kill("SIGTERM");
    signal.addEventListener("abort", stop);
    let said = "";
    child.stderr.setEncoding("utf8").on("data", (text: string) => {
      said = (said + text).slice(-4000);
    });
    child.on("error", reject);
    child.on("close", (code) => {
      signal.removeEventListener("abort", stop);
      resolve({ code, said });
    });
  });
}

// One run of the built command line in a process of its own: its answer, what it printed, its time and its peak memory.
import { spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const path = (relative: string): string => fileURLToPath(new URL(relative, import.meta.url));
export const program = path("../../dist/cli/main.js");
const hook = new URL("./peak.mjs", import.meta.url).href;
/** Measured latencies are kept here and not among the user's: a table that is made afresh begins without any. */
export const cache = path("../../.cache/wild/cache");

export interface Ran {
  /** -1 where it was killed. */
  readonly exit: number;
  readonly stdout: string;
  readonly stderr: string;
  readonly seconds: number;
  readonly peakKiB: number;
  readonly timedOut: boolean;
}

export interface RunOptions {
  readonly stdin?: string;
  readonly timeoutSeconds?: number;
}

/**
 * Runs a Node script. Its peak memory is what it says itself at its end, or the most that was seen where it was killed.
 */
export function runNode(
  script: string,
  words: readonly string[],
  { stdin = "", timeoutSeconds = 900 }: RunOptions = {},
) {
  const folder = mkdtempSync(join(tmpdir(), "filterbasis-wild-"));
  const peakFile = join(folder, "peak");
  const start = performance.now();
  const child = spawn(process.execPath, ["--import", hook, script, ...words], {
    env: { ...process.env, FILTERBASIS_PEAK: peakFile, FILTERBASIS_CACHE: cache },
    stdio: ["pipe", "pipe", "pipe"],
  });
  let [stdout, stderr, seen, timedOut] = ["", "", 0, false];
  child.stdout.setEncoding("utf8").on("data", (text: string) => (stdout += text));
  child.stderr.setEncoding("utf8").on("data", (text: string) => (stderr += text));
  child.stdin.on("error", () => undefined).end(stdin);
  const watch = setInterval(() => {
    seen = Math.max(seen, highWater(child.pid));
  }, 50);
  const limit = setTimeout(() => {
    timedOut = true;
    child.kill("SIGKILL");
  }, timeoutSeconds * 1000);
  return new Promise<Ran>((resolve, reject) => {
    child.on("error", reject);
    child.on("close", (code) => {
      clearInterval(watch);
      clearTimeout(limit);
      const told = Number(readText(peakFile) ?? 0);
      rmSync(folder, { recursive: true, force: true });
      const seconds = (performance.now() - start) / 1000;
      resolve({ exit: code ?? -1, stdout, stderr, seconds, peakKiB: Math.max(seen, told), timedOut });
    });
  });
}

/** Runs filterbasis with --json. */
export const runCommand = (words: readonly string[], options: RunOptions = {}): Promise<Ran> =>
  runNode(program, [...words, "--json"], options);

/** VmHWM of a process in KiB; 0 where it cannot be read. */
function highWater(pid: number | undefined): number {
  return Number(/^VmHWM:\s+(\d+)/m.exec(readText(`/proc/${pid}/status`) ?? "")?.[1] ?? 0);
}

function readText(file: string): string | undefined {
  try {
    return readFileSync(file, "utf8");
  } catch {
    return undefined;
  }
}

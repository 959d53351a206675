// Starting, watching and burying the processes of the campaign.
import { type ChildProcessWithoutNullStreams, spawn, spawnSync } from "node:child_process";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import type { CallSpec } from "./calls.js";

/** Address space of the replay in KiB; the child bounds itself likewise. */
const addressSpace = 4_500_000;
/** A call that takes longer is neither a crash nor a pass. */
const patience = 20_000;

export type Ending = "returned" | "refused" | "timeout" | { readonly signal: string };

export interface Outcome {
  readonly index: number;
  readonly ending: Ending;
}

/**
 * One thread; and glibc's checked heap, so that a call that writes past its memory dies itself and not some later one.
 */
const environment = {
  ...process.env,
  OMP_NUM_THREADS: "1",
  OPENBLAS_NUM_THREADS: "1",
  FILTERBASIS_NO_MALLOPT: "1",
  LD_PRELOAD: "libc_malloc_debug.so.0",
  MALLOC_CHECK_: "3",
  MALLOC_PERTURB_: "165",
};

function start(): ChildProcessWithoutNullStreams {
  const child = fileURLToPath(new URL("./child.ts", import.meta.url));
  return spawn(process.execPath, ["--import", "tsx", child], { env: environment });
}

/** Performs calls in one child until all are done or it dies; tells how each that was begun ended. */
export function performAll(
  calls: readonly { index: number; call: CallSpec }[],
): Promise<{ outcomes: Outcome[]; log: string }> {
  return new Promise((resolve) => {
    const child = start();
    const outcomes: Outcome[] = [];
    let begun: number | undefined;
    let late = false;
    let log = "";
    let watch: NodeJS.Timeout | undefined;
    child.stderr.on("data", (bytes) => (log = (log + bytes).slice(-2000)));
    child.stdin.on("error", () => undefined); // it died: the exit tells
    createInterface({ input: child.stdout }).on("line", (line) => {
      const [word, index, ending] = line.split(" ");
      clearTimeout(watch);
      if (word === "begin") {
        begun = Number(index);
        watch = setTimeout(() => {
          late = true;
          child.kill("SIGKILL");
        }, patience);
      } else if (word === "end") {
        outcomes.push({ index: Number(index), ending: ending as Ending });
        begun = undefined;
      }
    });
    child.on("close", (status, signal) => {
      clearTimeout(watch);
      if (begun !== undefined)
        outcomes.push({ index: begun, ending: late ? "timeout" : { signal: signal ?? `exit ${status}` } });
      resolve({ outcomes, log });
    });
    child.stdin.end(calls.map((one) => `${JSON.stringify(one)}\n`).join(""));
  });
}

/** How PyTorch takes the same call; undefined where there is no python3-torch. */
export function replay(call: CallSpec): Ending | undefined {
  const script = fileURLToPath(new URL("./replay.py", import.meta.url));
  const command = `ulimit -v ${addressSpace} -c 0; exec /usr/bin/python3 "$0"`;
  const { status, signal, stdout, stderr } = spawnSync("bash", ["-c", command, script], {
    env: environment,
    input: JSON.stringify(call),
    encoding: "utf8",
    timeout: 120_000,
    killSignal: "SIGKILL",
  });
  if (stderr.includes("No module named 'torch'")) return undefined;
  if (signal === "SIGKILL") return "timeout";
  if (signal !== null || status !== 0) return { signal: signal ?? `exit ${status}` };
  return stdout.startsWith("returned") ? "returned" : "refused";
}

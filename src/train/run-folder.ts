// A run as a folder: who holds it, what was asked, what was measured, what came out.
import { appendFileSync } from "node:fs";
import { mkdir, open, readFile, rm, stat, truncate, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { FilterBasisError } from "../errors/error.js";
import { writeAside } from "../runtime/write.js";

/** The files of a run. */
export const runFiles = {
  recipe: "recipe.json",
  run: "run.json",
  metrics: "metrics.jsonl",
  checkpoints: "checkpoints",
  original: "original.onnx",
  originalMetrics: "original.json",
  start: "start.onnx",
  startMetrics: "start.json",
  best: "best.onnx",
  last: "last.onnx",
  summary: "summary.json",
  log: "log.txt",
  lock: "lock",
} as const;

/** Makes the folder and takes hold of it; `busy` when a living process has it. The returned function lets go. */
export async function holdRun(folder: string): Promise<() => Promise<void>> {
  await mkdir(folder, { recursive: true }).catch((cause: NodeJS.ErrnoException) => {
    throw new FilterBasisError("io", "cannot make the run's folder", {
      file: folder,
      got: cause.code ?? cause.message,
      cause,
    });
  });
  const file = join(folder, runFiles.lock);
  const mine = await processMark(process.pid);
  for (let tries = 0; tries < 10; tries++) {
    try {
      await writeFile(file, mine, { flag: "wx" });
      return () => rm(file, { force: true });
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "EEXIST") {
        throw new FilterBasisError("io", "cannot make the run's folder", {
          file: folder,
          cause: error,
          got: String(error),
        });
      }
    }
    const holder = await readFile(file, "utf8").catch(() => "");
    const pid = Number.parseInt(holder, 10);
    // A mark names the process and when it started, so that a number used again does not keep a dead run's folder.
    if (pid > 0 && (await processMark(pid)) === holder) {
      throw new FilterBasisError("busy", "another training writes into this folder", {
        file: folder,
        got: `process ${pid}`,
      });
    }
    await rm(file, { force: true });
  }
  throw new FilterBasisError("busy", "other processes keep locking the folder", { file });
}

async function processMark(pid: number): Promise<string> {
  const status = await readFile(`/proc/${pid}/stat`, "utf8").catch(() => undefined);
  if (status !== undefined) return `${pid} ${status.slice(status.lastIndexOf(")") + 2).split(" ")[19]}\n`;
  try {
    process.kill(pid, 0);
    return `${pid}\n`;
  } catch {
    return "gone";
  }
}

/** Adds a line to the run's log, which no resume cuts back. */
export function appendLog(folder: string, text: string): void {
  const file = join(folder, runFiles.log);
  try {
    appendFileSync(file, `${new Date().toISOString()} ${text}\n`);
  } catch (cause) {
    throw new FilterBasisError("io", "cannot write on", {
      file,
      cause,
      got: (cause as NodeJS.ErrnoException).code ?? String(cause),
    });
  }
}

/** Writes one JSON file of the run. */
export async function writeJson(folder: string, name: string, value: object): Promise<void> {
  await writeAside(join(folder, name), `${JSON.stringify(value, null, 2)}\n`);
}

/** Reads one JSON file of a run; undefined where it is absent. */
export async function readJson<T>(folder: string, name: string): Promise<T | undefined> {
  const file = join(folder, name);
  const text = await readFile(file, "utf8").catch(() => undefined);
  if (text === undefined) return undefined;
  try {
    return JSON.parse(text) as T;
  } catch (cause) {
    throw new FilterBasisError("malformed", "not JSON", { file, cause });
  }
}

/** A file that only grows, and that is cut back to where the checkpoint was when a run goes on. */
export interface Journal {
  readonly bytes: number;
  append(bytes: string | Uint8Array): Promise<void>;
  close(): Promise<void>;
}

/** Opens a journal at a length: what lies beyond was written after the checkpoint and is written again. */
export async function openJournal(file: string, length: number): Promise<Journal> {
  const size = await stat(file).then(
    (found) => found.size,
    () => 0,
  );
  if (size < length) {
    throw new FilterBasisError("malformed", "the file is shorter than the checkpoint remembers", {
      file,
      expected: `${length} bytes`,
      got: `${size}`,
    });
  }
  const handle = await open(file, "a");
  if (size > length) await truncate(file, length);
  let bytes = length;
  return {
    get bytes() {
      return bytes;
    },
    async append(text) {
      const piece = typeof text === "string" ? new TextEncoder().encode(text) : text;
      await handle.appendFile(piece).catch((cause: NodeJS.ErrnoException) => {
        throw new FilterBasisError("io", "cannot write on", { file, cause, got: cause.code ?? cause.message });
      });
      bytes += piece.length;
    },
    close: () => handle.close(),
  };
}

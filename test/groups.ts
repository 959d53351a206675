// Trainings by several processes, for tests: small data and recipes, and processes started as launchers start them.
import { type ChildProcess, spawn } from "node:child_process";
import { existsSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { someImage, writePng } from "./images.js";

/** 50 images in two classes to train on, 14 to evaluate on. */
export async function writeImages(root: string): Promise<void> {
  for (let label = 0; label < 2; label++)
    for (let i = 0; i < 32; i++)
      await writePng(
        join(root, i < 25 ? "train" : "test", `c${label}`, `${i}.png`),
        someImage(32, 32, { seed: 100 * label + i }),
      );
}

/** A classifier with batch norms; the last batch of an epoch is short. */
export const classifier = (root: string, fields: object = {}) => ({
  name: "classifier",
  network: { name: "resnet", depth: 8, widths: [4, 8, 8], classes: 2, init: "kaiming" },
  data: { name: "folder", folder: root, batch: 8 },
  optimizer: { name: "sgd", lr: 0.02 },
  epochs: 3,
  seed: 3,
  ...fields,
});

/**
 * Super-resolution, without batch norms: what processes share out must add up to what one computes. 6 patches are no
 * multiple of 4 processes.
 */
export const patches = (root: string, fields: object = {}) => ({
  name: "patches",
  network: { name: "edsr", scale: 2, blocks: 2, width: 8 },
  data: {
    name: "pairs",
    folder: join(root, "train/c0"),
    scale: 2,
    patch: 16,
    batch: 6,
    stepsPerEpoch: 10,
    test: join(root, "test/c0"),
  },
  loss: { task: "l1" },
  optimizer: { name: "adam" },
  epochs: 2,
  seed: 5,
  ...fields,
});

export function writeRecipe(file: string, recipe: object): string {
  writeFileSync(file, JSON.stringify(recipe));
  return file;
}

/** How one process ended. */
export interface Ended {
  readonly rank: number;
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly said: string;
  /** Milliseconds from its start. */
  readonly took: number;
}

export interface Member {
  readonly child: ChildProcess;
  readonly ended: Promise<Ended>;
}

const at = (path: string): string => fileURLToPath(new URL(`../${path}`, import.meta.url));

/** The program as it is built, which starts much sooner; from its sources where they are newer. */
export function program(): readonly string[] {
  const built = at("dist/cli/main.js");
  const isFresh = existsSync(built) && newest(at("src")) <= statSync(built).mtimeMs;
  return [process.execPath, ...(isFresh ? [built] : ["--import", "tsx", at("src/cli/main.ts")])];
}

const newest = (folder: string): number =>
  Math.max(...readdirSync(folder, { recursive: true }).map((name) => statSync(join(folder, String(name))).mtimeMs));

/** Starts a command as one rank; `words` is a whole command line. */
export function startMember(rank: number, words: readonly string[], environment: NodeJS.ProcessEnv): Member {
  const start = performance.now();
  const [file, ...args] = words as [string, ...string[]];
  const child = spawn(file, args, { env: { ...process.env, ...environment }, stdio: ["ignore", "pipe", "pipe"] });
  let said = "";
  for (const stream of [child.stdout!, child.stderr!]) stream.setEncoding("utf8").on("data", (text) => (said += text));
  const ended = new Promise<Ended>((resolve) =>
    child.on("close", (code, signal) => resolve({ rank, code, signal, said, took: performance.now() - start })),
  );
  return { child, ended };
}

/** The variables that torchrun would set. */
export const variables = (rank: number, size: number, port: number, host = "127.0.0.1"): NodeJS.ProcessEnv => ({
  RANK: String(rank),
  WORLD_SIZE: String(size),
  LOCAL_RANK: String(rank),
  MASTER_ADDR: host,
  MASTER_PORT: String(port),
  OMP_NUM_THREADS: "1",
});

/** Starts all ranks of a group on this machine. */
export function startGroup(words: readonly string[], size: number, port: number): readonly Member[] {
  return Array.from({ length: size }, (_, rank) => startMember(rank, words, variables(rank, size, port)));
}

export const allEnded = (members: readonly Member[]): Promise<readonly Ended[]> =>
  Promise.all(members.map(({ ended }) => ended));

export function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer().on("error", reject);
    server.listen(0, "127.0.0.1", () => {
      const { port } = server.address() as { port: number };
      server.close(() => resolve(port));
    });
  });
}

/** Losses of the steps of a run, in order. */
export function losses(run: string): readonly number[] {
  return lines(run)
    .filter(({ kind }) => kind === "step")
    .map(({ loss }) => loss);
}

const lines = (run: string): readonly { readonly kind: string; readonly loss: number }[] =>
  readFileSync(join(run, "metrics.jsonl"), "utf8")
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line) as { kind: string; loss: number });

/** The largest relative difference of two lists of losses. */
export function apart(a: readonly number[], b: readonly number[]): number {
  if (a.length !== b.length) return Number.POSITIVE_INFINITY;
  return Math.max(...a.map((loss, i) => Math.abs(loss - b[i]!) / Math.abs(loss)));
}

/** What a run came to, bit for bit: its model, the tensors of its last checkpoint, its figures but the times. */
export function outcome(run: string) {
  const newest = readdirSync(join(run, "checkpoints"))
    .filter((name) => name.startsWith("step-"))
    .sort()
    .at(-1)!;
  const bytes = readFileSync(join(run, "checkpoints", newest));
  return {
    model: readFileSync(join(run, "last.onnx")).toString("base64"),
    checkpoint: bytes.subarray(8 + Number(bytes.readBigUInt64LE(0))).toString("base64"),
    metrics: readFileSync(join(run, "metrics.jsonl"), "utf8").replace(/"seconds":[\d.e-]+/g, ""),
  };
}

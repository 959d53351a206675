// What every benchmark writes: its metrics with the conditions they hold under.
import { execFileSync } from "node:child_process";
import { mkdir } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { describeMachine, type Machine } from "../src/runtime/machine.js";
import { runtimeVersion } from "../src/runtime/session.js";
import { writeAside } from "../src/runtime/write.js";

export interface Conditions {
  readonly command: string;
  readonly date: string;
  readonly commit: string;
  readonly machine: Machine;
  readonly onnxruntime: string;
}

const describeHead = ["rev-parse", "--short", "HEAD"];

/** Writes `results/NAME.json` and says so. */
export async function writeResult(name: string, command: string, metrics: object): Promise<void> {
  const conditions: Conditions = {
    command,
    date: new Date().toISOString(),
    // a copy of the tree on another machine has no repository
    commit: process.env.FILTERBASIS_COMMIT ?? execFileSync("git", describeHead, { encoding: "utf8" }).trim(),
    machine: describeMachine(),
    onnxruntime: await runtimeVersion("node"),
  };
  const path = fileURLToPath(new URL(`../results/${name}.json`, import.meta.url));
  await mkdir(fileURLToPath(new URL("../results/", import.meta.url)), { recursive: true });
  await writeAside(path, new TextEncoder().encode(`${JSON.stringify({ ...conditions, ...metrics }, null, 2)}\n`));
  process.stderr.write(`wrote ${path}\n`);
}

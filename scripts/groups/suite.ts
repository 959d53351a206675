// What the suites of scripts/test-groups.ts share: options, data, recipes, the run that all are held against, checks.
import { mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { parseArgs } from "node:util";
import { Random } from "../../src/linalg/random.js";
import {
  allEnded,
  apart,
  classifier,
  type Ended,
  losses,
  outcome,
  patches,
  program,
  startMember,
  writeImages,
  writeRecipe,
} from "../../test/groups.js";

export const { values } = parseArgs({
  options: {
    kills: { type: "string", default: "20" },
    seed: { type: "string", default: "1" },
    only: { type: "string" },
    out: { type: "string", default: "results/groups.json" },
  },
});
export const [kills, seed] = [Number(values.kills), Number(values.seed)];
export const random = new Random(`groups ${seed}`);
export const root = mkdtempSync(join(tmpdir(), "filterbasis-groups-"));
process.env.FILTERBASIS_CACHE = join(root, "cache");
await writeImages(root);

interface Check {
  readonly suite: string;
  readonly name: string;
  readonly good: boolean;
  readonly detail?: string;
}

export const checks: Check[] = [];
export const skipped: { readonly suite: string; readonly reason: string }[] = [];
/** The suite that runs, and how long a start takes there. */
export const now = {
  suite: "",
  /**
   * Seconds that a training takes to begin and to end, on a machine with other work: several times what the program
   * takes to tell its version.
   */
  starting: 5,
};

export function check(name: string, good: boolean, detail = ""): void {
  checks.push({ suite: now.suite, name, good, ...(detail !== "" && { detail }) });
  console.log(`${good ? "ok  " : "FAIL"} ${now.suite}: ${name}${detail === "" ? "" : `: ${detail}`}`);
}

export function skip(reason: string): void {
  skipped.push({ suite: now.suite, reason });
  console.log(`skip ${now.suite}: ${reason}`);
}

export const train = (...words: readonly string[]): readonly string[] => [...program(), "train", ...words];
export const fresh = (name: string): string => join(root, `${name}-${random.int(2 ** 30)}`);
export const codes = (ended: readonly Ended[]): string => ended.map(({ code, signal }) => signal ?? code).join(" ");
export const lastWords = (ended: readonly Ended[]): string =>
  ended
    .map(({ rank, said }) => `rank ${rank}: ${said.trim().split("\n").slice(-2).join(" / ").slice(0, 300)}`)
    .join(" | ");

export async function measureStart(): Promise<void> {
  const [told] = await allEnded([startMember(0, [...program(), "--version"], {})]);
  now.starting = 3 + (10 * told!.took) / 1000;
}

/** Seconds that a fault may take to be told on every rank. */
export const timeout = 8;
export const within = ["--timeout", String(timeout)];
export const patchRecipe = writeRecipe(join(root, "patches.json"), patches(root));
export const faultRecipe = writeRecipe(
  join(root, "faults.json"),
  classifier(root, { epochs: 60, threads: 1, checkpoint: { everySteps: 5 } }),
);
/** The losses of one process on the whole batch, that all others are held against. */
export const whole = join(root, "whole");
const [reference] = await allEnded([startMember(0, train(patchRecipe, "-o", whole, "--threads", "1"), {})]);
if (reference!.code !== 0) throw new Error(`the reference run failed: ${reference!.said}`);

export function sameAsWhole(name: string, run: string, ended: readonly Ended[]): void {
  const ok = ended.every(({ code }) => code === 0);
  if (!ok) {
    check(name, false, lastWords(ended));
    return;
  }
  const difference = apart(losses(whole), losses(run));
  // The weights of all ranks are compared in the training itself, each epoch; a difference would have ended it.
  check(name, difference < 1e-5, `${losses(run).length} steps, losses apart by ${difference.toExponential(1)} at most`);
}

/** Faults told: exit code 1 and a typed error on every rank that lives. */
export function told(name: string, ended: readonly Ended[], pattern: RegExp): void {
  const alive = ended.filter(({ signal }) => signal === null);
  const bad = alive.filter(({ code, said }) => code !== 1 || !pattern.test(said));
  const slowest = Math.max(...alive.map(({ took }) => took)) / 1000;
  check(
    name,
    bad.length === 0 && slowest < timeout + now.starting,
    bad.length > 0 ? lastWords(bad) : `told after ${slowest.toFixed(1)} s`,
  );
}

export function same(run: string, calm: string): boolean {
  const [a, b] = [outcome(run), outcome(calm)];
  return a.model === b.model && a.checkpoint === b.checkpoint && a.metrics === b.metrics;
}

export async function until(condition: () => boolean): Promise<void> {
  for (let tries = 0; tries < 1200; tries++) {
    try {
      if (condition()) return;
    } catch {}
    await sleep(50);
  }
}

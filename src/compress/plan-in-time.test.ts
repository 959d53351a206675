// A budget by time is not given up for timings that something else disturbed.
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { edsr } from "../nets/edsr.js";
import { findInputs } from "../runtime/index.js";
import { planModel } from "./plan.js";
import { type Times, timeTillSure } from "./time.js";

const latencies = mkdtempSync(join(tmpdir(), "filterbasis-latencies-"));
afterAll(() => rmSync(latencies, { recursive: true, force: true }));

const graph = edsr({ blocks: 1, width: 48, scale: 2 });
const inputs = await findInputs(graph, { shapes: new Map([["input", [1, 3, 24, 24]]]) });
const plan = () => planModel({ graph }, { plan: { keepMacs: 0.5 }, threads: 1, latencies, inputs });
const file = () => join(latencies, readdirSync(latencies)[0]!);

/** The table as if everything but the original had taken ten times as long: layers over a basis, and what was written. */
function disturb(): void {
  const lines = readFileSync(file(), "utf8").split("\n").filter(Boolean);
  const disturbed = lines.map((line) => {
    const one = JSON.parse(line) as { layer?: string; milliseconds?: number; original?: number; written?: number };
    if (one.layer?.includes('"basisSize"')) return JSON.stringify({ ...one, milliseconds: 10 * one.milliseconds! });
    if (one.written !== one.original) return JSON.stringify({ ...one, written: 10 * one.written! });
    return line;
  });
  writeFileSync(file(), disturbed.join("\n"));
}

test("a plan is found although the layers' and the network's times were disturbed when they were measured", async () => {
  const before = await plan();
  expect(before.plan.after.macs).toBeLessThanOrEqual(0.5 * before.before.macs);
  disturb();
  const after = await plan();
  expect(after.plan.after.macs).toBeLessThanOrEqual(0.5 * after.before.macs);
  expect(after.times!.written).toBeLessThan(after.times!.original);
});

test("a 'no' is timed again, twice at most; a 'yes' is not", async () => {
  const times = (ratio: number): Times => ({
    ...{ original: 1, written: 1 / ratio },
    ratio,
    interval: [ratio, ratio],
    verdict: "within noise",
  });
  const from =
    (...ratios: number[]) =>
    async () =>
      times(ratios.shift()!);
  const isNo = ({ ratio }: Times) => ratio < 1;
  expect((await timeTillSure(from(0.5, 1.5), isNo)).ratio).toBe(1.5);
  expect((await timeTillSure(from(1.5, 0.5), isNo)).ratio).toBe(1.5);
  expect((await timeTillSure(from(0.5, 0.6, 0.7, 1.5), isNo)).ratio).toBe(0.7);
});

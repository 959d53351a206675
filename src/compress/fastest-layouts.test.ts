// The layouts of a compressed network follow the table of latencies, as those of a plan do.
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { basis } from "../methods/basis.js";
import { readRecord } from "../methods/record.js";
import { edsr } from "../nets/edsr.js";
import { findInputs } from "../runtime/index.js";
import { fastestLayouts } from "./fastest-layouts.js";
import { planModel } from "./plan.js";

const latencies = mkdtempSync(join(tmpdir(), "filterbasis-latencies-"));
afterAll(() => rmSync(latencies, { recursive: true, force: true }));

const original = edsr({ blocks: 1, width: 16, scale: 2 });
const only = ["body.0.*"];
const { graph } = basis({ basis: 6, splits: 2, only })(original);
const inputs = await findInputs(original, { shapes: new Map([["input", [1, 3, 12, 12]]]) });
const place = { threads: 1, latencies, inputs };
const choose = () => fastestLayouts(graph, place);

/** The table as if a layer took half as long in the grouped layout, and the second of two networks so long. */
function pretend(written: number): void {
  const file = join(latencies, readdirSync(latencies)[0]!);
  const lines = readFileSync(file, "utf8").split("\n").filter(Boolean);
  const changed = lines.map((line) => {
    const one = JSON.parse(line) as { readonly layer?: string };
    const times = one.layer?.includes('"grouped"') ? { milliseconds: 1 } : { milliseconds: 2 };
    return JSON.stringify({ ...one, ...(one.layer === undefined ? { original: 1, written } : times) });
  });
  writeFileSync(file, changed.join("\n"));
}

const layoutsIn = (made: typeof graph) => readRecord(made)!.layers.map(({ layout }) => layout);

test("each layer is timed in each layout, and the mixture is taken only where the network gains by it", async () => {
  const { layers } = await choose();
  expect(layers.map(({ name }) => name)).toEqual(["body.0.body.0", "body.0.body.2"]);
  for (const { milliseconds } of layers)
    expect(Object.keys(milliseconds).sort()).toEqual(["batch-folded", "dense", "grouped", "split"]);

  pretend(0.9);
  await choose(); // times the two networks that are now compared
  pretend(0.9);
  const fast = await choose();
  expect(layoutsIn(fast.graph)).toEqual(["grouped", "grouped"]);
  expect(fast.layers.map(({ chosen }) => chosen)).toEqual(["grouped", "grouped"]);
  expect(fast.times).toEqual({ original: 1, written: 0.9 });

  pretend(0.99);
  const slow = await choose();
  expect(layoutsIn(slow.graph)).toEqual(["dense", "dense"]);
  expect(slow.layers.map(({ chosen }) => chosen)).toEqual(["dense", "dense"]);
});

test("a plan of the same layers reads the same times", async () => {
  await choose();
  pretend(0.9);
  const options = { ...place, plan: { basis: 6, splits: 2, only } };
  const planned = await planModel({ graph: original }, options);
  expect(layoutsIn(planned.graph)).toEqual(["grouped", "grouped"]);
  const { groups } = planned.plan;
  expect(groups.flatMap(({ layers }) => layers.map(({ timed }) => timed?.milliseconds))).toEqual([1, 1]);
});

test("a network without a compressed layer is refused", async () => {
  await expect(fastestLayouts(original, place)).rejects.toMatchObject({ code: "not-found" });
});

// Tables and figures in small from the folders of comparisons: what was finished, what was stopped, what was not run.
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseHTML } from "linkedom";
import { afterAll, expect, test } from "vitest";
import { gatherFigure } from "../scripts/small/figure.js";
import { bestRow } from "../scripts/small/row.js";
import { gatherTable, originalIn } from "../scripts/small/table.js";
import tables from "../src/cli/tables.js";
import { countsOf } from "../src/methods/counts.js";
import { methodPass } from "../src/methods/methods.js";
import { buildNet } from "../src/nets/table.js";
import { smallFigureCells, smallFigureSvg } from "../src/report/small-figure.js";
import { smallTableCells, smallTableNotRun } from "../src/report/small-table.js";

const root = mkdtempSync(join(tmpdir(), "filterbasis-small-"));
afterAll(() => rmSync(root, { recursive: true }));

const graph = buildNet("resnet", { depth: 8, widths: [8, 16, 16], init: "kaiming", seed: 3 });
const { weights, parameters, macs } = countsOf(graph);
const original = { top1Error: 8.27, weights, parameters, macs };

function write(folder: string, name: string, value: object): void {
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, name), JSON.stringify(value));
}

function comparison(keep: number, errors: Readonly<Record<string, number>>, asked: object = {}): string {
  const folder = join(root, `${keep} ${JSON.stringify(asked)}`.replaceAll(/[^\w.]/g, "-"));
  const budget = { kind: "keepMacs", value: keep };
  write(folder, "comparison.json", {
    model: "m",
    budget,
    data: "cifar10",
    epochs: 2,
    seed: 1,
    device: "cpu",
    ...asked,
  });
  for (const [method, error] of Object.entries(errors)) {
    const quality = (top1Error: number) => ({ top1Error, loss: {} });
    const row = {
      options: { keepMacs: keep },
      compressed: quality(80),
      calibrated: quality(40),
      tuned: quality(error),
    };
    write(join(folder, method), "row.json", row);
  }
  return folder;
}

test("a figure has each method at each budget, the largest first, whether it was run or not", async () => {
  const folders = [
    comparison(0.5, { basis: 11, kse: 13 }),
    comparison(0.7, { basis: 9.5, kse: 10 }),
    comparison(0.3, {}),
  ];
  // made on another machine, and stopped there
  const cut = comparison(0.3, {}, { device: "cuda" });
  const run = join(cut, "basis/run");
  write(run, "recipe.json", { compress: { method: "basis", keepMacs: 0.3 }, epochs: 2 });
  writeFileSync(
    join(run, "metrics.jsonl"),
    '{"kind":"step","globalStep":1,"loss":1}\n{"kind":"epoch","epoch":1,"metrics":{"top1Error":30}}\n',
  );
  const told = { figure: 5, title: "small", original, methods: ["basis", "kse"] };
  const figure = await gatherFigure(graph, { ...told, folders: [...folders, cut] });
  expect(figure.conditions).toEqual({ budget: "keepMacs", data: "cifar10", epochs: 2, seed: 1 });
  expect(figure.points.map(({ method, budget, tuned, reason }) => [method, budget, tuned ?? reason])).toEqual([
    ["basis", 0.7, 9.5],
    ["basis", 0.5, 11],
    ["basis", 0.3, "stopped after 1 steps, epoch 1: 30 %"],
    ["kse", 0.7, 10],
    ["kse", 0.5, 13],
    ["kse", 0.3, "not run"],
  ]);
  const kse = figure.points.find(({ method, budget }) => method === "kse" && budget === 0.7)!;
  const counted = countsOf(methodPass("kse", { keepMacs: 0.7 })(graph).graph);
  expect([kse.macs, kse.paperMacs]).toEqual([counted.macs, counted.paperMacs]);
  expect(kse.paperMacs!).toBeLessThanOrEqual(0.7 * macs);
  expect(smallFigureCells(figure).map((row) => row.length)).toEqual(Array(8).fill(9));
  const { document } = parseHTML("<!doctype html><html><body></body></html>");
  const svg = smallFigureSvg(figure, document as unknown as Document);
  expect(svg).toMatch(/^<svg [^>]*xmlns="http:\/\/www.w3.org\/2000\/svg"/);
  // two points of each method, and those of KSE again at what is executed
  expect(svg.match(/<circle/g)).toHaveLength(6);
  expect(svg).toContain("kse, executed");
  expect(svg).toContain("original 8.27 %");
  const results = join(root, "results");
  write(results, "figure5-small.json", figure);
  let [stdout, stderr] = ["", ""];
  const shown = {
    stdout: { write: (text: string) => void (stdout += text) },
    stderr: { write: (text: string) => void (stderr += text) },
  };
  const code = await tables.run(["5", "--small", "--results", results], {
    ...shown,
    signal: new AbortController().signal,
  });
  expect(code, stderr).toBe(0);
  expect(stdout).toMatch(/^Figure 5 in small\. small\n.*method.*\n.*original.*\n.*basis.*70 %.*9\.50 %/);
});

test("comparisons that differ in more than the budget make no figure", async () => {
  const folders = [comparison(0.5, {}), comparison(0.25, {}, { seed: 2 })];
  await expect(gatherFigure(graph, { figure: 5, title: "", original, methods: ["kse"], folders })).rejects.toThrow(
    "was compared otherwise",
  );
  await expect(
    gatherFigure(graph, { figure: 5, title: "", original, methods: ["kse"], folders: [root] }),
  ).rejects.toThrow("holds no comparison");
});

test("of a method in several folders the fine-tuned row counts; one that failed has its reason alone", async () => {
  const [here, there] = [comparison(0.6, {}), comparison(0.6, { svd: 10 }, { device: "cuda" })];
  write(join(here, "svd"), "row.json", { options: { keepMacs: 0.6 }, reason: "no room" });
  write(join(here, "transition"), "row.json", { reason: "it has no budget" });
  expect(await bestRow(graph, [here, there], "svd")).toMatchObject({ tuned: 10, evaluatedBy: "ONNX Runtime" });
  expect(await bestRow(graph, [here, there], "transition")).toEqual({
    method: "transition",
    reason: "it has no budget",
  });
  expect(await bestRow(graph, [here, there], "cp")).toEqual({ method: "cp", reason: "not run" });
});

test("a row says what was counted of the network that it trained, not what a plan without images counts", async () => {
  const folder = comparison(0.8, { amc: 12, zhang: 13, kse: 14 });
  const counts = { weights: 10, parameters: 20, macs: 30, paperMacs: 25 };
  write(join(folder, "amc"), "row.json", { options: { keepMacs: 0.8 }, ...counts, tuned: { top1Error: 12 } });
  expect(await bestRow(graph, [folder], "amc")).toMatchObject(counts);
  // its sizes are chosen on images, which are not here
  expect(await bestRow(graph, [folder], "zhang")).not.toHaveProperty("weights");
  expect(await bestRow(graph, [folder], "transition")).toMatchObject({ reason: "not run: it has no budget" });
});

test("a table has what other seeds came to beside its rows, and methods that were not run in a line", async () => {
  const folder = comparison(0.9, { basis: 11, kse: 12 });
  const other = comparison(0.9, { basis: 11.25 }, { seed: 2 });
  const told = { small: 6, title: "seeds", original };
  const table = await gatherTable(graph, { ...told, folders: [folder], seeds: [other] });
  expect(table.conditions).toMatchObject({ seed: 1, budget: { kind: "keepMacs", value: 0.9 } });
  expect(table.rows[0]).toMatchObject({
    ...{ method: "basis", tuned: 11 },
    otherSeeds: [{ seed: 2, tuned: 11.25, evaluatedBy: "ONNX Runtime" }],
  });
  expect(table.rows[1]).toMatchObject({ method: "kse", tuned: 12 });
  expect(table.rows[1]).not.toHaveProperty("otherSeeds");
  const [head, , basis, kse, ...rest] = smallTableCells(table);
  expect(head?.slice(-3)).toEqual(["fine-tuned", "seed 2", ""]);
  expect(basis?.slice(-3)).toEqual(["11.00 %", "11.25 %", ""]);
  expect(kse?.slice(-3)).toEqual(["12.00 %", "", ""]);
  expect(kse?.[head!.indexOf("paper's MACs")]).toMatch(/^\d+\.\d %$/);
  expect(rest.map(([method]) => method)).not.toContain("cp");
  expect(smallTableNotRun(table)).toEqual([expect.stringMatching(/^Not run: .*\bcp\b/)]);
  await expect(
    gatherTable(graph, { ...told, folders: [folder], seeds: [comparison(0.85, {}, { seed: 2 })] }),
  ).rejects.toThrow("was compared otherwise");
});

test("rows and seeds of a table that was made before stay where the folders lack them", async () => {
  const told = { small: 6, title: "before", original };
  const [first, second] = [comparison(0.88, { basis: 11, kse: 12 }), comparison(0.88, { kse: 11.5, svd: 13 })];
  const seeds = [comparison(0.88, { basis: 11.25 }, { seed: 2 }), comparison(0.88, { kse: 12.5 }, { seed: 3 })];
  const earlier = await gatherTable(graph, { ...told, folders: [first], seeds: [seeds[0]!] });
  const table = await gatherTable(graph, { ...told, folders: [second], seeds: [seeds[1]!], earlier });
  const found = table.rows.slice(0, 3).map(({ method, tuned, otherSeeds }) => [method, tuned, otherSeeds?.[0]?.seed]);
  expect(found).toEqual([
    ["basis", 11, 2],
    ["kse", 11.5, 3],
    ["svd", 13, undefined],
  ]);
  const again = await gatherTable(graph, { ...told, folders: [], seeds, earlier });
  expect(again.rows.slice(0, 2).map(({ otherSeeds }) => otherSeeds?.map(({ seed }) => seed))).toEqual([[2], [3]]);
  await expect(gatherTable(graph, { ...told, folders: [comparison(0.87, {})], earlier })).rejects.toThrow(
    "was compared otherwise",
  );
});

test("what the original is comes from the first comparison that says so", async () => {
  const [without, told] = [comparison(0.31, {}), comparison(0.32, {})];
  write(told, "original.json", { ...original, bytes: 1 });
  expect(await originalIn([without, told])).toEqual(original);
  await expect(originalIn([without])).rejects.toThrow("says how good the original is");
});

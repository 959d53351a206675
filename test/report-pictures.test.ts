// The report page of a super-resolution run: pieces of its test pictures as every model makes them, with the metrics of
// `evaluate`.
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { chromium as playwright } from "playwright-core";
import { afterAll, beforeAll, expect, test } from "vitest";
import report from "../src/cli/report.js";
import { withCrops } from "../src/cli/report-crops.js";
import { readRun } from "../src/cli/report-run.js";
import { decodeImage } from "../src/data/codec.js";
import { evaluateModel } from "../src/evaluate/evaluate.js";
import { basis } from "../src/methods/basis.js";
import { buildNet } from "../src/nets/table.js";
import { saveModel } from "../src/runtime/files.js";
import { parseRecipe } from "../src/train/recipe.js";
import { chromium, noBrowser } from "./browser.js";
import { someImage, writePng } from "./images.js";

const folder = mkdtempSync(join(tmpdir(), "filterbasis-report-"));
const data = join(folder, "data");
let said = "";
const io = {
  stdout: { write: () => undefined },
  stderr: { write: (text: string) => (said += text) },
  signal: new AbortController().signal,
};
const context = {
  note: (text: string) => (said += text),
  progress: () => ({ update: () => undefined, stop: () => undefined }),
  signal: io.signal,
} as unknown as Parameters<typeof withCrops>[1];

beforeAll(async () => {
  const dense = buildNet("edsr", { scale: 2, blocks: 1, width: 8, seed: 2 });
  const small = basis({ splits: 2, basis: 6 })(dense).graph;
  for (const [name, graph] of [
    ["original", dense],
    ["start", small],
    ["last", small],
  ] as const)
    await saveModel(graph, join(folder, `${name}.onnx`));
  await writePng(join(data, "a.png"), someImage(120, 90, { seed: 1 }));
  await writePng(join(data, "b_grey.png"), someImage(50, 64, { seed: 2, channels: 1 }));
  await writePng(join(data, "c.png"), someImage(80, 80, { seed: 3 }));
  const recipe = parseRecipe({
    name: "pictures",
    network: { name: "edsr" },
    data: { name: "pairs", folder: data, test: data, scale: 2, range: 255 },
  });
  writeFileSync(join(folder, "recipe.json"), JSON.stringify(recipe));
  writeFileSync(join(folder, "original.json"), JSON.stringify({ psnr: 31.5 }));
  const [step, epoch] = [
    { kind: "step", globalStep: 1, loss: 9.87654321, distillation: 3, task: 2, rate: 0.00005 },
    { kind: "epoch", epoch: 1, globalStep: 1, metrics: { psnr: 28.123456, bicubicPsnr: 30.25 }, best: true },
  ];
  writeFileSync(join(folder, "metrics.jsonl"), `${JSON.stringify(step)}\n${JSON.stringify(epoch)}\n`);
});
afterAll(() => rmSync(folder, { recursive: true }));

test("the first two test pictures are shown as every model makes them, with the PSNR that evaluate gives", async () => {
  const { crops = [], states } = await withCrops(await readRun(folder), context);
  expect(states.map(({ metrics }) => metrics.psnr)).toEqual([31.5, undefined, 28.123456]);
  expect(crops.map(({ picture }) => picture)).toEqual(["a", "b grey"]);
  const labels = ["truth", "bicubic", "before", "compressed", "trained"];
  for (const { panels } of crops) expect(panels.map(({ label }) => label)).toEqual(labels);
  const evaluated = await evaluateModel(join(folder, "last.onnx"), { data, scale: 2, range: 255, latency: false });
  const [a] = (evaluated as Required<typeof evaluated>).perImage;
  expect(crops[0]!.panels[4]!.psnr).toBeCloseTo(a!.psnr, 3);
  expect(crops[0]!.panels[1]!.psnr).toBeCloseTo(a!.bicubic.psnr, 3);
  // The truth's piece is where the mark on the whole picture says, pixel for pixel.
  const { piece, panels } = crops[0]!;
  const shown = await decodeImage(Buffer.from(panels[0]!.url.split(",")[1]!, "base64"));
  const [left, top] = [Math.round(1.2 * piece.left), Math.round(0.9 * piece.top)];
  const truth = someImage(120, 90, { seed: 1 });
  expect([shown.width, shown.height]).toEqual([72, 72]);
  for (const [x, y] of [
    [0, 0],
    [71, 3],
    [40, 71],
  ] as const)
    expect(shown.data[y * 72 + x]).toBe(truth.data[(top + y) * 120 + left + x]);
});

test("without a compression only the trained model is shown; with the pictures gone the page says so and is written", async () => {
  const { models: all, ...rest } = await readRun(folder);
  const { start: _, ...models } = all;
  const plain = await withCrops({ ...rest, models }, context);
  expect(plain.crops![0]!.panels.map(({ label }) => label)).toEqual(["truth", "bicubic", "trained"]);
  const data = { ...rest.recipe!.data, test: join(folder, "gone") };
  said = "";
  const none = await withCrops({ ...rest, recipe: { ...rest.recipe!, data }, models }, context);
  expect(none.crops).toBe(undefined);
  expect(said).toContain("no pictures in the report");
});

const executablePath = chromium();
test.skipIf(executablePath === undefined)(
  `in a browser the pieces are shown, and no label of a chart is cut off${executablePath ? "" : ` (skipped: ${noBrowser})`}`,
  async () => {
    expect(await report.run([folder, "--no-times"], io)).toBe(0);
    expect(readFileSync(join(folder, "report.html"), "utf8")).not.toMatch(/(?:src|href)="(?!data:)/);
    const browser = await playwright.launch({ executablePath: executablePath!, args: ["--no-sandbox"] });
    try {
      for (const width of [1100, 390]) {
        const tab = await browser.newPage({ viewport: { width, height: 800 } });
        await tab.goto(pathToFileURL(join(folder, "report.html")).href);
        const seen = await tab.evaluate(() => ({
          page: document.documentElement.scrollWidth,
          pieces: [...document.querySelectorAll<HTMLImageElement>(".pieces img")].map(
            ({ naturalWidth }) => naturalWidth,
          ),
          cut: [...document.querySelectorAll("svg")]
            .filter((svg) => svg.getBoundingClientRect().width > 0)
            .flatMap((svg) =>
              [...svg.querySelectorAll("text")].filter((text) => {
                const [inner, outer] = [text.getBoundingClientRect(), svg.getBoundingClientRect()];
                return inner.left < outer.left - 0.5 || inner.right > outer.right + 0.5;
              }),
            )
            .map((text) => text.textContent),
          titles: [...document.querySelectorAll("figcaption b")].map((title) => title.textContent),
        }));
        expect(seen.page).toBeLessThanOrEqual(width);
        expect(seen.pieces).toEqual([120, 72, 72, 72, 72, 72, 50, 50, 50, 50, 50, 50]);
        expect(seen.cut).toEqual([]);
        expect(seen.titles).not.toContain("bicubicPsnr on the test data"); // a line in the chart of PSNR
        await tab.close();
      }
    } finally {
      await browser.close();
    }
  },
);

// The report page of a small run: what it says against the run's files, and what a browser shows against the metrics.
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { type Browser, type Page, chromium as playwright } from "playwright-core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import report from "../src/cli/report.js";
import { readRun } from "../src/cli/report-run.js";
import { basis } from "../src/methods/basis.js";
import { resnet } from "../src/nets/resnet.js";
import { cost } from "../src/ops/cost/cost.js";
import { saveModel } from "../src/runtime/files.js";
import { chromium, noBrowser } from "./browser.js";

const folder = mkdtempSync(join(tmpdir(), "filterbasis-report-"));
const page = join(folder, "report.html");
const steps = Array.from({ length: 60 }, (_, i) => ({
  kind: "step",
  globalStep: i + 1,
  loss: 3 * 0.9 ** i + 0.01,
  task: 3 * 0.9 ** i,
  approximation: 0.01,
  rate: i < 30 ? 0.1 : 0.01,
}));
const epochs = Array.from({ length: 6 }, (_, i) => ({
  kind: "epoch",
  epoch: i + 1,
  globalStep: 10 * (i + 1),
  trainLoss: 1,
  metrics: { top1Error: 40 / (i + 1) },
  seconds: i,
}));

beforeAll(async () => {
  const dense = resnet(8, { seed: 3 });
  await saveModel(dense, join(folder, "original.onnx"));
  const { graph: small } = basis({ keepParams: 0.5 })(dense);
  await saveModel(small, join(folder, "start.onnx"));
  await saveModel(small, join(folder, "last.onnx"));
  writeFileSync(join(folder, "start.json"), JSON.stringify({ top1Error: 60 }));
  writeFileSync(
    join(folder, "metrics.jsonl"),
    [...steps, ...epochs].map((line) => `${JSON.stringify(line)}\n`).join(""),
  );
  writeFileSync(join(folder, "recipe.json"), JSON.stringify({ name: "a <b> recipe", seed: 3 }));
  writeFileSync(join(folder, "run.json"), JSON.stringify({ seed: 3, versions: { node: "v20", libtorch: "1.13.0" } }));
  const silent = { write: () => undefined };
  expect(await report.run([folder], { stdout: silent, stderr: silent, signal: new AbortController().signal })).toBe(0);
});
afterAll(() => rmSync(folder, { recursive: true }));

test("every compressed layer has its splits, basis, rate and error, and an unlearned one errs as when it was compressed", async () => {
  const { layers } = (await readRun(folder)).report;
  expect(layers.length).toBeGreaterThanOrEqual(2);
  for (const { splits, basisSize, shape, rate, errorBefore, errorAfter, pictures } of layers) {
    const [n, c, h, w] = shape as [number, number, number, number];
    expect(rate).toBeCloseTo(basisSize / (n * splits) + (basisSize * splits) / (c * h * w), 12); // Eq. 6
    expect(errorAfter).toBeCloseTo(errorBefore!, 5); // float32 against the decomposition's doubles
    expect(pictures?.basis).toMatch(/^data:image\/bmp;base64,/);
  }
});

test("the page fetches nothing, runs nothing and escapes what it quotes", () => {
  const html = readFileSync(page, "utf8");
  expect(html).toContain("a &lt;b&gt; recipe");
  expect(html).not.toMatch(/<script|<link|https?:\/\/(?!www\.w3\.org)/);
  expect(html.match(/(?:src|href)="(?!data:)[^"]*"/g)).toBeNull();
});

test("before, compressed and trained have the metrics that the run measured and what can be counted in its models", async () => {
  const { states } = (await readRun(folder)).report;
  const dense = cost(resnet(8, { seed: 3 }));
  expect(states.map(({ name }) => name)).toEqual(["before", "compressed", "trained"]);
  expect(states.map(({ metrics }) => metrics.top1Error)).toEqual([undefined, 60, epochs.at(-1)!.metrics.top1Error]);
  expect(states[0]!.metrics.weights).toBe(dense.weights);
  expect(states[2]!.metrics.weights! / dense.weights).toBeLessThanOrEqual(0.5);
});

test("a summary that the run wrote itself is taken as it is", async () => {
  const other = mkdtempSync(join(tmpdir(), "filterbasis-report-"));
  writeFileSync(join(other, "metrics.jsonl"), "");
  writeFileSync(
    join(other, "summary.json"),
    JSON.stringify({ before: { psnr: 30 }, trained: { psnr: 29.5, bytes: 1100 } }),
  );
  const { states } = (await readRun(other)).report;
  expect(states).toEqual([
    { name: "before", metrics: { psnr: 30 } },
    { name: "trained", metrics: { psnr: 29.5, bytes: 1100 } },
  ]);
  rmSync(other, { recursive: true });
});

test("the times of layers and models stand in their tables", () => {
  const html = readFileSync(page, "utf8");
  expect(html).toContain("ms<br>now");
  expect(html).toMatch(/<th>latency<\/th><td>[\d.]+ ms<\/td>/);
});

test("a folder without a run is refused", async () => {
  await expect(readRun(tmpdir())).rejects.toMatchObject({ code: "not-found" });
});

const executablePath = chromium();
describe.skipIf(executablePath === undefined)(`in a browser${executablePath ? "" : ` (skipped: ${noBrowser})`}`, () => {
  let browser: Browser;
  const open = async (options: Parameters<Browser["newPage"]>[0]): Promise<Page> => {
    const tab = await browser.newPage(options);
    await tab.goto(pathToFileURL(page).href);
    return tab;
  };
  beforeAll(async () => {
    browser = await playwright.launch({ executablePath: executablePath!, args: ["--no-sandbox"] });
  });
  afterAll(() => browser?.close());

  test("the plotted values, read back by the axes, are those of the metrics file", async () => {
    const tab = await open({ viewport: { width: 1200, height: 900 } });
    const loss = await tab.evaluate(readChart, { figure: "loss" });
    expect(loss.log).toBe(true);
    expect(loss.lines).toHaveLength(3);
    const points = loss.lines[0]!;
    expect(points).toHaveLength(steps.length);
    for (const [index, { globalStep, loss: value }] of steps.entries()) {
      expect(points[index]!.x).toBeCloseTo(globalStep, 1);
      expect(Math.log(points[index]!.y / value)).toBeCloseTo(0, 2);
    }
    const figure = await tab.evaluate(readChart, { figure: "figure-top1Error" });
    expect(figure.lines[0]).toHaveLength(epochs.length);
    for (const [index, { epoch, metrics }] of epochs.entries()) {
      expect(figure.lines[0]![index]!.x).toBeCloseTo(epoch, 2);
      expect(figure.lines[0]![index]!.y).toBeCloseTo(metrics.top1Error, 1);
    }
    await tab.close();
  });

  test("nothing is wider than a phone, and the narrow charts are the ones that show", async () => {
    const tab = await open({ viewport: { width: 360, height: 780 } });
    const seen = await tab.evaluate(() => ({
      page: document.documentElement.scrollWidth,
      wide: document.querySelector("#loss .wide")!.getBoundingClientRect().width,
      narrow: document.querySelector("#loss .narrow")!.getBoundingClientRect().width,
    }));
    expect(seen.page).toBeLessThanOrEqual(360);
    expect(seen.wide).toBe(0);
    expect(seen.narrow).toBeGreaterThan(300);
    await tab.close();
  });

  test("dark mode has light letters and lines on a dark page; paper is white", async () => {
    const luminance = (text: string) =>
      text
        .match(/\d+/g)!
        .slice(0, 3)
        .map(Number)
        .reduce((sum, part) => sum + part, 0) / 765;
    const read = async (options: Parameters<Browser["newPage"]>[0], media?: "print") => {
      const tab = await open(options);
      if (media) await tab.emulateMedia({ media });
      const colors = await tab.evaluate(() => {
        const line = document.querySelector("#loss .wide g.line")!;
        const body = getComputedStyle(document.body);
        return { paper: body.backgroundColor, ink: body.color, line: getComputedStyle(line).stroke };
      });
      await tab.close();
      return { paper: luminance(colors.paper), ink: luminance(colors.ink), line: luminance(colors.line) };
    };
    const light = await read({ colorScheme: "light" });
    const dark = await read({ colorScheme: "dark" });
    const paper = await read({ colorScheme: "dark" }, "print");
    expect(light.paper - light.ink).toBeGreaterThan(0.7);
    expect(dark.ink - dark.paper).toBeGreaterThan(0.7);
    expect(dark.line - dark.paper).toBeGreaterThan(0.4);
    expect(paper.paper).toBe(1);
    expect(paper.ink).toBe(0);
  });

  test("the images of bases and filters are shown", async () => {
    const tab = await open({});
    const sizes = await tab.evaluate(() =>
      [...document.querySelectorAll<HTMLImageElement>("details[open] .filters img")].map((image) => image.naturalWidth),
    );
    expect(sizes.length).toBeGreaterThanOrEqual(3);
    for (const size of sizes) expect(size).toBeGreaterThan(4);
    await tab.close();
  });
});

/** Runs in the page: the points of a chart's lines, turned back into values by the labelled ticks of its axes. */
function readChart({ figure }: { figure: string }) {
  const svg = document.querySelector(`#${figure} .wide svg`)!;
  const ticks = (axis: "x" | "y") =>
    [...svg.querySelectorAll(`g[aria-label="${axis}-axis tick label"] text`)]
      .map((text) => {
        const [, x, y] = /translate\(([-\d.e]+),([-\d.e]+)\)/.exec(text.getAttribute("transform")!)!;
        return {
          at: Number(axis === "x" ? x : y),
          value: text.textContent === "" ? Number.NaN : Number(text.textContent!.replace("−", "-")),
        };
      })
      .filter(({ value }) => !Number.isNaN(value));
  const inverse = (found: { at: number; value: number }[]) => {
    const [a, b] = [found[0]!, found.at(-1)!];
    const middle = found[Math.floor(found.length / 2)]!;
    const line = (from: number, to: number) => (at: number) => from + ((at - a.at) / (b.at - a.at)) * (to - from);
    const [plain, logs] = [line(a.value, b.value), line(Math.log(a.value), Math.log(b.value))];
    const log =
      found.length > 2 && a.value > 0 && Math.abs(plain(middle.at) - middle.value) > 1e-6 * Math.abs(middle.value);
    return { log, value: (at: number) => (log ? Math.exp(logs(at)) : plain(at)) };
  };
  const [x, y] = [inverse(ticks("x")), inverse(ticks("y"))];
  const lines = [...svg.querySelectorAll("g.line path")].map((path) =>
    [...path.getAttribute("d")!.matchAll(/[ML]([-\d.e]+),([-\d.e]+)/g)].map(([, px, py]) => ({
      x: x.value(Number(px)),
      y: y.value(Number(py)),
    })),
  );
  return { log: y.log, lines };
}

// The report of a compressed file: from what `compress` kept, from its JSON, and from the file alone; and what a
// browser shows of it.
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { parseHTML } from "linkedom";
import { chromium as playwright } from "playwright-core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import compress from "../src/cli/compress.js";
import type { Command } from "../src/cli/frame.js";
import report from "../src/cli/report.js";
import { ints, makeNode } from "../src/graph/attributes.js";
import type { Graph } from "../src/graph/types.js";
import { type CompressionReport, compressionPage } from "../src/report/compression.js";
import { saveModel } from "../src/runtime/files.js";
import { chromium, noBrowser } from "./browser.js";
import { writePhotos } from "./photo-network.js";
import { randomTensor, smallGraph } from "./small-graphs.js";

let folder: string;
const cache = process.env.FILTERBASIS_CACHE;
const at = (name: string) => join(folder, name);

/** An image to an image of its size. */
function filtering(): Graph {
  const pads = { pads: ints([1, 1, 1, 1]) };
  return smallGraph({
    nodes: [
      makeNode("Conv", ["x", "w1"], ["a"], pads, { name: "first" }),
      makeNode("Relu", ["a"], ["b"]),
      makeNode("Conv", ["b", "w2"], ["c"], pads, { name: "<second>" }),
      makeNode("Relu", ["c"], ["d"]),
      makeNode("Conv", ["d", "w3"], ["e"], pads, { name: "third" }),
      makeNode("Sigmoid", ["e"], ["y"]),
    ],
    initializers: {
      w1: randomTensor([32, 3, 3, 3], 1),
      w2: randomTensor([32, 32, 3, 3], 2),
      w3: randomTensor([3, 32, 3, 3], 3),
    },
    inputs: [{ name: "x", tensor: { type: "float32", dims: ["N", 3, 32, 32] } }],
    outputs: ["y"],
  });
}

async function ask(command: Command, ...line: readonly string[]) {
  let [stdout, stderr] = ["", ""];
  const code = await command.run([...line, "--json"], {
    stdout: { write: (text) => void (stdout += text) },
    stderr: { write: (text) => void (stderr += text) },
    signal: new AbortController().signal,
  });
  return { code, stderr, stdout, json: JSON.parse(stdout) };
}

let printed: string;
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "filterbasis-report-compression-"));
  process.env.FILTERBASIS_CACHE = at("cache");
  await saveModel(filtering(), at("model.onnx"));
  await writePhotos(at("images"), 12);
  const line = ["--keep-params", "0.5", "--data", at("images"), "--threads", "1"];
  const made = await ask(compress, at("model.onnx"), "-o", at("small.onnx"), ...line);
  expect(made.code, made.stderr).toBe(0);
  printed = made.stdout;
  writeFileSync(at("small.json"), printed);
}, 60_000);
afterAll(() => {
  if (cache === undefined) delete process.env.FILTERBASIS_CACHE;
  else process.env.FILTERBASIS_CACHE = cache;
  rmSync(folder, { recursive: true, force: true });
});

describe("the report of a compressed file", () => {
  test("has before and after, what was lost, every layer, and what both networks make of three images", async () => {
    const { code, json, stderr } = await ask(report, at("small.onnx"));
    expect(code, stderr).toBe(0);
    expect(json).toMatchObject({ file: at("small.html"), layers: 3, pictures: 3 });
    const kept = JSON.parse(printed);
    expect(json.states.map(({ metrics }: { metrics: object }) => metrics)).toEqual([
      { ...counts(kept.before), latencyMs: kept.milliseconds.original },
      { ...counts(kept), latencyMs: kept.milliseconds.written },
    ]);
    const { document } = parseHTML(readFileSync(at("small.html"), "utf8"));
    expect(document.querySelectorAll("#layers tbody tr")).toHaveLength(3);
    expect(document.querySelector("#layers")!.textContent).toContain("<second>");
    expect(document.querySelector("#outputs")!.textContent).toContain("(relative error)");
    expect(document.querySelectorAll(".pieces img")).toHaveLength(9);
    expect(document.querySelector("script, link")).toBeNull();
  });

  test("is the same from what `compress --json` printed, and a file of something else is refused", async () => {
    await ask(report, at("small.onnx"), "-o", at("a.html"));
    await ask(report, at("small.onnx"), "-o", at("b.html"), "--record", at("small.json"));
    expect(readFileSync(at("b.html"), "utf8")).toBe(readFileSync(at("a.html"), "utf8"));
    writeFileSync(at("other.json"), "{}");
    const wrong = await ask(report, at("small.onnx"), "--record", at("other.json"));
    expect(wrong.json.error).toMatchObject({ code: "malformed" });
    const folderOnly = await ask(report, folder, "--record", at("small.json"));
    expect(folderOnly.json.error.code).toBe("usage");
  });

  test("tells of the file's own records where nothing is kept, and draws where model and images are named", async () => {
    process.env.FILTERBASIS_CACHE = at("empty");
    try {
      const { code, json, stderr } = await ask(report, at("small.onnx"), "-o", at("bare.html"));
      expect(code, stderr).toBe(0);
      expect(stderr).toMatch(/nothing that was measured of .* is kept here/);
      expect(json.layers).toBeGreaterThan(0);
      const named = ["--original", at("model.onnx"), "--data", at("images")];
      expect((await ask(report, at("small.onnx"), "-o", at("bare.html"), ...named)).json).toMatchObject({
        pictures: 3,
        states: [{ name: "original" }, { name: "compressed" }],
      });
    } finally {
      process.env.FILTERBASIS_CACHE = at("cache");
    }
  });

  test("is written where the images are gone, with a word about it", async () => {
    const gone = await ask(report, at("small.onnx"), "-o", at("gone.html"), "--data", at("nowhere"));
    expect(gone.json, gone.stderr).toMatchObject({ layers: 3, pictures: 0 });
    expect(gone.stderr).toMatch(/no pictures in the report/);
  });
});

const counts = ({ weights, macs, bytes }: { weights: number; macs: number; bytes: number }) => ({
  weights,
  macs,
  bytes,
});

/** A report of everything that there can be. */
const full: CompressionReport = {
  title: "small.onnx",
  about: ["calibrated on 16 images"],
  states: [
    { name: "original", metrics: { weights: 1e6, macs: 2e9, bytes: 4e6, latencyMs: 30 } },
    { name: "compressed", metrics: { weights: 5e5, macs: 9e8, bytes: 2e6, latencyMs: 19 } },
  ],
  lost: {
    text: "y lost 0.012 +- 0.002 (1 - IoU)",
    outputs: [{ output: "y", loss: "0.012 (1 - IoU)", relative: 0.1, correlation: 0.99, more: "IoU 0.988" }],
  },
  curve: {
    predicted: Array.from({ length: 12 }, (_, i) => ({ milliseconds: 10 + 1.8 * i, loss: 3 * 0.7 ** i })),
    measured: [
      { milliseconds: 24, loss: 0.4, measured: 0.004 },
      { milliseconds: 16, loss: 1.2, measured: 0.04 },
    ],
    chosen: { milliseconds: 19, loss: 0.8, measured: 0.012 },
    lossName: "1 - IoU",
  },
  layers: Array.from({ length: 4 }, (_, i) => ({
    name: `/features/features.${i}/conv/Conv`,
    filters: [64, 64, 3, 3],
    factors: i === 3 ? "dense" : "separable 24",
    weights: 9216,
    macs: 1.2e8,
    error: 0.0123,
    refit: "refitted",
    milliseconds: { original: 1.234, written: 0.6 },
  })),
  skipped: [{ name: "depthwise", reason: "it is a grouped convolution" }],
  pictures: [],
};

test("the page has the curve, the measured networks and the chosen one", () => {
  const { document } = parseHTML("<!doctype html><html><body></body></html>");
  const page = parseHTML(compressionPage(full, document as unknown as Document)).document;
  expect(page.querySelector("#curve figcaption")!.textContent).toMatch(/predicted.*measured.*chosen/s);
  const wide = page.querySelector("#curve .wide")!;
  expect(wide.querySelectorAll("circle")).toHaveLength(3);
  expect(page.querySelector("#measured .wide")!.querySelectorAll("circle")).toHaveLength(3);
  expect(page.querySelector("#measured .wide")!.querySelectorAll("g.line, path.line")).toHaveLength(0);
  expect(page.body.textContent).toContain("it is a grouped convolution");
});

const executablePath = chromium();
describe.skipIf(executablePath === undefined)(`in a browser${executablePath ? "" : ` (skipped: ${noBrowser})`}`, () => {
  test.each([1280, 390])(
    "a window %d wide shows all of it without scrolling sideways",
    { timeout: 60_000 },
    async (width) => {
      const { document } = parseHTML("<!doctype html><html><body></body></html>");
      const url = `data:image/svg+xml,${encodeURIComponent("<svg xmlns='http://www.w3.org/2000/svg' width='40' height='40'/>")}`;
      const panels = ["input", "original", "compressed"].map((label) => ({ label, url }));
      const html = compressionPage(
        { ...full, pictures: [{ caption: "image 1", panels }] },
        document as unknown as Document,
      );
      writeFileSync(at("full.html"), html);
      const browser = await playwright.launch({ executablePath: executablePath!, args: ["--no-sandbox"] });
      try {
        const page = await browser.newPage({ viewport: { width, height: 900 } });
        await page.goto(pathToFileURL(at("full.html")).href);
        expect(await page.evaluate(() => document.documentElement.scrollWidth)).toBeLessThanOrEqual(width);
        expect(await page.locator("figure svg:visible").count()).toBe(2);
        expect(await page.locator("#layers tbody tr").count()).toBe(4);
        expect(await page.locator(".pieces img:visible").count()).toBe(3);
      } finally {
        await browser.close();
      }
    },
  );
});

// What a visitor sees of masks, of classes and of eight bits: both networks' masks over the picture, both lists, the
// precision of every layer. In headless Chromium; some twenty seconds a network, so only on request: npm run test:page
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { writeModel } from "../src/formats/onnx/index.js";
import { float32Tensor, int, ints, makeNode } from "../src/graph/attributes.js";
import type { Graph, TensorData } from "../src/graph/types.js";
import { Random } from "../src/linalg/random.js";
import { quantizedForTiming } from "../src/passes/quantize/for-timing.js";
import { chromium, noBrowser } from "./browser.js";
import { buildPage, type Opened, openBrowser, openModel, settled, watch } from "./page-driver.js";
import { smallGraph } from "./small-graphs.js";

const root = fileURLToPath(new URL("..", import.meta.url));
const executablePath = chromium();
const why =
  executablePath === undefined ? noBrowser : process.env.FILTERBASIS_FULL ? undefined : "long: npm run test:page";
const [side, width] = [96, 64];

/** Filters [n, c, 3, 3] that are combinations of a few: a basis replaces them without loss. */
function fewFilters(n: number, c: number, count: number, seed: number): TensorData {
  const random = new Random(seed);
  const size = 9 * c;
  const basis = Array.from({ length: count }, () => Float64Array.from({ length: size }, () => random.normal()));
  const values = new Float32Array(n * size);
  for (let o = 0; o < n; o++)
    for (const one of basis) {
      const share = random.normal() / Math.sqrt(count * size);
      for (let i = 0; i < size; i++) values[o * size + i]! += share * one[i]!;
    }
  return float32Tensor([n, c, 3, 3], values);
}

/** Two convolutions of little rank, and what makes an output of them. */
function network(name: string, head: Pick<Graph, "nodes" | "initializers">): Graph {
  const same = { pads: ints([1, 1, 1, 1]) };
  const nodes = [
    makeNode("Conv", ["x", "a"], ["a1"], same, { name: "first" }),
    makeNode("Relu", ["a1"], ["a2"]),
    makeNode("Conv", ["a2", "b"], ["b1"], same, { name: "second" }),
    makeNode("Relu", ["b1"], ["b2"]),
    makeNode("Conv", ["b2", "c"], ["c1"], same, { name: "third" }),
    makeNode("Relu", ["c1"], ["features"]),
  ];
  const weights = {
    a: fewFilters(width, 3, 27, 1),
    b: fewFilters(width, width, 4, 2),
    c: fewFilters(width, width, 4, 3),
  };
  const graph = smallGraph({
    nodes: [...nodes, ...head.nodes],
    initializers: { ...weights, ...Object.fromEntries(head.initializers) },
    inputs: [{ name: "x", tensor: { type: "float32", dims: [1, 3, side, side] } }],
    outputs: ["y"],
  });
  return { ...graph, name };
}

const random = (dims: readonly number[], scale: number, seed: number): TensorData => {
  const source = new Random(seed);
  const count = dims.reduce((product, dim) => product * dim, 1);
  return float32Tensor(
    dims,
    Float32Array.from({ length: count }, () => scale * source.normal()),
  );
};

/** Of mostly zeros and ones: what is large before the sigmoid. */
const mask = network("mask", {
  nodes: [makeNode("Conv", ["features", "d"], ["d1"]), makeNode("Sigmoid", ["d1"], ["y"])],
  initializers: new Map([["d", random([1, width, 1, 1], 2000, 4)]]),
});
const classes = network("classes", {
  nodes: [
    makeNode("GlobalAveragePool", ["features"], ["p"]),
    makeNode("Flatten", ["p"], ["f"], { axis: int(1) }),
    makeNode("Gemm", ["f", "g"], ["y"]),
  ],
  initializers: new Map([["g", random([width, 10], 1, 5)]]),
});

describe.skipIf(why !== undefined)(`what is compared${why ? ` (skipped: ${why})` : ""}`, () => {
  const folder = mkdtempSync(join(tmpdir(), "filterbasis-views-"));
  let open: Opened;
  beforeAll(async () => {
    await buildPage(folder);
    open = await openBrowser(folder, executablePath!);
  }, 120_000);
  afterAll(async () => {
    await open?.close();
    rmSync(folder, { recursive: true, force: true });
  });

  async function compressed(graph: Graph): Promise<{ readonly page: Page; readonly faults: readonly string[] }> {
    const page = await open.browser.newPage();
    const faults = watch(page, open.url);
    await page.goto(open.url);
    const pictures = ["life", "wine"].map((name) => join(root, `web/public/examples/${name}.webp`));
    await page.setInputFiles("#pictures", pictures);
    expect(await openModel(page, `${graph.name}.onnx`, writeModel(graph))).toContain(`${graph.name}.onnx`);
    await page.click("#measure");
    expect(await settled(page)).toBe("");
    await page.locator("#point").fill(String(await page.locator("#point").getAttribute("max")));
    await page.click("#compress");
    expect(await settled(page, 90_000)).toBe("");
    const { FILTERBASIS_SCREENSHOTS: shots } = process.env;
    if (shots) await page.screenshot({ path: join(shots, `${graph.name}.png`), fullPage: true });
    return { page, faults };
  }

  test("a network of masks: both over the picture, and their IoU", async () => {
    const { page, faults } = await compressed(mask);
    const captions = await page.locator("#comparison figcaption").allTextContents();
    expect(captions).toEqual(["The original's mask", "The compressed network's mask"]);
    expect(await page.locator("#comparison canvas").count()).toBe(2);
    expect(await page.textContent("#agreement")).toContain("1 - IoU");
    expect(faults).toEqual([]);
    await page.close();
  }, 180_000);

  test("a network in eight bits: the precision of every layer", async () => {
    const page = await open.browser.newPage();
    const faults = watch(page, open.url);
    await page.goto(open.url);
    await openModel(page, "eight.onnx", writeModel(quantizedForTiming(classes)));
    const precisions = await page
      .locator("#layers tbody tr")
      .evaluateAll((rows) => rows.map(({ children }) => [children[0]!.textContent, children[4]!.textContent]));
    expect(precisions.slice(0, 3)).toEqual(["first", "second", "third"].map((name) => [name, "8 bits"]));
    expect(faults).toEqual([]);
    await page.close();
  }, 60_000);

  test("a network of classes: two lists of the five likeliest, each of a class and a share", async () => {
    const { page, faults } = await compressed(classes);
    const lists = page.locator("#comparison ol");
    expect(await lists.count()).toBe(2);
    for (const index of [0, 1]) {
      const lines = await lists.nth(index).locator("li").allTextContents();
      expect(lines).toHaveLength(5);
      for (const line of lines) expect(line).toMatch(/^class \d: [\d.]+ ?%$/);
    }
    expect(await page.textContent("#command")).toMatch(
      /^npx filterbasis compress classes.onnx -o classes-small.onnx --speedup [\d.]+ --data PICTURES --runtime web$/,
    );
    expect(await page.textContent("#snippet")).toMatch(/budget = \{ speedup: [\d.]+ \}/);
    expect(faults).toEqual([]);
    await page.close();
  }, 180_000);
});

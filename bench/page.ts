// The page in headless Chromium: networks compressed as a visitor would, against the original in WebAssembly; single
// convolutions there; the longest task of the main thread; how much is transferred. Run on a quiet machine:
// npx tsx bench/page.ts [MODEL.onnx ...]
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";
import type { Page } from "playwright-core";
import { writeModel } from "../src/formats/onnx/index.js";
import { layerGraph } from "../src/runtime/layer-graph.js";
import { chromium, noBrowser } from "../test/browser.js";
import { watchMemory } from "../test/browser-memory.js";
import { buildPage, openBrowser, openModel, settled } from "../test/page-driver.js";
import { writeResult } from "./result.js";

const root = fileURLToPath(new URL("..", import.meta.url));
const folder = mkdtempSync(join(tmpdir(), "filterbasis-bench-page-"));
const executablePath = chromium();
if (executablePath === undefined) throw new Error(noBrowser);
const others = process.argv.slice(2);
const minutes = 60_000;

/** A network compressed as the button does it, without a point chosen. */
async function network(page: Page, file: string, memory: ReturnType<typeof watchMemory>) {
  const empty = memory.begin();
  await openModel(page, file.split("/").at(-1)!, readFileSync(file));
  await page.evaluate(() => {
    const seen = { longest: 0 };
    new PerformanceObserver((list) => {
      for (const { duration } of list.getEntries()) seen.longest = Math.max(seen.longest, duration);
    }).observe({ entryTypes: ["longtask"] });
    const steps: [string, number][] = [];
    const label = document.getElementById("progress-label")!;
    new MutationObserver(() => steps.push([label.textContent ?? "", performance.now()])).observe(label, {
      ...{ childList: true, characterData: true, subtree: true },
    });
    Object.assign(globalThis, { seen, steps });
  });
  const memorySaid = await page.textContent("#memory");
  const begun = performance.now();
  await page.click("#faster");
  const refused = await settled(page, 9 * minutes);
  const seconds = Math.round((performance.now() - begun) / 1000);
  const numbers = await page.evaluate(() =>
    Object.fromEntries(
      [...document.querySelectorAll("#numbers > div")].map((one) => [
        one.children[0]?.textContent,
        one.children[1]?.textContent,
      ]),
    ),
  );
  const longestMainThreadTask = await page.evaluate(
    () => (globalThis as unknown as { seen: { longest: number } }).seen.longest,
  );
  const megabytes = Math.round((memory.most() - empty) / 1e6);
  const secondsOf = await page.evaluate(secondsOfSteps);
  const headline = refused === "" ? { result: await page.textContent("#headline"), ...numbers } : { refused };
  return {
    network: file.split("/").at(-1),
    seconds,
    secondsOf,
    ...headline,
    longestMainThreadTask,
    memorySaid,
    megabytes,
  };
}

/** In the page: seconds of each step that the bar named, added up where a step came twice. */
function secondsOfSteps(): Record<string, number> {
  const { steps } = globalThis as unknown as { steps: [string, number][] };
  const sums: Record<string, number> = {};
  for (const [i, [name, begun]] of steps.entries()) {
    const passed = (steps[i + 1]?.[1] ?? performance.now()) - begun;
    sums[name] = Math.round(10 * (sums[name] ?? 0) + passed / 100) / 10;
  }
  return sums;
}

/** Milliseconds of one convolution, by as many multiply-accumulates, of kernels 3 x 3 and 1 x 1. */
async function convolutions(page: Page, url: string) {
  const library = join(dirname(fileURLToPath(import.meta.resolve("onnxruntime-web"))), "ort.wasm.bundle.min.mjs");
  await page.route(`${url}bench/ort.mjs`, (route) =>
    route.fulfill({ body: readFileSync(library), contentType: "text/javascript" }),
  );
  const shapes = [
    { kernel: 3, channels: 64, side: 64 },
    { kernel: 1, channels: 192, side: 64 },
    { kernel: 3, channels: 32, side: 128 },
    { kernel: 1, channels: 96, side: 128 },
  ];
  const found: object[] = [];
  for (const { kernel, channels, side } of shapes) {
    const graph = layerGraph({
      ...{ input: [1, channels, side, side], shape: [channels, channels, kernel, kernel] },
      ...{ attributes: {}, type: "float32", opset: 17 },
    });
    const milliseconds = await page.evaluate(timeInPage, {
      address: `${url}bench/ort.mjs`,
      ort: `${url}ort/`,
      model: [...writeModel(graph)],
      dims: [1, channels, side, side],
    });
    const inner = side - kernel + 1;
    const macs = inner * inner * channels * channels * kernel * kernel;
    found.push({
      kernel: `${kernel} x ${kernel}`,
      channels,
      side,
      macs,
      milliseconds,
      gigaMacsPerSecond: macs / milliseconds / 1e6,
    });
  }
  return found;
}

/** In the page: the median of runs, one thread. */
async function timeInPage({
  address,
  ort,
  model,
  dims,
}: {
  address: string;
  ort: string;
  model: number[];
  dims: number[];
}) {
  const runtime = await import(address);
  runtime.env.wasm.wasmPaths = ort;
  runtime.env.wasm.numThreads = 1;
  const session = await runtime.InferenceSession.create(Uint8Array.from(model), { executionProviders: ["wasm"] });
  const size = dims.reduce((product, dim) => product * dim, 1);
  const x = new runtime.Tensor("float32", new Float32Array(size).fill(0.5), dims);
  const times: number[] = [];
  for (let i = 0; i < 25; i++) {
    const begun = performance.now();
    await session.run({ x });
    times.push(performance.now() - begun);
  }
  return times.slice(5).sort((a, b) => a - b)[10]!;
}

/** Bytes of the page's own files, as they are and as a host would compress them. */
function transfer() {
  const files = readdirSync(folder, { recursive: true }).map(String);
  const sizes = (wanted: RegExp) => {
    const own = files
      .filter((name) => wanted.test(name) && statSync(join(folder, name)).isFile())
      .map((name) => readFileSync(join(folder, name)));
    return {
      bytes: own.reduce((sum, { length }) => sum + length, 0),
      compressed: own.reduce((sum, one) => sum + gzipSync(one, { level: 9 }).length, 0),
    };
  };
  return {
    own: sizes(/^(index\.html|assets\/(?!ort\.).*\.(js|css))$/),
    ofThemForTheReport: sizes(/^assets\/compression-.*\.js$/),
    runtime: sizes(/^(ort\/.*threaded\.(mjs|wasm)|assets\/ort\.wasm.*)$/),
    runtimeWithWebGpu: sizes(/^(ort\/.*asyncify\.(mjs|wasm)|assets\/ort\.webgpu.*)$/),
    examples: sizes(/^(weights|examples)\//),
  };
}

try {
  await buildPage(folder);
  const { browser, url, close } = await openBrowser(folder, executablePath);
  const version = browser.version();
  const page = await browser.newPage({ serviceWorkers: "block" }); // whose own requests no test sees
  await page.goto(url);
  const place = await page.textContent("#place");
  const single = await convolutions(page, url);
  const networks: object[] = [];
  const memory = watchMemory(executablePath.split("/").at(-1)!);
  for (const file of [join(root, "weights/edsr-8-56-x2.onnx"), ...others]) {
    await page.reload();
    networks.push(await network(page, file, memory));
    // What was measured so far is kept, should a later network take too long.
    const metrics = { chromium: version, place, transfer: transfer(), convolutions: single, networks };
    await writeResult("bench-page", "npx tsx bench/page.ts", metrics);
  }
  memory.stop();
  await close();
} finally {
  rmSync(folder, { recursive: true, force: true });
}

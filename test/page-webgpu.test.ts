// The page with a GPU: the same network, measured there. Chromium computes WebGPU by SwiftShader on the processor,
// which takes a third of a second for a small convolution: that it works is tested, on images of a few pixels, and how fast
// it is says nothing. Only on request: npm run test:page
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { chromium as driver } from "playwright-core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { servePage } from "../src/cli/page-server.js";
import { writeModel } from "../src/formats/onnx/index.js";
import { chromium, noBrowser } from "./browser.js";
import { buildPage, openModel, settled, watch } from "./page-driver.js";
import { oneConv } from "./small-graphs.js";

const root = fileURLToPath(new URL("..", import.meta.url));
const executablePath = chromium();
const why =
  executablePath === undefined ? noBrowser : process.env.FILTERBASIS_FULL ? undefined : "long: npm run test:page";
const emulated = ["--enable-unsafe-webgpu", "--use-webgpu-adapter=swiftshader", "--enable-features=Vulkan"];

describe.skipIf(why !== undefined)(`the page with a GPU${why ? ` (skipped: ${why})` : ""}`, () => {
  const folder = mkdtempSync(join(tmpdir(), "filterbasis-webgpu-"));
  beforeAll(() => buildPage(folder), 120_000);
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  test("a network is measured on it, and times of the processor are not taken for those", async () => {
    const { server, url } = await servePage(folder, 0);
    const browser = await driver.launch({ executablePath: executablePath!, args: ["--no-sandbox", ...emulated] });
    try {
      const page = await browser.newPage({ serviceWorkers: "block" });
      const faults = watch(page, url);
      await page.goto(url);
      await page.setInputFiles("#pictures", join(root, "web/public/examples/life.webp"));
      const network = oneConv({ outChannels: 16, inChannels: 3, kernel: [3, 3] });
      const fixed = { ...network, inputs: [{ name: "x", tensor: { type: "float32" as const, dims: [1, 3, 8, 8] } }] };
      await openModel(page, "small.onnx", writeModel(fixed));
      expect(await page.locator("#device option").allTextContents()).toEqual([
        expect.stringContaining("WebAssembly"),
        "WebGPU",
      ]);
      await page.selectOption("#device", "webgpu");
      expect(await page.textContent("#place")).toBe("Here: WebGPU.");
      await page.click("#measure");
      expect(await settled(page, 200_000)).toBe("");
      const own = Number(/^([\d.]+) ms before/.exec((await page.textContent("#point-text")) ?? "")?.[1]);
      expect(own).toBeGreaterThan(0);
      await page.selectOption("#device", "wasm");
      expect(await page.textContent("#place")).toContain("WebAssembly");
      await page.click("#measure");
      expect(await settled(page, 60_000)).toBe("");
      const processor = Number(/^([\d.]+) ms before/.exec((await page.textContent("#point-text")) ?? "")?.[1]);
      expect(processor).toBeLessThan(own); // a convolution of 8 x 8 pixels, which a GPU is emulated for
      expect(faults).toEqual([]);
    } finally {
      await browser.close();
      server.closeAllConnections();
      server.close();
    }
  }, 300_000);
});

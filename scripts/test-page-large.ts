// A large network in the page, in headless Chromium: opens, plans and, calibrated on two pictures, compresses, with the
// minutes and the memory that it takes. usage: npx tsx scripts/test-page-large.ts [MODEL.onnx] (default: ISNet, 88 MB, as
// scripts/get-networks.mjs fetches it). Writes results/page-large.json.
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { fileURLToPath } from "node:url";
import { writeResult } from "../bench/result.js";
import { cacheFolder } from "../src/runtime/cache-folder.js";
import { chromium, noBrowser } from "../test/browser.js";
import { watchMemory } from "../test/browser-memory.js";
import { buildPage, openBrowser } from "../test/page-driver.js";

const root = fileURLToPath(new URL("..", import.meta.url));
const file = process.argv[2] ?? join(cacheFolder(), "isnet.onnx");
const executablePath = chromium();
const minute = 60_000;

async function run(model: string, browserPath: string): Promise<object> {
  const folder = mkdtempSync(join(tmpdir(), "filterbasis-page-large-"));
  const memory = watchMemory(browserPath.split("/").at(-1)!);
  try {
    await buildPage(folder);
    const { browser, url, close } = await openBrowser(folder, browserPath);
    const page = await browser.newPage();
    await page.goto(url);
    const empty = memory.begin();
    const step = async (begin: () => Promise<unknown>, what: string) => {
      memory.begin();
      const begun = performance.now();
      await begin();
      await page.waitForFunction(() => document.getElementById("progress")?.hidden === true, undefined, {
        timeout: 60 * minute,
      });
      const refused = await page.textContent("#failure");
      const minutes = Number(((performance.now() - begun) / minute).toFixed(2));
      const megabytes = Math.round((memory.most() - empty) / 1e6);
      console.log(`${what}: ${minutes} minutes, ${megabytes} MB beyond the empty page ${refused}`);
      return { minutes, megabytes, ...(refused ? { refused } : {}) };
    };
    const pictures = ["friends", "wine"].map((name) => join(root, `web/public/examples/${name}.webp`));
    await page.setInputFiles("#pictures", pictures);
    const opened = await step(async () => {
      await page.setInputFiles("#model", model);
      await page.waitForTimeout(500);
    }, "open");
    if ("refused" in opened) return { opened, chromium: browser.version() };
    const said = { network: await page.textContent("#opened-text"), memory: await page.textContent("#memory") };
    const planned = await step(() => page.click("#measure"), "plan");
    const compressed = await step(async () => {
      const point = page.locator("#point");
      await point.fill(String(Math.floor(Number(await point.getAttribute("max")) / 2)));
      await page.click("#compress");
    }, "compress");
    const result = { headline: await page.textContent("#headline"), numbers: await page.textContent("#numbers") };
    await close();
    return {
      ...said,
      opened,
      planned,
      compressed,
      ...result,
      chromium: browser.version(),
      emptyPageMegabytes: Math.round(empty / 1e6),
    };
  } finally {
    memory.stop();
    rmSync(folder, { recursive: true, force: true });
  }
}

if (executablePath === undefined) console.log(`skipped: ${noBrowser}`);
else if (!existsSync(file)) console.log(`skipped: there is no ${file} (node scripts/get-networks.mjs isnet)`);
else
  await writeResult(
    "page-large",
    `npx tsx scripts/test-page-large.ts ${basename(file)}`,
    await run(file, executablePath),
  );

// A large network in the page, in headless Chromium: opens, plans and, calibrated on two pictures, compresses, with the
// minutes and the memory that it takes. usage: npx tsx scripts/test-page-large.ts [MODEL.onnx] (default: ISNet, 88 MB, as
// scripts/get-networks.mjs fetches it). Writes results/page-large.json.
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { fileURLToPath } from "node:url";
import { writeResult } from "../bench/result.js";
import { cacheFolder } from "../src/runtime/cache-folder.js";
import { chromium, noBrowser } from "../test/browser.js";
import { buildPage, openBrowser } from "../test/page-driver.js";

const root = fileURLToPath(new URL("..", import.meta.url));
const file = process.argv[2] ?? join(cacheFolder(), "isnet.onnx");
const executablePath = chromium();
const minute = 60_000;

/** Bytes that the processes below a folder of user data hold together, as the system counts them. */
function residentBytes(marker: string): number {
  let sum = 0;
  for (const id of readdirSync("/proc").filter((name) => /^\d+$/.test(name))) {
    try {
      if (!readFileSync(`/proc/${id}/cmdline`, "utf8").includes(marker)) continue;
      sum += 1024 * Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${id}/status`, "utf8"))?.[1] ?? 0);
    } catch {
      // it ended meanwhile
    }
  }
  return sum;
}

async function run(model: string, browserPath: string): Promise<object> {
  const folder = mkdtempSync(join(tmpdir(), "filterbasis-page-large-"));
  let most = 0;
  const watching = setInterval(() => {
    most = Math.max(most, residentBytes(browserPath.split("/").at(-1)!));
  }, 1000);
  try {
    await buildPage(folder);
    const { browser, url, close } = await openBrowser(folder, browserPath);
    const page = await browser.newPage();
    await page.goto(url);
    const step = async (begin: () => Promise<unknown>, what: string) => {
      const begun = performance.now();
      await begin();
      await page.waitForFunction(() => document.getElementById("progress")?.hidden === true, undefined, {
        timeout: 60 * minute,
      });
      const refused = await page.textContent("#failure");
      const minutes = Number(((performance.now() - begun) / minute).toFixed(2));
      console.log(`${what}: ${minutes} minutes ${refused}`);
      return { minutes, ...(refused ? { refused } : {}) };
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
    return { ...said, opened, planned, compressed, ...result, chromium: browser.version(), mostResidentBytes: most };
  } finally {
    clearInterval(watching);
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

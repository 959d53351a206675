import { mkdtempSync, readFileSync } from "node:fs";
import { tmpdir } from "node:os"; import { join } from "node:path";
import { chromium } from "./test/browser.js";
import { buildPage, openBrowser, openModel, settled } from "./test/page-driver.js";
const folder = mkdtempSync(join(tmpdir(), "fb-ph-"));
await buildPage(folder);
const { browser, url, close } = await openBrowser(folder, chromium()!);
const page = await browser.newPage({ serviceWorkers: "block" });
await page.goto(url);
await openModel(page, "edsr-8-56-x2.onnx", readFileSync("weights/edsr-8-56-x2.onnx"));
await page.evaluate(`{
  const log = []; const t0 = performance.now(); globalThis.log = log;
  for (const [k, id] of [["STEP", "progress-label"], ["  note", "status"]])
    new MutationObserver(() => log.push(((performance.now() - t0) / 1000).toFixed(1) + " " + k + " " + document.getElementById(id).textContent)).observe(document.getElementById(id), { childList: true, characterData: true, subtree: true });
}`);
const t = performance.now();
await page.click("#faster");
await settled(page, 600000);
console.log((await page.evaluate(() => (globalThis as any).log)).join("\n"));
console.log(((performance.now() - t) / 1000).toFixed(1), await page.textContent("#headline"), await page.textContent("#numbers"));
await close();

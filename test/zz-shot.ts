import { readFileSync } from "node:fs";
import { chromium } from "./browser.js";
import { openBrowser, openModel, settled } from "./page-driver.js";

const open = await openBrowser("dist/web", chromium()!);
const page = await open.browser.newPage({ viewport: { width: 900, height: 800 } });
await page.goto(open.url);
await openModel(page, "edsr-8-56-x2.onnx", readFileSync("weights/edsr-8-56-x2.onnx"));
await page.click("#measure");
console.log(await settled(page, 300000));
const max = Number(await page.locator("#point").getAttribute("max"));
await page.locator("#point").fill(String(Math.round(max * 0.35)));
console.log(await page.textContent("#point-text"));
await page.click("#compress");
console.log(await settled(page, 300000));
console.log(
  await page.textContent("#headline"),
  await page.textContent("#numbers"),
  await page.textContent("#own-times"),
);
await page.screenshot({ path: "/tmp/w/pg/edsr.png", fullPage: true });
await open.close();

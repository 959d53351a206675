// The built page in headless Chromium, served as `filterbasis serve` does; for tests and benches.
import { fileURLToPath } from "node:url";
import { type Browser, chromium as driver, type Page } from "playwright-core";
import { build } from "vite";
import { servePage } from "../src/cli/page-server.js";

const root = fileURLToPath(new URL("..", import.meta.url));

/** Builds the page into a folder. */
export const buildPage = (outDir: string): Promise<unknown> =>
  build({ configFile: `${root}web/vite.config.ts`, logLevel: "silent", build: { outDir, emptyOutDir: true } });

export interface Opened {
  readonly browser: Browser;
  readonly url: string;
  close(): Promise<void>;
}

export async function openBrowser(folder: string, executablePath: string): Promise<Opened> {
  const { server, url } = await servePage(folder, 0);
  const browser = await driver.launch({ executablePath, args: ["--no-sandbox", "--disable-gpu"] });
  return {
    browser,
    url,
    async close() {
      await browser.close();
      server.closeAllConnections();
      server.close();
    },
  };
}

/** What the page did that it should not: faults, and requests that leave its own origin. */
export function watch(page: Page, url: string): readonly string[] {
  const faults: string[] = [];
  page.on("pageerror", (error) => faults.push(String(error)));
  page.on("console", (message) => {
    if (message.type() === "error") faults.push(message.text());
  });
  page.on("request", (request) => {
    if (!request.url().startsWith(url) && !/^(blob|data):/.test(request.url())) faults.push(`asked ${request.url()}`);
  });
  return faults;
}

/** Waits until the worker has nothing more to do; gives what the page says went wrong. */
export async function settled(page: Page, timeout = 60_000): Promise<string> {
  await page.waitForFunction(() => document.getElementById("progress")?.hidden === true, undefined, { timeout });
  return (await page.textContent("#failure")) ?? "";
}

/** Opens bytes as a file that was chosen; gives what the page says. */
export async function openModel(page: Page, name: string, bytes: Uint8Array): Promise<string> {
  await page.setInputFiles("#model", { name, mimeType: "application/octet-stream", buffer: Buffer.from(bytes) });
  await page.waitForFunction(
    () =>
      document.getElementById("progress")?.hidden === true &&
      (document.getElementById("opened")?.hidden === false || document.getElementById("failure")?.textContent !== ""),
  );
  return `${await page.textContent("#opened-text")}${await page.textContent("#failure")}`;
}

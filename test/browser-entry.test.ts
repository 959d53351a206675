// The browser entry point in a browser: bundled by vite without a trace of Node, it compresses a model inside a page of
// headless Chromium, and onnxruntime-web runs the result there.
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { createServer, type Server } from "node:http";
import { builtinModules } from "node:module";
import { tmpdir } from "node:os";
import { dirname, extname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { type Browser, chromium as driver } from "playwright-core";
import { build, type Rollup } from "vite";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { readModel, writeModel } from "../src/formats/onnx/index.js";
import { edsr } from "../src/nets/edsr.js";
import { resnet } from "../src/nets/resnet.js";
import { cost } from "../src/ops/index.js";
import { chromium, noBrowser } from "./browser.js";
import type { PageResult } from "./browser-page/main.js";

const root = fileURLToPath(new URL("..", import.meta.url));
const folder = mkdtempSync(join(tmpdir(), "filterbasis-browser-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** Bundles an entry for browsers; returns every module that went in, and what the bundle still imports. */
async function bundle(
  entry: string,
  outDir: string,
): Promise<{ readonly modules: readonly string[]; readonly imported: readonly string[] }> {
  const modules: string[] = [];
  const imported: string[] = [];
  await build({
    root,
    configFile: false,
    logLevel: "error",
    resolve: {
      conditions: ["onnxruntime-web-use-extern-wasm", "module", "browser", "import"],
      alias: { "filterbasis/browser": join(root, "src/browser.ts") },
    },
    build: {
      outDir,
      emptyOutDir: true,
      target: "es2022",
      lib: { entry: join(root, entry), formats: ["es"], fileName: () => "main.js" },
    },
    plugins: [
      {
        name: "list-modules",
        generateBundle(_, output) {
          for (const chunk of Object.values(output) as (Rollup.OutputChunk | Rollup.OutputAsset)[]) {
            if (chunk.type !== "chunk") continue;
            modules.push(...chunk.moduleIds);
            imported.push(...chunk.imports, ...chunk.dynamicImports);
          }
        },
      },
    ],
  });
  return { modules, imported };
}

test("the entry point bundles with vite free of Node's modules", { timeout: 120_000 }, async () => {
  const outDir = join(folder, "entry");
  const { modules, imported } = await bundle("src/browser.ts", outDir);
  expect(modules.some((id) => id.endsWith("src/methods/basis.ts"))).toBe(true);
  const forbidden = modules.filter(
    (id) => id.includes("browser-external") || id.startsWith("node:") || builtinModules.includes(id),
  );
  expect(forbidden).toEqual([]);
  expect(imported).toEqual([]); // whole: nothing is left to be loaded
  expect(statSync(join(outDir, "main.js")).size).toBeLessThan(500_000); // see scripts/entry-size.mjs
});

const executablePath = chromium();

describe.skipIf(executablePath === undefined)(
  `in headless Chromium${executablePath ? "" : ` (skipped: ${noBrowser})`}`,
  () => {
    let browser: Browser;
    let server: Server;
    let address: string;

    beforeAll(async () => {
      await bundle("test/browser-page/main.ts", join(folder, "page"));
      await bundle("examples/browser-worker.mjs", join(folder, "worker"));
      writeFileSync(join(folder, "resnet.onnx"), writeModel(resnet(8, { seed: 3 })));
      writeFileSync(join(folder, "edsr.onnx"), writeModel(edsr({ blocks: 2, width: 16, scale: 2 })));
      server = createServer((request, response) => {
        const path = (request.url ?? "/").split("?")[0]!;
        const file = path.startsWith("/ort/")
          ? join(dirname(fileURLToPath(import.meta.resolve("onnxruntime-web"))), path.slice("/ort/".length))
          : join(folder, path);
        if (path === "/")
          return void response
            .setHeader("content-type", "text/html")
            .end('<script type="module" src="/page/main.js"></script>');
        const types: Record<string, string> = {
          ".js": "text/javascript",
          ".mjs": "text/javascript",
          ".wasm": "application/wasm",
        };
        try {
          const body = readFileSync(file);
          response.setHeader("content-type", types[extname(file)] ?? "application/octet-stream").end(body);
        } catch {
          response.writeHead(404).end();
        }
      });
      await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
      const bound = server.address();
      address = typeof bound === "object" && bound ? `http://127.0.0.1:${bound.port}/` : "";
      browser = await driver.launch({
        executablePath: executablePath!,
        args: [
          "--no-sandbox",
          "--disable-gpu",
          "--disable-quic",
          "--no-first-run",
          "--disable-background-networking",
          "--disable-component-update",
          "--disable-sync",
        ],
      });
    }, 120_000);
    afterAll(async () => {
      await browser?.close();
      server?.close();
    });

    test("the program examples/browser-worker.mjs compresses in a worker and hands the file over", async () => {
      const page = await browser.newPage();
      await page.goto(address);
      const answer = await page.evaluate(async () => {
        const bytes = await (await fetch("resnet.onnx")).arrayBuffer();
        const worker = new Worker("/worker/main.js", { type: "module" });
        const answered = new Promise<{ bytes: Uint8Array; before: number; after: number }>((resolve, reject) => {
          worker.onmessage = ({ data }) => resolve(data);
          worker.onerror = ({ message }) => reject(new Error(message));
        });
        worker.postMessage({ bytes, keepParams: 0.5 }, [bytes]);
        const { bytes: small, before, after } = await answered;
        worker.terminate();
        return { small: Array.from(small), before, after };
      });
      expect(answer.after).toBeLessThanOrEqual(answer.before / 2);
      expect(cost(readModel(Uint8Array.from(answer.small))).weights).toBe(answer.after);
      await page.close();
    });

    test.each([
      ["resnet.onnx", { keepParams: 0.5, layout: "batch-folded", dims: [1, 3, 32, 32] }],
      ["edsr.onnx", { keepParams: 0.6, layout: "dense", dims: [1, 3, 12, 14] }],
    ])(
      "%s is compressed in the page, and onnxruntime-web computes there what its filters say",
      async (file, options) => {
        const page = await browser.newPage();
        const faults: string[] = [];
        page.on("pageerror", (error) => faults.push(String(error)));
        page.on(
          "console",
          (message) => message.type() === "error" && !message.text().includes("404") && faults.push(message.text()),
        );
        await page.goto(address);
        await page.waitForFunction(() => "compressInPage" in globalThis);
        const result = (await page.evaluate(
          ([name, given]) =>
            (
              globalThis as unknown as { compressInPage: (name: unknown, given: unknown) => Promise<unknown> }
            ).compressInPage(name, given),
          [`/${file}`, options] as const,
        )) as PageResult;
        await page.close();
        expect(faults).toEqual([]);
        const ratio = result.weights / result.weightsBefore;
        expect(ratio).toBeLessThanOrEqual(options.keepParams);
        expect(ratio).toBeGreaterThan(options.keepParams - 0.02);
        expect(result.weights).toBe(result.planned);
        expect(result.layers).toBeGreaterThan(0);
        expect(result.bytes).toBeLessThan(result.bytesBefore);
        expect(result.fromFilters).toBeLessThan(1e-4); // what layouts promise
        expect(result.fromOriginal).toBeGreaterThan(1e-3); // half of the weights of a random network are not nothing
        expect(result.refusal).toBe("malformed");
      },
      180_000,
    );
  },
);

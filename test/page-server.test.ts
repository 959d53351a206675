// The page's server: the right headers, nothing from outside its folder, typed errors.
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { request } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { servePage } from "../src/cli/page-server.js";

const folder = mkdtempSync(join(tmpdir(), "filterbasis-serve-"));
const page = join(folder, "page");
mkdirSync(join(page, "assets"), { recursive: true });
writeFileSync(join(page, "index.html"), "<p>page</p>");
writeFileSync(join(page, "assets", "main.js"), "1");
writeFileSync(join(folder, "secret.txt"), "secret");
symlinkSync(join(folder, "secret.txt"), join(page, "link.txt"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** As it stands: `fetch` would tidy up the path. */
const ask = (url: string, path: string, method = "GET") =>
  new Promise<{ status: number; headers: Record<string, unknown>; text: string }>((resolve, reject) => {
    const { hostname, port } = new URL(url);
    request({ hostname, port, path, method }, (response) => {
      let text = "";
      response.on("data", (part) => (text += part));
      response.on("end", () => resolve({ status: response.statusCode!, headers: response.headers, text }));
    })
      .on("error", reject)
      .end();
  });

test("it serves the page isolated from other origins, and the runtime's own files beside it", async () => {
  const { server, url } = await servePage(page, 0);
  expect(url).toMatch(/^http:\/\/127\.0\.0\.1:\d+\/$/);
  const { status, headers, text } = await ask(url, "/");
  expect([status, text]).toEqual([200, "<p>page</p>"]);
  expect(headers).toMatchObject({
    "content-type": "text/html; charset=utf-8",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-embedder-policy": "require-corp",
  });
  expect((await ask(url, "/assets/main.js?x=1")).headers["content-type"]).toContain("text/javascript");
  const wasm = await ask(url, "/ort/ort-wasm-simd-threaded.wasm", "HEAD");
  expect([wasm.status, wasm.headers["content-type"]]).toEqual([200, "application/wasm"]);
  server.close();
});

test("nothing outside of its folder is served, however it is asked for", async () => {
  const { server, url } = await servePage(page, 0);
  const paths = ["/../secret.txt", "/..%2fsecret.txt", "/%2e%2e/secret.txt", "/assets/../../secret.txt", "/link.txt"];
  const more = ["//etc/passwd", "/%00", "/%", "/assets", "/ort/../package.json", "/ort/..%2fpackage.json"];
  for (const path of [...paths, ...more]) expect((await ask(url, path)).status, path).toBe(404);
  expect((await ask(url, "/", "POST")).status).toBe(405);
  server.close();
});

test("a page that is not built and a port that is taken are typed errors with cures", async () => {
  await expect(servePage(join(folder, "none"), 0)).rejects.toMatchObject({
    code: "not-found",
    cures: ["npm run build:web"],
  });
  const { server, url } = await servePage(page, 0);
  await expect(servePage(page, Number(new URL(url).port))).rejects.toMatchObject({ code: "busy" });
  server.close();
});

// How large the browser's entry point is, bundled as test/browser-entry.test.ts does, here and in other checkouts.
// usage: node scripts/entry-size.mjs [--write] [OTHER CHECKOUT ...]    --write writes results/entry-size.json
import { execFileSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { gzipSync } from "node:zlib";
import { build } from "vite";

const here = fileURLToPath(new URL("..", import.meta.url));
const { values, positionals } = parseArgs({ allowPositionals: true, options: { write: { type: "boolean" } } });

/** Bytes of the entry and of every chunk that is loaded when it is used; and of the entry, packed. */
async function sizesOf(root) {
  const output = await build({
    ...{ root, configFile: false, logLevel: "error" },
    resolve: { conditions: ["onnxruntime-web-use-extern-wasm", "module", "browser", "import"] },
    build: {
      ...{ write: false, target: "es2022" },
      lib: { entry: join(root, "src", "browser.ts"), formats: ["es"], fileName: () => "main.js" },
    },
  });
  const chunks = output[0].output.filter(({ type }) => type === "chunk");
  const entry = Buffer.from(chunks.find(({ isEntry }) => isEntry).code);
  return {
    commit: execFileSync("git", ["rev-parse", "--short", "HEAD"], { cwd: root, encoding: "utf8" }).trim(),
    ...{ bytes: entry.length, gzip: gzipSync(entry).length },
    later: chunks.filter(({ isEntry }) => !isEntry).map(({ fileName, code }) => [fileName, Buffer.byteLength(code)]),
  };
}

const checkouts = [];
for (const root of [here, ...positionals]) checkouts.push(await sizesOf(root));
for (const { commit, bytes, gzip, later } of checkouts)
  console.log(`${commit}: ${bytes} bytes, ${gzip} with gzip, ${later.length} chunks loaded when used`);
if (values.write) {
  const vite = JSON.parse(readFileSync(join(here, "node_modules", "vite", "package.json"), "utf8")).version;
  const result = { command: "node scripts/entry-size.mjs --write [OTHER CHECKOUT]", vite, checkouts };
  writeFileSync(join(here, "results", "entry-size.json"), `${JSON.stringify(result, null, 2)}\n`);
}

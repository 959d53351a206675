// The page as a static folder: relative addresses, no address but its own.
import { copyFileSync, existsSync, mkdirSync, readdirSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { defineConfig, type Plugin } from "vite";
import { withHostModules } from "./host-modules.js";

const root = fileURLToPath(new URL(".", import.meta.url));
const runtime = dirname(createRequire(import.meta.url).resolve("onnxruntime-web"));

/** What onnxruntime-web loads while it runs: for WebAssembly alone, and with WebGPU. */
const runtimeFiles = ["ort-wasm-simd-threaded", "ort-wasm-simd-threaded.asyncify"].flatMap((name) => [
  `${name}.mjs`,
  `${name}.wasm`,
]);

/** Example networks, as far as they are there; the page knows their titles (ui/examples.ts). */
const networks = ["edsr-8-56-x2.onnx", "vgg16-half.onnx", "resnet20.onnx"].filter((name) =>
  existsSync(resolve(root, "../weights", name)),
);

/** The runtime's own files beside the page, and the example networks. */
function withAssets(): Plugin {
  return {
    name: "assets",
    writeBundle({ dir }) {
      for (const folder of ["ort", "weights"]) mkdirSync(join(dir!, folder), { recursive: true });
      for (const name of runtimeFiles) copyFileSync(join(runtime, name), join(dir!, "ort", name));
      // For working without a connection (ui/offline.ts): a worker's own chunks are nowhere else told.
      writeFileSync(join(dir!, "assets.json"), JSON.stringify(readdirSync(join(dir!, "assets"))));
      for (const name of networks) copyFileSync(resolve(root, "../weights", name), join(dir!, "weights", name));
    },
  };
}

const isolation = {
  "cross-origin-opener-policy": "same-origin",
  "cross-origin-embedder-policy": "require-corp",
};

export default defineConfig({
  root,
  base: "./",
  publicDir: "public",
  define: { exampleNetworks: JSON.stringify(networks) },
  resolve: { conditions: ["onnxruntime-web-use-extern-wasm", "module", "browser", "import"] },
  server: { headers: isolation },
  preview: { headers: isolation },
  worker: { format: "es", plugins: () => [withHostModules()] },
  plugins: [withAssets()],
  build: { outDir: "../dist/web", emptyOutDir: true, target: "es2022", chunkSizeWarningLimit: 2000 },
});

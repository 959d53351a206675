// The modules of src/ that need Node, and what a page has in their place (decision 37). Nothing of Node may be left: the
// build fails where a module still imports it.
import { relative, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import type { Plugin } from "vite";

const root = fileURLToPath(new URL("..", import.meta.url));

/** Path under src/ -> file under web/host/; both without their ending. */
const hostModules = {
  "runtime/open": "open",
  "runtime/files": "files",
  "runtime/model-bytes": "model-bytes",
  "runtime/save-verified": "save-verified",
  "runtime/channel-block": "channel-block",
  "runtime/latency-table": "latency-table",
  "runtime/prune-folder": "prune-folder",
  "runtime/garbage": "garbage",
  "runtime/operator-times": "operator-times",
  "runtime/write": "write",
  "calibrate/cache": "cache",
  "calibrate/block-steps": "block-steps",
  "compress/best-engine": "best-engine",
  "torch/index": "torch",
  "torch/heap": "torch",
  "data/codec": "codec",
} as const satisfies Readonly<Record<string, string>>;

const packages = {
  "node:crypto": "crypto",
  "onnxruntime-node": "node-runtime",
  "onnxruntime-web": "web-runtime",
} as const;

const host = (name: string): string => resolve(root, "web/host", `${name}.ts`);

/** Puts the page's modules in the place of those that need Node. */
export function withHostModules(): Plugin {
  return {
    name: "host-modules",
    enforce: "pre",
    resolveId(source, importer) {
      if (source in packages) return host(packages[source as keyof typeof packages]);
      if (source.startsWith("node:")) this.error(`${source} is imported by ${importer}: it needs a host module`);
      if (!source.startsWith(".") || importer === undefined) return null;
      const path = relative(resolve(root, "src"), resolve(importer, "..", source)).replace(/\.[jt]s$/, "");
      return path in hostModules ? host(hostModules[path as keyof typeof hostModules]) : null;
    },
  };
}

// Networks that scripts/get-networks.mjs fetches, for benchmarks and tests.
import { existsSync } from "node:fs";
import { join } from "node:path";
import { cacheFolder } from "../src/runtime/cache-folder.js";

/** The path of a network in the cache, where it was fetched. */
export function fetched(name: string): string | undefined {
  const path = join(cacheFolder(), `${name}.onnx`);
  return existsSync(path) ? path : undefined;
}

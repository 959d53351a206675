// Where this worker computes. Its name says so, for it must be known before the runtime is loaded.
import type { PageDevice } from "../protocol.js";

export const device: PageDevice = (globalThis as { readonly name?: string }).name === "webgpu" ? "webgpu" : "wasm";

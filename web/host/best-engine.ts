// Who runs networks for a calibration in a page: ONNX Runtime in WebAssembly, also where the GPU is what a plan is for.
// What every layer sees would have to come back from it.
import { ortEngine } from "../../src/calibrate/ort-engine.js";
import type * as original from "../../src/compress/best-engine.js";
import { fastProducts } from "./gram.js";

export const bestEngine: typeof original.bestEngine = () => ({
  ...ortEngine({ runtime: "web", provider: "wasm" }),
  products: fastProducts,
});

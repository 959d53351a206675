// Who runs networks for a calibration in a page: ONNX Runtime in WebAssembly.
import { ortEngine } from "../../src/calibrate/ort-engine.js";
import type * as original from "../../src/compress/best-engine.js";
import { fastProducts } from "./gram.js";

export const bestEngine: typeof original.bestEngine = () => ({
  ...ortEngine({ runtime: "web" }),
  products: fastProducts,
});

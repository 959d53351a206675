// Opening a model in a page: graphs, bytes, or the name of a file in memory; always in onnxruntime-web, in WebAssembly
// or WebGPU as the worker is told.
import { writeModel } from "../../src/formats/onnx/index.js";
import { verifyGraph } from "../../src/ops/verify/verify.js";
import type * as original from "../../src/runtime/open.js";
import { openOrtSession } from "../../src/runtime/session.js";
import { device } from "./device.js";
import { fileBytes } from "./memory.js";

export const openSession: typeof original.openSession = (model, { threads: _, profile: __, ...options } = {}) => {
  const web = { ...options, runtime: "web", provider: options.provider ?? device } as const;
  if (typeof model === "string") return openOrtSession(fileBytes(model), web);
  if (model instanceof Uint8Array) return openOrtSession(model, web);
  verifyGraph(model);
  return openOrtSession(writeModel(model), web);
};

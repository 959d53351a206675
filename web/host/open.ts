// Opening a model in a page: graphs, bytes, or the name of a file in memory; always in WebAssembly.
import { writeModel } from "../../src/formats/onnx/index.js";
import { verifyGraph } from "../../src/ops/verify/verify.js";
import type * as original from "../../src/runtime/open.js";
import { openOrtSession } from "../../src/runtime/session.js";
import { fileBytes } from "./memory.js";

export const openSession: typeof original.openSession = (model, { threads: _, profile: __, ...options } = {}) => {
  const web = { ...options, runtime: "web" } as const;
  if (typeof model === "string") return openOrtSession(fileBytes(model), web);
  if (model instanceof Uint8Array) return openOrtSession(model, web);
  verifyGraph(model);
  return openOrtSession(writeModel(model), web);
};

// A model that is only kept in memory once it was checked.
import { writeModel } from "../../src/formats/onnx/index.js";
import { verifyGraph } from "../../src/ops/verify/verify.js";
import type * as original from "../../src/runtime/save-verified.js";
import { files } from "./memory.js";

export const saveVerified: typeof original.saveVerified = async (graph, path, check) => {
  const aside = `${path}.part`;
  verifyGraph(graph);
  files.set(aside, writeModel(graph));
  try {
    const result = await check(aside);
    files.set(path, files.get(aside)!);
    return result;
  } finally {
    files.delete(aside);
  }
};

// Models as files in memory.
import { readModel, writeModel } from "../../src/formats/onnx/index.js";
import { verifyGraph } from "../../src/ops/verify/verify.js";
import type * as original from "../../src/runtime/files.js";
import { fileBytes, files } from "./memory.js";

export const loadModel: typeof original.loadModel = async (path, options = {}) =>
  readModel(fileBytes(path), { ...options, file: path });

export const saveModel: typeof original.saveModel = async (graph, path) => {
  verifyGraph(graph);
  files.set(path, writeModel(graph));
};

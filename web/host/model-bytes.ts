// How large models in memory are.
import { writeModelChunks } from "../../src/formats/onnx/index.js";
import type * as original from "../../src/runtime/model-bytes.js";
import { fileBytes } from "./memory.js";

export const modelBytes: typeof original.modelBytes = async (path) => fileBytes(path).length;

export const writtenBytes: typeof original.writtenBytes = (graph) =>
  writeModelChunks(graph).chunks.reduce((sum, { length }) => sum + length, 0);

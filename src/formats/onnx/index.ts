// ONNX files as graphs and back: bytes in, bytes out, nothing lost between.
export { largestModel } from "./chunks.js";
export { type ReadOptions, readModel } from "./read.js";
export { type ReadExternal, readTensorProto } from "./tensor.js";
export { writeModel, writeModelChunks } from "./write.js";
export type { PutExternal } from "./write-tensor.js";

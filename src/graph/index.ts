// The graph: ONNX as plain readonly data, and what can be said and done about it without running it.
export * as attribute from "./attributes.js";
export {
  elementBytes,
  elements,
  float32Tensor,
  int64Tensor,
  makeNode,
  nodeName,
  readFloat,
  readFloats,
  readInt,
  readInts,
  readString,
  readTensor,
} from "./attributes.js";
export { constantOf } from "./constants.js";
export {
  bodies,
  captures,
  feeds,
  freshName,
  freshNames,
  reads,
  renameReads,
  replaceNode,
  replaceNodes,
  valueNames,
  withInitializers,
  withMetadata,
  withoutInitializers,
} from "./edit.js";
export { type GraphIndex, indexOf, type Stored } from "./graph-index.js";
export { printGraph, showType } from "./print.js";
export * from "./types.js";
export { floats, floatToHalf, halfToFloat, ints, isFloat, numbers, tensorOf } from "./values.js";

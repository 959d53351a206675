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
export { type ChosenSizes, chooseInputs, type InputSizes } from "./concrete-inputs.js";
export { constantOf, constantReader } from "./constants.js";
export { type Cost, concreteInputs, cost, type LayerCost } from "./cost.js";
export {
  bodies,
  captures,
  consumers,
  feeds,
  freshName,
  freshNames,
  producers,
  reads,
  renameReads,
  replaceNode,
  replaceNodes,
  valueNames,
  withInitializers,
  withMetadata,
  withoutInitializers,
} from "./edit.js";
export { printGraph, showType } from "./print.js";
export { inferShapes } from "./shapes/infer.js";
export * from "./types.js";
export { floats, floatToHalf, halfToFloat, ints, isFloat, numbers, tensorOf } from "./values.js";
export { verifyGraph } from "./verify.js";

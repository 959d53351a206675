// The entry point to the pure layers, `filterbasis/browser`: ONNX bytes in, smaller ONNX bytes out, in a page, a worker
// or anywhere else without Node. Nothing here touches files, processes or native code; running a model is left to
// onnxruntime-web.

// Compressing
export { type Layout, layouts } from "./basis/layouts.js";
export type { ActivationMoments } from "./basis/moments.js";
export { bestSplits, optimalSplits, rate } from "./basis/split.js";
export { type ErrorCode, type ErrorPlace, FilterBasisError, isError } from "./errors/error.js";
export { type ReadOptions, readModel, writeModel } from "./formats/onnx/index.js";
// The graph
export {
  type Attribute,
  type DataType,
  type Dim,
  floats,
  type Graph,
  type Node,
  type Outcome,
  type Pass,
  type PassResult,
  printGraph,
  type TensorData,
  tensorOf,
  type Value,
  type ValueType,
} from "./graph/index.js";
export {
  type BaseMethodName as MethodName,
  baseMethodPass as methodPass,
  baseMethods as methods,
} from "./methods/base-methods.js";
export { applyPlan, type BasisOptions, basis } from "./methods/basis.js";
export { type CompressedLayer, compressedLayers } from "./methods/compressed-layers.js";
export { expand } from "./methods/expand.js";
export { chooseLayout, chooseLayouts } from "./methods/layout.js";
export type { Method } from "./methods/method.js";
export { type GroupPlan, type LayerPlan, type Plan, type PlanOptions, planCompression } from "./methods/plan.js";
export { type CompressionRecord, type LayerRecord, readRecord } from "./methods/record.js";
// Networks
export { buildNet, type Net, type NetName, nets } from "./nets/table.js";
export {
  type ChosenSizes,
  type Cost,
  chooseInputs,
  cost,
  type InputSizes,
  inferShapes,
  type LayerCost,
  verifyGraph,
} from "./ops/index.js";
export { foldBatchNorm } from "./passes/fold-batch-norm.js";
export { foldConstants } from "./passes/fold-constants.js";
export { halfWeights } from "./passes/half-weights.js";
export { removeDeadNodes } from "./passes/remove-unread.js";
export { sequence } from "./passes/sequence.js";

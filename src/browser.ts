// The door to the pure layers, `filterbasis/browser`: ONNX bytes in, smaller ONNX bytes out, in a page, a worker or anywhere
// else without Node. Nothing here touches files, processes or native code; running a model is left to onnxruntime-web.

// Compressing
export { type Form, forms } from "./basis/forms.js";
export type { InputMoments } from "./basis/moments.js";
export { bestSplits, optimalSplits, rate } from "./basis/split.js";
export { applyPlan, type BasisOptions, basis } from "./compress/basis.js";
export { expand } from "./compress/expand.js";
export { chooseForm, chooseForms } from "./compress/form.js";
export { type MethodName, methods } from "./compress/methods.js";
export { type LayerPlan, type Plan, type PlanOptions, planCompression, type UnitPlan } from "./compress/plan.js";
export { type CompressionRecord, readRecord, type SiteRecord } from "./compress/record.js";
export { type ErrorCode, type ErrorPlace, FilterBasisError, isError } from "./errors/error.js";
// The graph
export {
  type Attribute,
  type Cost,
  cost,
  type DataType,
  type Dim,
  floats,
  foldBatchNorm,
  foldConstants,
  type Graph,
  halfWeights,
  inferShapes,
  type LayerCost,
  type Node,
  type Outcome,
  type Pass,
  type PassResult,
  printGraph,
  removeDeadNodes,
  sequence,
  type TensorData,
  tensorOf,
  type Value,
  type ValueType,
  verifyGraph,
} from "./graph/index.js";
// Networks
export { buildNet, type Net, type NetName, nets } from "./nets/table.js";
export { type ReadOptions, readModel, writeModel } from "./onnx/index.js";

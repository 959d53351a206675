// The library's entry point: everything public, names listed by hand. libtorch, ONNX Runtime and image codecs load on
// first use only.

// Compressing
export { type Layout, layouts } from "./basis/layouts.js";
export type { ActivationMoments } from "./basis/moments.js";
export { bestSplits, optimalSplits, rate } from "./basis/split.js";
export { type CalibrationData, type CalibrationOptions, calibrationData } from "./compress/calibration-data.js";
export { type Compressed, compressModel, type Train } from "./compress/compress.js";
export { type CalibratedOptions, type CalibratedResult, compressOnData } from "./compress/compress-calibrated.js";
export { type ChooseLayoutOptions, fastestLayouts, type LayoutChoice } from "./compress/fastest-layouts.js";
export type { Given, JobHooks, JobOptions, Place } from "./compress/job.js";
export { type PlannedModel, planModel } from "./compress/plan.js";
export type { CalibratedBudget, CalibratedPlan } from "./compress/plan-calibrated.js";
export { type EightBitOptions, type EightBitResult, quantizeOnData } from "./compress/quantize-on-data.js";
export { type Rewritten, undoModel } from "./compress/rewrite.js";
export type { Times } from "./compress/time.js";
export type { Verified } from "./compress/verify.js";
export type { Batch, BatchSource } from "./data/batches.js";
// Images and data sets
export { getCifar10, loadCifar10 } from "./data/cifar10.js";
export { cifar10Classes } from "./data/cifar10-binary.js";
export { type DecodeOptions, decodeImage, encodeImage, type Sizing } from "./data/codec.js";
export type { Data, Dataset, GetOptions, Kept, OpenOptions } from "./data/dataset.js";
export type { Image } from "./data/image.js";
export {
  type ImageData,
  type ImageSet,
  type Normalization,
  normalizations,
  parseNormalization,
} from "./data/image-set.js";
export { imresize } from "./data/imresize.js";
export { type Candidate, type InputOptions, type Inputs, inputsOf, type Skipped } from "./data/inputs.js";
export { loadPair, type Pair } from "./data/load-pair.js";
export { openPatches, type Patches, type PatchOptions, type PatchSource } from "./data/patches.js";
export { findPairs, type PairFiles, type PairSet, type Split } from "./data/sr-pairs.js";
export { datasets, loadImageData, openData } from "./data/table.js";
export { type ErrorCode, type ErrorDetails, type ErrorPlace, FilterBasisError, isError } from "./errors/error.js";
// Judging
export { type Runnable, type TopOne, type TopOneOptions, topOne } from "./evaluate/classify.js";
export { type ComparedOnData, type CompareOptions, compareOnData, type Loss } from "./evaluate/compare-on-data.js";
export type { Conventions } from "./evaluate/conventions.js";
export { type EvaluateOptions, type Evaluation, evaluateModel, type ModelMetrics } from "./evaluate/evaluate.js";
export type { LossKind, OutputLoss } from "./evaluate/loss.js";
export { type FeedOptions, type ModelFeeds, modelFeeds } from "./evaluate/model-feeds.js";
export { psnr } from "./evaluate/psnr.js";
export { type ReceptiveField, receptiveField } from "./evaluate/receptive-field.js";
export { ssim } from "./evaluate/ssim.js";
export type { Truth } from "./evaluate/truths.js";
export { type UpscaledFile, type UpscaleFileOptions, upscaleFile } from "./evaluate/upscale-file.js";
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
export { Network, type NetworkOptions } from "./interpreter/network.js";
export { Random } from "./linalg/random.js";
export { applyPlan, type BasisOptions, basis } from "./methods/basis.js";
export { type CompressedLayer, compressedLayers } from "./methods/compressed-layers.js";
export { type Counts, countsOf } from "./methods/counts.js";
export { expand } from "./methods/expand.js";
export { chooseLayout, chooseLayouts } from "./methods/layout.js";
export type { Method } from "./methods/method.js";
export { type MethodName, methodPass, methods } from "./methods/methods.js";
export { type GroupPlan, type LayerPlan, type Plan, type PlanOptions, planCompression } from "./methods/plan.js";
export { type CompressionRecord, type LayerRecord, readRecord } from "./methods/record.js";
// Networks
export { buildNet, type Net, type NetName, nets } from "./nets/table.js";
export { type Cost, cost, inferShapes, type LayerCost, verifyGraph } from "./ops/index.js";
export { foldBatchNorm } from "./passes/fold-batch-norm.js";
export { foldConstants } from "./passes/fold-constants.js";
export { halfWeights } from "./passes/half-weights.js";
export { removeDeadNodes } from "./passes/remove-unread.js";
export { sequence } from "./passes/sequence.js";
// Running and files
export { loadModel, type SaveOptions, saveModel } from "./runtime/files.js";
export {
  type Feeds,
  type FindInputsOptions,
  findInputs,
  type ModelInputs,
  openSession,
  type Port,
  type Reference,
  type RuntimeName,
  referenceOf,
  type Session,
  type SessionOptions,
  sampleFeeds,
  type Verification,
  verifyModel,
} from "./runtime/index.js";
// libtorch
export {
  backward,
  call,
  callAll,
  type Device,
  engineInfo,
  fromArray,
  gradients,
  hasCuda,
  manualSeed,
  noGrad,
  parseDevice,
  setThreads,
  Tensor,
  TensorScope,
} from "./torch/index.js";
// Training
export type { EpochReport, LoopResult, Metrics, StepReport } from "./train/loop.js";
export { activationMoments, type MomentsOptions } from "./train/moments.js";
export { parseRecipe, type Recipe, recipeJsonSchema } from "./train/recipe.js";
export { listRecipes, loadRecipe } from "./train/recipe-files.js";
export type { RunHooks } from "./train/run.js";
export { trainInWorker } from "./train/worker-client.js";

// The engine: libtorch's tensors, operators and gradients in TypeScript. Importing it loads nothing; the first call
// does.
export { backward, backwardAsync, gradients, noGrad, withGrad } from "./autograd.js";
export { type Argument, call, callAll, callAsync, schemas, type Value } from "./call.js";
export { type Device, type Gpu, gpus, hasCuda, parseDevice, requireDevice, synchronize } from "./device.js";
export { packageRoot } from "./files.js";
export { arange, empty, fromArray, full, ones, randn, scalar, zeros, zerosLike } from "./make.js";
export { type NumberArray, unloadableReason } from "./native.js";
export { checkPrecision, inPrecision, type Precision } from "./precision.js";
export { TensorScope, tidy, unowned } from "./scope.js";
export {
  engineInfo,
  generatorState,
  type Information,
  liveTensors,
  manualSeed,
  setGeneratorState,
  setSwitch,
  setThreads,
  threads,
} from "./settings.js";
export { type DType, Tensor } from "./tensor.js";

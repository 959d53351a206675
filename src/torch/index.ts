// The engine: libtorch's tensors, operators and gradients in TypeScript. Importing it loads nothing; the first call does.
export { backward, backwardAsync, gradients, noGrad, withGrad } from "./autograd.js";
export { type Argument, call, callAll, callAsync, schemas, type Value } from "./call.js";
export { packageRoot } from "./files.js";
export { arange, empty, full, ones, randn, scalar, zeros, zerosLike } from "./make.js";
export { type NumberArray, unloadableReason } from "./native.js";
export { TensorScope, tidy, unowned } from "./scope.js";
export {
  engineInfo,
  generatorState,
  hasCuda,
  type Information,
  liveTensors,
  manualSeed,
  setGeneratorState,
  setSwitch,
  setThreads,
  threads,
} from "./settings.js";
export { type DType, fromArray, Tensor } from "./tensor.js";

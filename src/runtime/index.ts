// ONNX Runtime and files, as the layers above use them.
export {
  type Agreement,
  compareWithOriginal,
  type OutputAgreement,
  requireAgreement,
  type StepKind,
  worstOutput,
} from "./agreement.js";
export { compareOutputs, type Difference } from "./compare.js";
export { type FindInputsOptions, findInputs, type ModelInputs, refuseUnknownRank } from "./find-inputs.js";
export { alternate, type Latencies, type LatencyOptions, median } from "./latency.js";
export { openSession } from "./open.js";
export { prepareReference, type ReferenceOptions, type ReferenceSet } from "./reference.js";
export { checkRunnable, type Runnable } from "./runnable.js";
export { type SampleOptions, sampleFeeds, sampleShape } from "./samples.js";
export {
  defaultRuntime,
  type Feeds,
  type Port,
  type RuntimeName,
  runtimeNames,
  runtimeVersion,
  type Session,
  type SessionOptions,
} from "./session.js";
export { timedRun } from "./timed-run.js";
export { type Reference, referenceOf, type Verification, verifyModel } from "./verify.js";
export { syncFolder, type Writable, writeAside } from "./write.js";

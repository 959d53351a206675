// Opens the model of the given path in ONNX Runtime: exit 0 where that works. In a process of its own: some broken
// files bring native code down.
import { env, InferenceSession } from "onnxruntime-node";

env.logLevel = "fatal";
InferenceSession.create(process.argv[2], { executionProviders: ["cpu"], logSeverityLevel: 4 }).then(
  () => process.exit(0),
  () => process.exit(1),
);

// In the place of onnxruntime-web: the build of it that computes where this worker shall. To be imported when it is
// needed: what waits at a worker's start misses the messages that come meanwhile.
import { device } from "./device.js";

const ort = device === "webgpu" ? await import("onnxruntime-web/webgpu") : await import("onnxruntime-web/wasm");
export const { InferenceSession, Tensor, env } = ort;

// Compresses a network in a web page, in a worker, so that the page stays awake. Nothing is uploaded.
//
//     npm install filterbasis       and a bundler that knows workers, such as vite
//
//     const worker = new Worker(new URL("./browser-worker.mjs", import.meta.url), { type: "module" });
//     worker.onmessage = ({ data }) => console.log(data.error ?? `${data.before} -> ${data.after} weights`, data.bytes);
//     const bytes = await input.files[0].arrayBuffer();       // <input type="file">
//     worker.postMessage({ bytes, keepParams: 0.5 }, [bytes]);
//
// What comes back are the bytes of an ONNX file: `ort.InferenceSession.create(bytes)` of onnxruntime-web runs them.
import { basis, cost, FilterBasisError, foldBatchNorm, readModel, sequence, writeModel } from "filterbasis/browser";

self.onmessage = ({ data: { bytes, keepParams } }) => {
  try {
    const model = readModel(new Uint8Array(bytes));
    const { graph, outcomes } = sequence(foldBatchNorm, basis({ keepParams }))(model);
    const small = writeModel(graph);
    const skipped = outcomes.filter(({ applied }) => !applied).map(({ layer, reason }) => `${layer}: ${reason}`);
    const answer = { bytes: small, before: cost(model).weights, after: cost(graph).weights, skipped };
    self.postMessage(answer, { transfer: [small.buffer] });
  } catch (error) {
    if (!(error instanceof FilterBasisError)) throw error;
    self.postMessage({ error: error.message });
  }
};

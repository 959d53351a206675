// A worker thread that trains a little with the engine, loaded here for the first time in its process.
import { parentPort } from "node:worker_threads";
import {
  backward,
  call,
  engineInfo,
  fromArray,
  liveTensors,
  noGrad,
  randn,
  setThreads,
  TensorScope,
  zeros,
} from "../src/torch/index.js";

setThreads(1);
const x = randn([64, 8]);
const truth = fromArray(Float32Array.of(1, -2, 3, 0, 1, 0, 2, -1), [8, 1]);
const y = call("matmul", x, truth);
const w = zeros([8, 1]);
w.requiresGrad = true;
const losses: number[] = [];
for (let step = 0; step < 200; step++) {
  using _scope = new TensorScope();
  const loss = call("mse_loss", call("matmul", x, w), y);
  losses.push(loss.item());
  backward(loss);
  noGrad(() => call("add_.Tensor", w, w.grad!, { alpha: -0.1 }));
  w.grad = null;
}
for (const tensor of [x, truth, y, w]) tensor.dispose();
parentPort?.postMessage({ losses, live: liveTensors(), core: engineInfo().blasCore });

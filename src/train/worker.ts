// The thread that trains; told what to do by worker-client.ts.
import { parentPort, workerData } from "node:worker_threads";
import { runTraining } from "./run.js";
import { errorToMessage } from "./thread.js";
import type { WorkerMessage, WorkerStart } from "./worker-client.js";

const { folder, recipe, stop, device } = workerData as WorkerStart;
const flag = new Int32Array(stop);
const say = (message: WorkerMessage): void => parentPort?.postMessage(message);

try {
  const result = await runTraining(folder, recipe, {
    onStep: (report) => say({ kind: "step", report }),
    onEpoch: (report) => say({ kind: "epoch", report }),
    note: (text) => say({ kind: "note", text }),
    ...(device === undefined ? {} : { device }),
    stopping: () => Atomics.load(flag, 0) !== 0,
  });
  say({ kind: "done", result });
} catch (error) {
  say({ kind: "failed", error: errorToMessage(error) });
}

// The thread that trains; told what to do by worker-client.ts.
import { parentPort, workerData } from "node:worker_threads";
import { together } from "./join.js";
import type { LoopResult } from "./loop.js";
import { type RunHooks, runTraining } from "./run.js";
import { errorToMessage } from "./thread.js";
import type { WorkerMessage, WorkerStart } from "./worker-client.js";
import type { World } from "./world.js";

const { folder, recipe, stop, device, join } = workerData as WorkerStart;
const flag = new Int32Array(stop);
const say = (message: WorkerMessage): void => parentPort?.postMessage(message);

try {
  const hooks: RunHooks = {
    onStep: (report) => say({ kind: "step", report }),
    onEpoch: (report) => say({ kind: "epoch", report }),
    note: (text) => say({ kind: "note", text }),
    ...(device === undefined ? {} : { device }),
    stopping: () => Atomics.load(flag, 0) !== 0,
  };
  const train = (world?: World): Promise<LoopResult> => runTraining(folder, recipe, hooks, world);
  const result = await (join === undefined ? train() : together(join, train));
  say({ kind: "done", result });
} catch (error) {
  say({ kind: "failed", error: errorToMessage(error) });
}

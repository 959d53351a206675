// A thread that makes batches; told which by loaders.ts.
import { parentPort, workerData } from "node:worker_threads";
import type { LoaderAnswer, LoaderRequest } from "./loaders.js";
import { openSource, type SourcePlan } from "./sources.js";
import { errorToMessage } from "./thread.js";

const answer = (message: LoaderAnswer, owned: ArrayBuffer[] = []): void => parentPort?.postMessage(message, owned);

try {
  const source = await openSource(workerData as SourcePlan);
  const { stepsPerEpoch, batchSize } = source;
  parentPort?.on("message", ({ epoch, step }: LoaderRequest) => {
    try {
      const batch = source.batch(epoch, step);
      const arrays = batch.target === null ? [batch.input] : [batch.input, batch.target];
      answer(
        { kind: "batch", batch },
        arrays.map(({ buffer }) => buffer as ArrayBuffer),
      ); // handed over, not copied
    } catch (error) {
      answer({ kind: "failed", error: errorToMessage(error) });
    }
  });
  answer({ kind: "ready", stepsPerEpoch, batchSize });
} catch (error) {
  answer({ kind: "failed", error: errorToMessage(error) });
}

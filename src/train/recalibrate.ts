// Batch-norm statistics set anew: after a compression the running averages are those of the network that was.

import type { Network } from "../interpreter/network.js";
import { fromArray, noGrad, TensorScope } from "../torch/index.js";
import { type BatchSource, nthBatch } from "./sources.js";

/**
 * Runs batches through the network in training mode without training; each moves the running averages as training does.
 */
export async function recalibrate(
  network: Network,
  input: string,
  source: BatchSource,
  batches: number,
): Promise<void> {
  for (let step = 0; step < batches; step++) {
    const batch = await nthBatch(source, step);
    noGrad(() => {
      using _scope = new TensorScope();
      const images = fromArray(batch.input, batch.inputDims, "float32", network.device);
      network.forward(new Map([[input, images]]), { training: true });
    });
    await new Promise(setImmediate);
  }
}

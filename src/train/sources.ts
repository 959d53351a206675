// Where batches come from. A batch depends only on (seed, epoch, step), so nothing has to be saved to go on in the middle of an epoch.
import { cropFlipBatch, labelBatch, normalizeBatch } from "../data/augment.js";
import { type ImageSet, type Normalization, permutation } from "../data/image-set.js";
import { Random } from "../linalg/random.js";

/** One batch: what the network sees and what it should answer (absent where nothing is labelled). */
export interface Batch {
  readonly input: Float32Array;
  readonly inputDims: readonly number[];
  readonly target: Float32Array | BigInt64Array | null;
  readonly targetDims: readonly number[];
}

export interface BatchSource {
  readonly stepsPerEpoch: number;
  /** Images in a full batch. */
  readonly batchSize: number;
  /** The arrays may be used again for the next batch. */
  batch(epoch: number, step: number): Batch;
}

export interface ImageSourceOptions {
  readonly batch: number;
  readonly augment: boolean;
  readonly normalization: Normalization;
  readonly dropLast: boolean;
  readonly seed: number;
  readonly labelled: boolean;
}

/** Batches of a labelled image set: every image once an epoch, in an order of its own. */
export function imageSource(set: ImageSet, options: ImageSourceOptions): BatchSource {
  const { batch: size, augment, normalization, dropLast, seed, labelled } = options;
  const stepsPerEpoch = Math.max(1, dropLast ? Math.floor(set.count / size) : Math.ceil(set.count / size));
  const buffer = new Float32Array(size * 3 * set.height * set.width);
  let order: Uint32Array = new Uint32Array(0);
  let orderOf = -1;
  return {
    stepsPerEpoch,
    batchSize: size,
    batch(epoch, step) {
      if (epoch !== orderOf) {
        order = permutation(set.count, new Random(`order ${seed} ${epoch}`));
        orderOf = epoch;
      }
      const indices = order.subarray(step * size, (step + 1) * size);
      if (augment) cropFlipBatch(set, indices, new Random(`augment ${seed} ${epoch} ${step}`), normalization, buffer);
      else normalizeBatch(set, indices, normalization, buffer);
      return {
        input: buffer.subarray(0, indices.length * 3 * set.height * set.width),
        inputDims: [indices.length, 3, set.height, set.width],
        target: labelled ? labelBatch(set, indices) : null,
        targetDims: [indices.length],
      };
    },
  };
}

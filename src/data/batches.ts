// Batches: what a network sees, and what it should answer where that is known.

/** One batch. */
export interface Batch {
  readonly input: Float32Array;
  readonly inputDims: readonly number[];
  /** Absent (null) where nothing is labelled. */
  readonly target: Float32Array | BigInt64Array | null;
  readonly targetDims: readonly number[];
  /** Where several processes share a batch out: how much of it this is, 0 to 1. */
  readonly share?: number;
}

/**
 * Where batches come from. A batch depends only on the source, the epoch and the step, so that any thread may make it
 * at any time.
 */
export interface BatchSource {
  readonly stepsPerEpoch: number;
  /** Images in a full batch. */
  readonly batchSize: number;
  /** The arrays may be used again for the next batch. */
  batch(epoch: number, step: number): Batch | Promise<Batch>;
}

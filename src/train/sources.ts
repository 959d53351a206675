// Where batches come from. A batch depends only on (seed, epoch, step), so nothing has to be saved to go on in the
// middle of an epoch, and any thread may make it.
import { cropFlipBatch, labelBatch, normalizeBatch } from "../data/augment.js";
import type { Batch, BatchSource } from "../data/batches.js";
import { type ImageSet, type Normalization, permutation } from "../data/image-set.js";
import { openPatches, type PatchOptions } from "../data/patches.js";
import type { PairFiles } from "../data/sr-pairs.js";
import { Random } from "../linalg/random.js";
import { rowsOf, type World } from "./world.js";

export type { Batch, BatchSource } from "../data/batches.js";

/** Batch `n` counted on over the epochs: where an epoch is short, its successors bring other patches. */
export async function nthBatch(source: BatchSource, n: number): Promise<Batch> {
  const { stepsPerEpoch } = source;
  return await source.batch(Math.floor(n / stepsPerEpoch), n % stepsPerEpoch);
}

/** A source that makes its batches where it is asked for them. May own open files: dispose it. */
export interface BatchMaker extends BatchSource, Disposable {
  batch(epoch: number, step: number): Batch;
}

export interface ImageSourceOptions {
  readonly batch: number;
  readonly augment: boolean;
  readonly normalization: Normalization;
  readonly dropLast: boolean;
  readonly seed: number;
  readonly labelled: boolean;
  /** Which of how many processes this is: it gets its rows of every batch. */
  readonly part?: Part;
}

type Part = Pick<World, "rank" | "size">;

interface PatchSourceOptions extends PatchOptions {
  readonly batch: number;
  readonly seed: number;
  readonly labelled: boolean;
  /** Batches that make an epoch; by default as many as there are images for. */
  readonly stepsPerEpoch?: number | undefined;
  readonly part?: Part;
}

/** A source as plain data, from which every thread makes the same batches. */
export type SourcePlan =
  | { readonly kind: "images"; readonly set: ImageSet; readonly options: ImageSourceOptions }
  | { readonly kind: "patches"; readonly pairs: readonly PairFiles[]; readonly options: PatchSourceOptions };

/** @throws what opening the images throws */
export async function openSource(plan: SourcePlan): Promise<BatchMaker> {
  const whole =
    plan.kind === "images" ? imageSource(plan.set, plan.options) : await patchSource(plan.pairs, plan.options);
  const { part } = plan.options;
  return part === undefined ? whole : { ...whole, batch: (epoch, step) => partOf(whole.batch(epoch, step), part) };
}

/**
 * The rows of a batch that are a process's own. The batch is made whole first: so the draws of its augmentation are
 * those of one process, and all processes together see what one would. Rows move within the batch's own arrays.
 */
export function partOf(batch: Batch, part: Part): Batch {
  const { input, inputDims, target, targetDims } = batch;
  const [count = 0, ...image] = inputDims;
  const { rows, share } = rowsOf(count, part);
  const taken = <T extends Float32Array | BigInt64Array>(values: T, dims: readonly number[]): T => {
    const length = dims.reduce((product, side) => product * side, 1);
    for (const [to, row] of rows.entries()) values.copyWithin(to * length, row * length, (row + 1) * length);
    return values.subarray(0, rows.length * length) as T;
  };
  return {
    input: taken(input, image),
    inputDims: [rows.length, ...image],
    target: target === null ? null : taken(target, targetDims.slice(1)),
    targetDims: [rows.length, ...targetDims.slice(1)],
    share,
  };
}

/** Batches of a labelled image set: every image once an epoch, in an order of its own. */
export function imageSource(set: ImageSet, options: ImageSourceOptions): BatchMaker {
  const { batch: size, augment, normalization, dropLast, seed, labelled } = options;
  const stepsPerEpoch = Math.max(1, dropLast ? Math.floor(set.count / size) : Math.ceil(set.count / size));
  let buffer = new Float32Array(0);
  let order: Uint32Array = new Uint32Array(0);
  let orderOf = -1;
  return {
    stepsPerEpoch,
    batchSize: size,
    batch(epoch, step) {
      // At the first batch, and where the last one was sent to another thread.
      if (buffer.length === 0) buffer = new Float32Array(size * 3 * set.height * set.width);
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
    [Symbol.dispose]() {},
  };
}

/** Batches of patches out of super-resolution pairs, each image as likely as any other. */
async function patchSource(pairs: readonly PairFiles[], options: PatchSourceOptions): Promise<BatchMaker> {
  const { batch: size, seed, labelled, stepsPerEpoch, ...how } = options;
  const patches = await openPatches(pairs, how);
  return {
    batchSize: size,
    stepsPerEpoch: stepsPerEpoch ?? Math.max(1, Math.floor(patches.count / size)),
    batch(epoch, step) {
      const { lr, hr, shapes } = patches.next(size, new Random(`patches ${seed} ${epoch} ${step}`));
      return { input: lr, inputDims: shapes.lr, target: labelled ? hr : null, targetDims: shapes.hr };
    },
    [Symbol.dispose]: () => patches.close(),
  };
}

// Gradients that become their mean over the processes of a group while the backward pass still goes on.
import { guarded } from "./errors.js";
import type { Group } from "./group.js";
import type { ReducerHandle } from "./group-bindings.js";
import { loadEngine } from "./native.js";
import type { Tensor } from "./tensor.js";

export interface BucketOptions {
  /** Bytes of the first bucket, that of the last layers, and of the others; as DistributedDataParallel has them. */
  readonly firstBytes?: number;
  readonly bytes?: number;
  /** False: all sums start after the backward pass. */
  readonly overlap?: boolean;
}

/** Parameters in buckets, the last ones first. The order of the sums is fixed, so that runs repeat bit for bit. */
export class GradientBuckets implements Disposable {
  readonly #group: Group;
  readonly #reducer: ReducerHandle;
  readonly #overlap: boolean;

  constructor(
    group: Group,
    parameters: readonly Tensor[],
    { firstBytes = 2 ** 20, bytes = 25 * 2 ** 20, overlap = true }: BucketOptions = {},
  ) {
    this.#group = group;
    this.#overlap = overlap;
    const handles = parameters.map(({ handle }) => handle);
    this.#reducer = guarded("buckets", () => loadEngine().reducerOpen(group.handle, handles, firstBytes, bytes));
  }

  get size(): number {
    return this.#group.size;
  }

  /** Bytes that a step sends through the sum, bucket by bucket. */
  get sizes(): readonly number[] {
    return loadEngine().reducerSizes(this.#reducer);
  }

  /** To be called before every backward pass. */
  begin(): void {
    guarded("buckets", () => loadEngine().reducerBegin(this.#reducer, this.#overlap));
  }

  /**
   * Waits after the backward pass until every gradient is the mean. Up to eight numbers go with the last bucket: the
   * result are their sums.
   * @throws FilterBasisError `group`
   */
  finish(numbers: readonly number[] = []): Promise<readonly number[]> {
    return this.#group.during("the mean of gradients", () => loadEngine().reducerFinish(this.#reducer, numbers));
  }

  [Symbol.dispose](): void {
    loadEngine().reducerClose(this.#reducer);
  }
}

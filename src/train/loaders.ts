// Loader threads: they make the next batches while the training thread computes. Each batch is made by the code, and
// from the numbers, that would make it there, so how many threads there are changes the time alone.
import type { Worker } from "node:worker_threads";
import type { ImageSet } from "../data/image-set.js";
import { FilterBasisError } from "../errors/error.js";
import { type Batch, type BatchSource, openSource, type SourcePlan } from "./sources.js";
import { type ErrorMessage, errorFromMessage, startThread } from "./thread.js";

export interface LoaderRequest {
  readonly epoch: number;
  readonly step: number;
}

/** One answer at the start, then one to each request, in their order. */
export type LoaderAnswer =
  | { readonly kind: "ready"; readonly stepsPerEpoch: number; readonly batchSize: number }
  | { readonly kind: "batch"; readonly batch: Batch }
  | { readonly kind: "failed"; readonly error: ErrorMessage };

/**
 * A source as the training asks it: made here without loaders, else by that many threads. Dispose it: threads end,
 * files close.
 */
export async function openBatches(plan: SourcePlan, loaders: number): Promise<BatchSource & Disposable> {
  if (loaders === 0) return openSource(plan);
  const shared = plan.kind === "images" ? { ...plan, set: sharedImages(plan.set) } : plan;
  const threads: Loader[] = [];
  const end = (): void => {
    for (const thread of threads) thread[Symbol.dispose]();
  };
  try {
    // One after the other: the first may have to decode the images, which the others then find decoded.
    for (let i = 0; i < loaders; i++) {
      const thread = new Loader(shared);
      threads.push(thread);
      await thread.ready;
    }
    const { stepsPerEpoch, batchSize } = await (threads[0] as Loader).ready;
    return { stepsPerEpoch, batchSize, batch: ahead(threads, stepsPerEpoch), [Symbol.dispose]: end };
  } catch (error) {
    end();
    throw error;
  }
}

/** Asks for one batch more than there are threads in advance, each thread in its turn. */
function ahead(threads: readonly Loader[], stepsPerEpoch: number): (epoch: number, step: number) => Promise<Batch> {
  let queue: { readonly epoch: number; readonly step: number; readonly batch: Promise<Batch> }[] = [];
  let turn = 0;
  const ask = ({ epoch, step }: LoaderRequest): void => {
    const thread = threads[turn++ % threads.length] as Loader;
    const batch = thread.make({ epoch, step });
    batch.catch(() => undefined); // a failure is told when it is this batch's turn, or never when it is not wanted any more
    queue.push({ epoch, step, batch });
  };
  return (epoch, step) => {
    const first = queue[0];
    // The first request of all, of a run that goes on, or after batch norm was recalibrated: what was asked for is of
    // no use.
    if (first?.epoch !== epoch || first.step !== step) {
      queue = [];
      ask({ epoch, step });
    }
    while (queue.length < threads.length + 2) {
      const last = queue.at(-1) as LoaderRequest;
      ask(
        last.step + 1 < stepsPerEpoch ? { epoch: last.epoch, step: last.step + 1 } : { epoch: last.epoch + 1, step: 0 },
      );
    }
    return (queue.shift() as (typeof queue)[number]).batch;
  };
}

/** A loader thread, seen from the training thread. */
class Loader implements Disposable {
  readonly ready: Promise<Extract<LoaderAnswer, { kind: "ready" }>>;
  readonly #thread: Worker;
  readonly #waiting: { resolve(answer: LoaderAnswer): void; reject(error: unknown): void }[] = [];
  #ended: FilterBasisError | undefined;

  constructor(plan: SourcePlan) {
    this.#thread = startThread("loader", plan);
    this.#thread.on("message", (answer: LoaderAnswer) => {
      const waiting = this.#waiting.shift();
      if (answer.kind === "failed") waiting?.reject(errorFromMessage(answer.error));
      else waiting?.resolve(answer);
    });
    this.#thread.on("error", (cause) => this.#end({ cause, got: String(cause) }));
    this.#thread.on("exit", (code) => this.#end({ got: `code ${code}` }));
    this.ready = this.#answer() as typeof this.ready;
  }

  async make(request: LoaderRequest): Promise<Batch> {
    this.#thread.postMessage(request);
    const { batch } = (await this.#answer()) as Extract<LoaderAnswer, { kind: "batch" }>;
    return batch;
  }

  #answer(): Promise<LoaderAnswer> {
    if (this.#ended !== undefined) return Promise.reject(this.#ended);
    return new Promise((resolve, reject) => this.#waiting.push({ resolve, reject }));
  }

  #end(details: { readonly cause?: unknown; readonly got: string }): void {
    this.#ended ??= new FilterBasisError("internal", "a loader thread has ended", {
      ...details,
      cures: ["set data.loaders to 0: the training thread makes the batches"],
    });
    for (const { reject } of this.#waiting.splice(0)) reject(this.#ended);
  }

  [Symbol.dispose](): void {
    void this.#thread.terminate();
  }
}

/** The same set in memory that all threads see; CIFAR-10 lies in such already. */
function sharedImages(set: ImageSet): ImageSet {
  if (set.images.buffer instanceof SharedArrayBuffer) return set;
  const images = new Uint8Array(new SharedArrayBuffer(set.images.length));
  images.set(set.images);
  return { ...set, images };
}

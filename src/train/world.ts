// The processes that train one network together, as the loop sees them. One process is a world of one.
import type { Tensor } from "../torch/index.js";

export interface World {
  /** Which of the processes this is, 0 .. size - 1. */
  readonly rank: number;
  readonly size: number;
  /**
   * Replaces the elements of each tensor by their sum over all processes; every process calls it with tensors of the
   * same shapes.
   */
  allReduce(tensors: readonly Tensor[]): void;
  /** Waits until every process is here. */
  barrier(): Promise<void>;
}

export const alone: World = { rank: 0, size: 1, allReduce: () => undefined, barrier: async () => undefined };

// How fast the engine computes here: a matrix product, a convolution, and what waking the threads for a small operator
// costs.

import { noGrad } from "./autograd.js";
import { call } from "./call.js";
import { type Device, synchronize } from "./device.js";
import { randn } from "./make.js";
import { TensorScope } from "./scope.js";
import { setThreads, threads } from "./settings.js";
import type { Tensor } from "./tensor.js";

export interface Speed {
  readonly threads: number;
  /** Float32, 1024 x 1024 by 1024 x 1024, billions of operations a second (a multiply-add counts as two). */
  readonly matrixGflops: number;
  /** Float32, 64 to 64 channels, 3 x 3, on 8 x 56 x 56. */
  readonly convolutionGflops: number;
  /** Milliseconds of a convolution too small to gain from threads: 16 to 16 channels on 1 x 8 x 8. */
  readonly smallMs: number;
}

/** What a GPU gives, billions of operations a second. */
export interface GpuSpeed {
  readonly device: Device;
  /** 4096 x 4096 by 4096 x 4096. */
  readonly matrixGflops: { readonly float32: number; readonly bfloat16: number };
  /** 256 to 256 channels, 3 x 3, on 64 x 56 x 56. */
  readonly convolutionGflops: { readonly float32: number; readonly bfloat16: number };
}

/** Measures a GPU. Takes about a second, after libtorch has loaded its kernels. */
export function measureGpu(device: Device, now: () => number = () => performance.now()): GpuSpeed {
  using _scope = new TensorScope();
  const waited = (run: () => Tensor) => () => {
    const made = run();
    synchronize(device);
    return made;
  };
  const rates = (dtype: "float32" | "bfloat16") => {
    const made = (shape: readonly number[]) => call("to.dtype", randn(shape, { device }), dtype);
    const [square, image, filters] = [made([4096, 4096]), made([64, 256, 56, 56]), made([256, 256, 3, 3])];
    const matrix = best(
      waited(() => call("mm", square, square)),
      200,
      now,
    );
    const convolution = best(
      waited(() => call("conv2d", image, filters, null, [1, 1], [1, 1])),
      200,
      now,
    );
    return {
      matrix: (2 * 4096 ** 3) / (matrix * 1e6),
      convolution: (2 * 256 * 256 * 9 * 64 * 56 * 56) / (convolution * 1e6),
    };
  };
  return noGrad(() => {
    const [float32, bfloat16] = [rates("float32"), rates("bfloat16")];
    return {
      device,
      matrixGflops: { float32: float32.matrix, bfloat16: bfloat16.matrix },
      convolutionGflops: { float32: float32.convolution, bfloat16: bfloat16.convolution },
    };
  });
}

/** Measures with a given number of threads, then sets back the number there was. Takes about a second. */
export function measureSpeed(count: number, now: () => number = () => performance.now()): Speed {
  const before = threads();
  setThreads(count);
  try {
    using _scope = new TensorScope();
    return noGrad(() => {
      const square = randn([1024, 1024]);
      const image = randn([8, 64, 56, 56]);
      const filters = randn([64, 64, 3, 3]);
      const small = randn([1, 16, 8, 8]);
      const smallFilters = randn([16, 16, 3, 3]);
      const matrix = best(() => call("mm", square, square), 300, now);
      const convolution = best(() => call("conv2d", image, filters, null, [1, 1], [1, 1]), 300, now);
      return {
        threads: count,
        matrixGflops: (2 * 1024 ** 3) / (matrix * 1e6),
        convolutionGflops: (2 * 64 * 64 * 9 * 8 * 56 * 56) / (convolution * 1e6),
        smallMs: median(() => call("conv2d", small, smallFilters, null, [1, 1], [1, 1]), 100, now),
      };
    });
  } finally {
    setThreads(before);
  }
}

/** Times repeated runs for about `budget` milliseconds after three of warming up. */
function times(run: () => { dispose(): void }, budget: number, now: () => number): number[] {
  for (let i = 0; i < 3; i++) run().dispose();
  const found: number[] = [];
  for (const begun = now(); found.length < 5 || now() - begun < budget; ) {
    const start = now();
    run().dispose();
    found.push(now() - start);
  }
  return found.sort((a, b) => a - b);
}

/** The best run: what the machine can do when nobody disturbs it. */
const best = (run: () => { dispose(): void }, budget: number, now: () => number): number => times(run, budget, now)[0]!;

/** The middle run: what it does as it is now. */
function median(run: () => { dispose(): void }, budget: number, now: () => number): number {
  const all = times(run, budget, now);
  return all[all.length >> 1]!;
}

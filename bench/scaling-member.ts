// One of the two processes of bench/scaling.ts; answers its messages.
import { Random } from "../src/linalg/random.js";
import { resnet } from "../src/nets/resnet.js";
import { GradientBuckets } from "../src/torch/gradient-buckets.js";
import { joinGroup } from "../src/torch/group.js";
import { fromArray, setThreads } from "../src/torch/index.js";
import type { Batch } from "../src/train/sources.js";
import { Contender } from "./contender.js";

export type Mode = "alone" | "overlapped" | "after";

export type Request =
  | { readonly command: "begin"; readonly mode: Mode; readonly depth: number; readonly images: number }
  | { readonly command: "steps"; readonly count: number }
  | { readonly command: "sums"; readonly bytes: number; readonly count: number }
  | { readonly command: "end" };

export interface Answer {
  /** Milliseconds of each step, or sum. */
  readonly ms: readonly number[];
  /** Bytes that a step sends through the sum, bucket by bucket. */
  readonly bytes: readonly number[];
}

const [rank, size] = [Number(process.env.RANK), Number(process.env.WORLD_SIZE)];
setThreads(1);
const group = await joinGroup({ rank, size, meeting: { kind: "file", path: process.env.FILTERBASIS_MEETING! } });
let contender: Contender | undefined;
let batch: Batch | undefined;
let buckets: GradientBuckets | undefined;

function batchOf(images: number): Batch {
  const random = new Random(`batch ${rank}`);
  return {
    input: Float32Array.from({ length: images * 3 * 32 * 32 }, () => random.normal()),
    inputDims: [images, 3, 32, 32],
    target: BigInt64Array.from({ length: images }, () => BigInt(random.int(10))),
    targetDims: [images],
    share: 1 / size,
  };
}

function begin({ mode, depth, images }: Extract<Request, { command: "begin" }>): Answer {
  contender?.[Symbol.dispose]();
  buckets = undefined;
  batch = batchOf(images);
  const sgd = { name: "sgd", momentum: 0.9, nesterov: true, weightDecay: 1e-4 } as const;
  contender = new Contender(resnet(depth, { classes: 10, init: "kaiming", seed: 1 }), "cross-entropy", sgd, 0.01, {
    ...(mode !== "alone" && {
      shared: (parameters) => (buckets = new GradientBuckets(group, parameters, { overlap: mode === "overlapped" })),
    }),
  });
  return { ms: [], bytes: buckets === undefined ? [] : (buckets as GradientBuckets).sizes };
}

async function steps(count: number): Promise<Answer> {
  const ms: number[] = [];
  for (let i = 0; i < count; i++) ms.push((await contender!.step(batch!)).ns / 1e6);
  return { ms, bytes: [] };
}

async function sums(bytes: number, count: number): Promise<Answer> {
  using tensor = fromArray(new Float32Array(bytes / 4), [bytes / 4]);
  const ms: number[] = [];
  for (let i = 0; i < count; i++) {
    const start = performance.now();
    await group.allReduce([tensor]);
    ms.push(performance.now() - start);
  }
  return { ms, bytes: [bytes] };
}

process.on("message", async (request: Request) => {
  if (request.command === "begin") process.send!(begin(request));
  else if (request.command === "steps") process.send!(await steps(request.count));
  else if (request.command === "sums") process.send!(await sums(request.bytes, request.count));
  else {
    await group.leave();
    process.exit(0);
  }
});
process.send!({ ms: [], bytes: [] });

// Training steps of ResNets: the same weights and batches here and in PyTorch.
import { Random } from "../src/linalg/random.js";
import { resnet } from "../src/nets/resnet.js";
import type { Batch } from "../src/train/sources.js";
import { Contender, type Elements, writeTensors } from "./contender.js";
import type { Python } from "./python.js";

export const rate = 0.01;
const batchSize = 128;
const inputDims = [batchSize, 3, 32, 32];

export interface LabelledBatch extends Batch {
  readonly target: BigInt64Array;
}

/** Normal noise and random labels, from a seed. */
export function makeBatches(count: number, seed: number): readonly LabelledBatch[] {
  const random = new Random(seed);
  const normal = () => Math.sqrt(-2 * Math.log(1 - random.next())) * Math.cos(2 * Math.PI * random.next());
  return Array.from({ length: count }, () => ({
    input: Float32Array.from({ length: batchSize * 3 * 32 * 32 }, normal),
    inputDims,
    target: BigInt64Array.from({ length: batchSize }, () => BigInt(Math.floor(random.next() * 10))),
    targetDims: [batchSize],
  }));
}

export async function sendBatches(python: Python, path: string, batches: readonly LabelledBatch[]): Promise<void> {
  const tensors = batches.flatMap(({ input, target }, i): Elements[] => [
    [`x${i}`, inputDims, input],
    [`y${i}`, [batchSize], target],
  ]);
  await python.ask("batches", { path, index: writeTensors(path, tensors) });
}

/** A ResNet that is trained here; its weights go to PyTorch under the same names. */
export async function startResnet(
  depth: number,
  key: string,
  path: string,
  python: Python | undefined,
): Promise<Contender> {
  const sgd = { name: "sgd", momentum: 0.9, nesterov: false, weightDecay: 1e-4 } as const;
  const contender = new Contender(resnet(depth, { seed: 1 }), "cross-entropy", sgd, rate);
  await python?.ask("net", { key, depth, path, index: writeTensors(path, contender.tensors()), rate });
  return contender;
}

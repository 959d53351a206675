// Training steps of ResNets: the same weights and batches here and in PyTorch.
import { writeFileSync } from "node:fs";
import { Network } from "../src/engine/network.js";
import type { Graph } from "../src/graph/types.js";
import { Random } from "../src/linalg/random.js";
import { resnet } from "../src/nets/resnet.js";
import { optimizer } from "../src/train/optimizers.js";
import { type Learner, learn } from "../src/train/step.js";
import type { Python } from "./python.js";

export const rate = 0.01;
const batchSize = 128;
const inputDims = [batchSize, 3, 32, 32];

/** Tensors in one raw file: name -> [dtype, shape, offset in bytes]. */
type Index = Record<string, ["float32" | "int64", readonly number[], number]>;

function writeTensors(
  path: string,
  tensors: Iterable<readonly [string, readonly number[], Float32Array | BigInt64Array]>,
): Index {
  const index: Index = {};
  const parts: Buffer[] = [];
  let offset = 0;
  for (const [name, shape, data] of tensors) {
    index[name] = [data instanceof Float32Array ? "float32" : "int64", shape, offset];
    const bytes = Buffer.from(data.buffer, data.byteOffset, data.byteLength);
    const padding = Buffer.alloc((8 - (bytes.length % 8)) % 8);
    parts.push(bytes, padding);
    offset += bytes.length + padding.length;
  }
  writeFileSync(path, Buffer.concat(parts));
  return index;
}

export interface Batch {
  readonly input: Float32Array;
  readonly target: BigInt64Array;
}

/** Normal noise and random labels, from a seed. */
export function makeBatches(count: number, seed: number): readonly Batch[] {
  const random = new Random(seed);
  const normal = () => Math.sqrt(-2 * Math.log(1 - random.next())) * Math.cos(2 * Math.PI * random.next());
  return Array.from({ length: count }, () => ({
    input: Float32Array.from({ length: batchSize * 3 * 32 * 32 }, normal),
    target: BigInt64Array.from({ length: batchSize }, () => BigInt(Math.floor(random.next() * 10))),
  }));
}

export async function sendBatches(python: Python, path: string, batches: readonly Batch[]): Promise<void> {
  const index = writeTensors(
    path,
    batches.flatMap(({ input, target }, i) => [[`x${i}`, inputDims, input] as const, [`y${i}`, [batchSize], target] as const]),
  );
  await python.ask("batches", { path, index });
}

/** A network that learns here; its weights go to PyTorch under the same names. */
export class Contender implements Disposable {
  readonly #learner: Learner;

  private constructor(learner: Learner) {
    this.#learner = learner;
  }

  static async start(depth: number, key: string, path: string, python: Python | undefined): Promise<Contender> {
    const graph: Graph = resnet(depth, { seed: 1 });
    const network = new Network(graph);
    const all = [...network.parameters, ...network.buffers];
    if (python !== undefined) {
      const index = writeTensors(
        path,
        all.map(([name, tensor]) => [name, tensor.shape, tensor.floats()] as const),
      );
      await python.ask("net", { key, depth, path, index, rate });
    }
    const update = optimizer(network.parameters, { name: "sgd", momentum: 0.9, nesterov: false, weightDecay: 1e-4 });
    const loss: Learner["loss"] = { task: "cross-entropy", labelSmoothing: 0, gamma: 0, anneal: "none" };
    return new Contender({ graph, network, input: "input", output: "output", optimizer: update, loss, layers: [] });
  }

  /** One step: its loss and nanoseconds, the batch's copy included. */
  step({ input, target }: Batch): { loss: number; ns: number } {
    const start = process.hrtime.bigint();
    const { loss } = learn(this.#learner, { input, inputDims, target, targetDims: [batchSize] }, rate, 0);
    return { loss, ns: Number(process.hrtime.bigint() - start) };
  }

  [Symbol.dispose](): void {
    this.#learner.optimizer[Symbol.dispose]();
    this.#learner.network[Symbol.dispose]();
  }
}

// A network that is trained here as a training does, and the file in which its weights go to PyTorch under the same
// names.
import { writeFileSync } from "node:fs";
import type { Graph } from "../src/graph/types.js";
import { Network } from "../src/interpreter/network.js";
import type { Device, Precision, Tensor } from "../src/torch/index.js";
import { LossScaler } from "../src/train/loss-scaler.js";
import { type OptimizerOptions, optimizer } from "../src/train/optimizers.js";
import type { Batch } from "../src/train/sources.js";
import { type Trainer, trainStep } from "../src/train/step.js";
import type { SharedGradients } from "../src/train/world.js";

/** Tensors in one raw file: name -> [dtype, shape, offset in bytes]. */
export type Index = Record<string, ["float32" | "int64", readonly number[], number]>;

export type Elements = readonly [name: string, shape: readonly number[], data: Float32Array | BigInt64Array];

/** Writes tensors for bench/partner.py. */
export function writeTensors(path: string, tensors: Iterable<Elements>): Index {
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

interface ContenderOptions {
  readonly device?: Device;
  readonly precision?: Precision;
  /** Of several processes, each of which takes an equal share of every batch. */
  readonly shared?: (parameters: readonly Tensor[]) => SharedGradients;
}

/** Steps of a graph with one input `input` and one output `output`. */
export class Contender implements Disposable {
  readonly #trainer: Trainer;
  readonly #rate: number;

  constructor(
    graph: Graph,
    task: Trainer["loss"]["task"],
    options: OptimizerOptions,
    rate: number,
    { device = "cpu", precision = "float32", shared }: ContenderOptions = {},
  ) {
    const network = new Network(graph, { device });
    const loss: Trainer["loss"] = { task, labelSmoothing: 0, gamma: 0, anneal: "none" };
    const update = optimizer(network.parameters, options);
    const scaler = precision === "float16" ? { scaler: new LossScaler() } : {};
    this.#trainer = {
      ...{ graph, network, input: "input", outputs: ["output"], optimizer: update, loss, layers: [] },
      ...{ precision, ...scaler, ...(shared && { shared: shared([...network.parameters.values()]) }) },
    };
    this.#rate = rate;
  }

  /** Its parameters and statistics as they are now. */
  tensors(): readonly Elements[] {
    const { parameters, buffers } = this.#trainer.network;
    return [...parameters, ...buffers].map(([name, tensor]) => [name, tensor.shape, tensor.floats()]);
  }

  /** One step: its loss and nanoseconds, the batch's copy included. */
  async step(batch: Batch): Promise<{ loss: number; ns: number }> {
    const start = process.hrtime.bigint();
    const { losses } = await trainStep(this.#trainer, batch, this.#rate, 0);
    return { loss: losses.loss, ns: Number(process.hrtime.bigint() - start) };
  }

  [Symbol.dispose](): void {
    this.#trainer.shared?.[Symbol.dispose]();
    this.#trainer.optimizer[Symbol.dispose]();
    this.#trainer.network[Symbol.dispose]();
  }
}

// Top-1 error of a classifier.
import { normalizeBatch } from "../data/augment.js";
import type { ImageSet, Normalization } from "../data/image-set.js";
import { FilterBasisError } from "../errors/error.js";
import { float32Tensor } from "../graph/attributes.js";
import type { TensorData } from "../graph/types.js";
import { floats } from "../graph/values.js";
import type { Feeds, Port, Session } from "../runtime/session.js";

/** The part of a session that is needed; a network in training can stand here too. */
export type Runnable = Pick<Session, "inputs" | "outputs" | "run">;

export interface TopOne {
  /** Percent of the images that are put into a wrong class. */
  readonly top1Error: number;
  readonly wrong: number;
  readonly images: number;
}

export interface TopOneOptions {
  readonly batch?: number;
  readonly progress?: (done: number) => void;
  readonly signal?: AbortSignal;
}

/**
 * Classifies every image without augmentation. Of equal scores the first class counts, as in the argmax of PyTorch and
 * NumPy.
 * @throws FilterBasisError `data-mismatch` (the model takes other images or knows another number of classes),
 * `non-finite` (scores), `interrupted`
 * @example
 * ```ts
 * import { loadImageData, openSession, parseNormalization, topOne } from "filterbasis";
 *
 * const { test } = await loadImageData("classes");
 * const session = await openSession("model.onnx");
 * const { top1Error } = await topOne(session, test, parseNormalization("cifar10"));
 * console.log(top1Error);
 * await session.release();
 * ```
 */
export async function topOne(
  model: Runnable,
  set: ImageSet,
  normalization: Normalization,
  { batch = 100, progress = () => undefined, signal }: TopOneOptions = {},
): Promise<TopOne> {
  const input = classifierInput(model, set);
  const fixed = typeof input.dims[0] === "number" ? input.dims[0] : undefined;
  const step = fixed ?? batch;
  const buffer = new Float32Array(step * 3 * set.height * set.width);
  const dims = [step, 3, set.height, set.width];
  let wrong = 0;
  for (let done = 0; done < set.count; done += step) {
    if (signal?.aborted) throw new FilterBasisError("interrupted", "stopped while evaluating");
    const count = Math.min(step, set.count - done);
    normalizeBatch(
      set,
      Uint32Array.from({ length: count }, (_, n) => done + n),
      normalization,
      buffer,
    );
    // A model with a fixed batch gets a full one; what stands in the rest of it does not count.
    const fed = fixed === undefined ? count : step;
    const feeds: Feeds = {
      [input.name]: float32Tensor([fed, ...dims.slice(1)], buffer.subarray(0, fed * 3 * set.height * set.width)),
    };
    const scores = classScores(await model.run(feeds), model, set, fed);
    for (let n = 0; n < count; n++) if (best(scores, n, set.classes.length) !== set.labels[done + n]) wrong++;
    progress(done + count);
  }
  return { top1Error: (100 * wrong) / set.count, wrong, images: set.count };
}

function classifierInput(model: Runnable, set: ImageSet): Port {
  const [input, ...more] = model.inputs;
  const wanted = [null, 3, set.height, set.width];
  const fits =
    input?.dims.length === 4 &&
    wanted.every((size, axis) => size === null || typeof input.dims[axis] !== "number" || input.dims[axis] === size);
  if (input !== undefined && more.length === 0 && fits && input.type === "float32") return input;
  throw new FilterBasisError("data-mismatch", `the model does not take the images of ${set.name}`, {
    expected: `one float32 input [N, 3, ${set.height}, ${set.width}]`,
    got: model.inputs
      .map(({ name, type, dims }) => `${name} ${type} [${dims.map((dim) => dim ?? "?").join(", ")}]`)
      .join("; "),
  });
}

function classScores(
  outputs: Readonly<Record<string, TensorData>>,
  model: Runnable,
  set: ImageSet,
  count: number,
): Float32Array {
  const output = outputs[model.outputs[0]?.name ?? ""];
  const classes = set.classes.length;
  const size = output?.dims.reduce((product, dim) => product * dim, 1);
  if (output === undefined || output.dims[0] !== count || size !== count * classes) {
    throw new FilterBasisError("data-mismatch", `the model does not tell the classes of ${set.name} apart`, {
      expected: `an output [${count}, ${classes}]`,
      got: output === undefined ? "none" : `[${output.dims.join(", ")}]`,
    });
  }
  const scores = floats(output);
  if (scores.some((score) => Number.isNaN(score))) {
    throw new FilterBasisError("non-finite", "the model gives scores that are not numbers", {
      tensor: model.outputs[0]?.name ?? "",
    });
  }
  return scores;
}

function best(scores: Float32Array, row: number, classes: number): number {
  let winner = 0;
  for (let k = 1; k < classes; k++) if (scores[row * classes + k]! > scores[row * classes + winner]!) winner = k;
  return winner;
}

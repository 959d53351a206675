// Images without labels, for distillation alone: they go in as they do where the network is evaluated, at its own size,
// and there is nothing to measure on.
import type { Data } from "../data/dataset.js";
import type { InputOptions } from "../data/inputs.js";
import { FilterBasisError } from "../errors/error.js";
import type { Runnable } from "../evaluate/classify.js";
import { conventionKeys } from "../evaluate/conventions.js";
import type { Recipe } from "./recipe.js";
import { type BatchSource, partOf } from "./sources.js";
import type { Opener } from "./task-data.js";

/** @throws what opening images throws; FilterBasisError `data-mismatch` where no batch would be whole */
export const unlabelled: Opener = async (recipe, from, original, note, world) => {
  const { data, seed } = recipe;
  const { batch, dropLast, normalize, range = 1, channels, fit, lowResolution, subset } = data;
  const inputs = await from.inputs({
    ...{ batch, normalize, range, seed, note, ...sizesFor(original, lowResolution) },
    ...(channels && { channels }),
    ...(fit && { fit }),
    ...(subset !== undefined && { limit: subset }),
  });
  note(`${inputs.count} images without labels: there is nothing to measure quality on`);
  const stepsPerEpoch = dropLast ? wholeBatches(from, inputs.count, batch) : inputs.stepsPerEpoch;
  const whole: BatchSource = { ...inputs, stepsPerEpoch };
  const ownRows: BatchSource["batch"] = async (epoch, step) => {
    const made = await inputs.batch(epoch, step);
    // rows move within the array: not within the data's own
    return partOf({ ...made, input: made.input.slice() }, world);
  };
  return {
    source: world.size === 1 ? whole : { ...whole, batch: ownRows },
    whole,
    primaryMetric: { name: "top1Error", higher: false },
    evaluate: async () => ({}),
    conventions: {
      [conventionKeys.normalize]: normalize,
      ...(range === 255 && { [conventionKeys.range]: "255" }),
      ...(channels && { [conventionKeys.channels]: channels }),
      ...(fit && { [conventionKeys.fit]: fit }),
      ...(lowResolution && { [conventionKeys.scale]: String(lowResolution.scale) }),
    },
    [Symbol.dispose]: () => undefined,
  };
};

/** What images are brought to, so that they have the size of the network's input once they were enlarged again. */
function sizesFor({ inputs }: Runnable, lowResolution: Recipe["data"]["lowResolution"]): InputOptions {
  const { scale, enlarge = false } = lowResolution ?? {};
  const unit = enlarge ? (scale ?? 1) : 1;
  const [height, width] = inputs[0]?.dims.slice(2) ?? [];
  return {
    ...(typeof height === "number" && typeof width === "number"
      ? { size: { width: Math.floor(width / unit), height: Math.floor(height / unit) } }
      : {}),
    ...(scale !== undefined && { scale, enlarge: unit }),
  };
}

/** @throws FilterBasisError `data-mismatch` */
function wholeBatches({ name: file }: Data, count: number, batch: number): number {
  if (count >= batch) return Math.floor(count / batch);
  throw new FilterBasisError("data-mismatch", "there are fewer images than one batch takes", {
    ...{ file, expected: `at least ${batch}`, got: String(count) },
  });
}

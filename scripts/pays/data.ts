// What each network is calibrated on: photographs where its input is one, else arrays of random numbers made from a
// seed.
import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { writeSafetensors } from "../../src/formats/safetensors.js";
import { float32Tensor } from "../../src/graph/attributes.js";
import type { TensorData } from "../../src/graph/types.js";
import { Random } from "../../src/linalg/random.js";
import type { Feed } from "../wild/feeds.js";

/** Examples of an array: some to calibrate on, the others held out. */
const examples = 24;

/** Whether photographs go in: one input of rank 4 with one or three channels in front or at the end. */
export function takesPictures({ inputs }: Feed): boolean {
  const [first] = inputs;
  if (inputs.length !== 1 || first === undefined || first.dims.length !== 4) return false;
  const [, front = 0, rows = 0, back = 0] = first.dims;
  const planes = [1, 3].includes(front) ? [rows, back] : [1, 3].includes(back) ? [front, rows] : [];
  return planes.length === 2 && planes.every((size) => size >= 16);
}

/**
 * A file of random arrays, one for each input, by the inputs' names: an input beside others whose first axis is no
 * batch is there whole for each example.
 */
export function randomArrays(name: string, { inputs }: Feed, folder: string): string {
  mkdirSync(folder, { recursive: true });
  const path = join(folder, `${name}.safetensors`);
  if (existsSync(path)) return path;
  const random = new Random(`arrays of ${name}`);
  const tensors = inputs.map(({ name: input, dims }): [string, TensorData] => {
    const shape = [examples, ...(inputs.length > 1 && dims[0] !== 1 ? dims : dims.slice(1))];
    const count = shape.reduce((product, size) => product * size, 1);
    return [
      input,
      float32Tensor(
        shape,
        Float32Array.from({ length: count }, () => random.normal()),
      ),
    ];
  });
  writeFileSync(path, Buffer.concat(writeSafetensors(new Map(tensors))));
  return path;
}

// Images beside their mirror images: twice as many to fit to, without one more to look for, where the network takes
// mirror images as well as images. Each stands before its own, so that both are in one batch and none of them decides
// about what the other was fitted to.
import type { Graph, TensorData } from "../graph/types.js";
import { floats, isFloat, tensorOf } from "../graph/values.js";
import { activationOf, type CalibrationImages, type Engine } from "./engine.js";
import type { Activation } from "./geometry.js";

/** Feeds of [N, C, H, W] are mirrored along W; all others, which are no images, stay as they are. */
export function withMirrored(images: CalibrationImages): CalibrationImages {
  return {
    count: 2 * images.count,
    ...(images.key === undefined ? {} : { key: `${images.key} mirrored` }),
    async feeds(first, count) {
      const start = Math.floor(first / 2);
      const own = await images.feeds(start, Math.ceil((first + count) / 2) - start);
      return Object.fromEntries(
        Object.entries(own).map(([name, value]) => [name, inTurn(value, first - 2 * start, count)]),
      );
    },
  };
}

/** Each image and its mirror image in turn, `count` of them from `from` on. */
function inTurn(value: TensorData, from: number, count: number): TensorData {
  const [images = 1, ...dims] = value.dims;
  const bytes = value.data.byteLength / images;
  const turned = dims.length === 3 && isFloat(value.type) ? mirrored(value) : value;
  const data = new Uint8Array(bytes * count);
  for (let i = 0; i < count; i++) {
    const [source, row] = [(from + i) % 2 === 0 ? value : turned, Math.floor((from + i) / 2)];
    data.set(source.data.subarray(row * bytes, (row + 1) * bytes), i * bytes);
  }
  return { type: value.type, dims: [count, ...dims], data };
}

function mirrored(value: TensorData): TensorData {
  const values = floats(value).slice();
  turnRows(values, value.dims.at(-1)!);
  return tensorOf(value.type, value.dims, values);
}

function turnRows(values: Float32Array, width: number): void {
  for (let at = 0; at < values.length; at += width) values.subarray(at, at + width).reverse();
}

/** Images that are tried, and what must agree at least: the share of classes, or the correlation of maps. */
const [tried, classes, maps] = [16, 0.8, 0.9];

/**
 * Whether the network makes of mirror images what it makes of images: of most the same class, or nearly the mirrored
 * map. Text, say, is read in one direction. By the first output; false where that is neither.
 */
export async function takesMirrored(graph: Graph, images: CalibrationImages, engine: Engine): Promise<boolean> {
  const pairs = withMirrored(images);
  const output = graph.outputs[0]?.name ?? "";
  const session = await engine.open(graph);
  try {
    const count = Math.min(images.count, tried);
    let [alike, least] = [0, classes];
    for (let i = 0; i < count; i++) {
      const own = activationOf(await session.run(await pairs.feeds(2 * i, 1)), output);
      const other = activationOf(await session.run(await pairs.feeds(2 * i + 1, 1)), output);
      if (own.dims.join() !== other.dims.join()) return false;
      if (own.dims.length === 2) alike += largest(own.values) === largest(other.values) ? 1 : 0;
      else if (own.dims.length === 4) [alike, least] = [alike + mapAgreement(own, other), maps];
      else return false;
    }
    return alike >= least * count;
  } finally {
    await session.close();
  }
}

const largest = (values: Float32Array): number =>
  values.reduce((best, value, i) => (value > values[best]! ? i : best), 0);

/** The correlation of one map with the other one turned. */
function mapAgreement({ dims, values }: Activation, other: Activation): number {
  const turned = other.values.slice();
  turnRows(turned, dims.at(-1)!);
  const mean = (of: Float32Array) => of.reduce((sum, value) => sum + value, 0) / of.length;
  const [a, b] = [mean(values), mean(turned)];
  let [ab, aa, bb] = [0, 0, 0];
  for (const [i, value] of values.entries()) {
    const [x, y] = [value - a, turned[i]! - b];
    ab += x * y;
    aa += x * x;
    bb += y * y;
  }
  return aa > 0 && bb > 0 ? ab / Math.sqrt(aa * bb) : 0;
}

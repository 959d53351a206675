// Eight-bit numbers: which step and zero point stand for a range of floats, and rounding to them. A float x is stood
// for by the integer q = clamp(round(x / scale) + zero), and q stands for (q - zero) scale (ONNX QuantizeLinear,
// DequantizeLinear).
import { tensorOf } from "../../graph/index.js";
import type { TensorData } from "../../graph/types.js";
import { roundEven } from "../../graph/values.js";
import type { RoundedRows } from "./ordered-rounding.js";

/** The integer types that layers compute with. */
export type EightBits = "int8" | "uint8";

/** Smallest and largest integer of a type. */
export const limits: Readonly<Record<EightBits | "int32", readonly [low: number, high: number]>> = {
  int8: [-128, 127],
  uint8: [0, 255],
  int32: [-(2 ** 31), 2 ** 31 - 1],
};

/** Values between `low` and `high` occur. */
export interface Range {
  readonly low: number;
  readonly high: number;
}

export interface Step {
  readonly type: EightBits;
  readonly scale: number;
  readonly zero: number;
}

/** The smallest normal float32 with room for products of two: a scale is never 0 nor subnormal. */
const smallestScale = 2 ** -60;

/**
 * The step of an activation. 0 is always among the values that are stood for exactly, for padding and ReLU rely on it.
 * Values that are 0 throughout get the step 1.
 */
export function stepOf({ low, high }: Range, type: EightBits = "uint8"): Step {
  const [least, most] = [Math.min(0, low), Math.max(0, high)];
  const [first, last] = limits[type];
  if (!(most - least > 0) || !Number.isFinite(most - least)) return { type, scale: 1, zero: first };
  const even = (most - least) / (last - first);
  const zero = Math.min(last, Math.max(first, roundEven(first - least / even)));
  // The zero point was rounded: the step grows until both ends are reached again.
  const above = zero < last ? most / (last - zero) : 0;
  const below = zero > first ? -least / (zero - first) : 0;
  const scale = Math.fround(Math.max(smallestScale, above, below));
  return { type, scale, zero };
}

/** The integer that stands for a number. */
export function quantized(value: number, { type, scale, zero }: Step): number {
  const [first, last] = limits[type];
  return Math.min(last, Math.max(first, roundEven(Math.fround(value / scale)) + zero));
}

/** The number that an integer stands for. */
export const dequantized = (integer: number, { scale, zero }: Pick<Step, "scale" | "zero">): number =>
  Math.fround((integer - zero) * scale);

/** How weights are rounded. Symmetric: 0 is stood for by `zero`, and the range reaches `most` to both sides. */
export interface WeightFormat {
  readonly type: EightBits;
  readonly zero: number;
  readonly most: number;
}

/**
 * `int8`: 127 steps to both sides. `int7`: 63, so that no sum of two products of eight bits leaves 16 bits. `uint8`: as
 * int8 with 128 for 0, for processors that multiply unsigned numbers exactly.
 */
export const weightFormats = {
  int8: { type: "int8", zero: 0, most: 127 },
  int7: { type: "int8", zero: 0, most: 63 },
  uint8: { type: "uint8", zero: 128, most: 127 },
} as const satisfies Readonly<Record<string, WeightFormat>>;

export type WeightFormatName = keyof typeof weightFormats;

/** Weights as integers with one scale for each index of `axis`. */
export interface QuantizedWeight {
  readonly integers: TensorData;
  readonly scales: Float32Array;
  /** What the integers stand for, row-major as the weight. */
  readonly values: Float64Array;
}

/**
 * Rounds a weight, each channel by itself. `atLeast` are the smallest scales that channels may have (a bias must fit
 * into 32 bits of products). A channel of zeros gets the step 1. `given` is taken where its scales are those found
 * here: a channel is a row of it.
 */
export function quantizeWeight(
  values: Float64Array,
  dims: readonly number[],
  axis: number,
  { type, zero, most }: WeightFormat,
  atLeast?: ArrayLike<number>,
  given?: RoundedRows,
): QuantizedWeight {
  const channels = dims[axis] ?? 1;
  const inner = dims.slice(axis + 1).reduce((product, size) => product * size, 1);
  const channelOf = (index: number): number => Math.floor(index / inner) % channels;
  const largest = new Float64Array(channels);
  for (let i = 0; i < values.length; i++) {
    const channel = channelOf(i);
    largest[channel] = Math.max(largest[channel]!, Math.abs(values[i]!));
  }
  const scales = Float32Array.from(largest, (size, channel) => {
    const least = Math.max(smallestScale, atLeast?.[channel] ?? 0);
    return size > 0 ? Math.max(least, size / most) : Math.max(least, atLeast?.[channel] ? 0 : 1);
  });
  const integers = new Int32Array(values.length);
  const rounded = new Float64Array(values.length);
  const rows = given?.scales.every((scale, channel) => scale === scales[channel]) ? given.steps : undefined;
  const columns = values.length / channels;
  const rowMajor = (index: number): number => {
    const before = Math.floor(index / (inner * channels));
    return channelOf(index) * columns + before * inner + (index % inner);
  };
  for (let i = 0; i < values.length; i++) {
    const scale = scales[channelOf(i)]!;
    const steps = rows?.[rowMajor(i)] ?? Math.min(most, Math.max(-most, roundEven(values[i]! / scale)));
    integers[i] = steps + zero;
    rounded[i] = Math.fround(steps * scale);
  }
  return { integers: tensorOf(type, dims, integers), scales, values: rounded };
}

/** A bias as 32-bit integers of the scale in which the products are summed. */
export function quantizeBias(bias: ArrayLike<number>, scales: ArrayLike<number>): Int32Array {
  const [first, last] = limits.int32;
  return Int32Array.from(bias, (value, i) => Math.min(last, Math.max(first, roundEven(value / scales[i]!))));
}

/** The smallest weight scales with which a bias takes at most 30 bits, leaving one for the products beside it. */
export function scalesForBias(bias: ArrayLike<number>, inputScale: number): Float64Array {
  return Float64Array.from(bias, (value) => Math.abs(value) / (inputScale * 2 ** 30));
}

// Where the elements of a resized axis come from: ONNX's coordinate transformations, nearest rounding, and linear and
// cubic kernels.

import { boundedList } from "./limits.js";

/** How one axis is resized. */
export interface AxisPlan {
  readonly input: number;
  readonly output: number;
  /** output / input before rounding. */
  readonly scale: number;
  /** Begin and end of the region of interest, as fractions (tf_crop_and_resize). */
  readonly roi: readonly [number, number];
}

export interface Sampling {
  readonly mode: "nearest" | "linear" | "cubic";
  readonly coordinates: CoordinateMode;
  readonly rounding: NearestMode;
  readonly cubicA: number;
  readonly excludeOutside: boolean;
  readonly antialias: boolean;
}

/** x of the output -> position in the input. */
export const coordinateModes = {
  half_pixel: (x, { scale }) => (x + 0.5) / scale - 0.5,
  half_pixel_symmetric: (x, { input, output, scale }) => {
    const offset = (input / 2) * (1 - output / (scale * input));
    return offset + (x + 0.5) / scale - 0.5;
  },
  pytorch_half_pixel: (x, { output, scale }) => (output > 1 ? (x + 0.5) / scale - 0.5 : 0),
  align_corners: (x, { input, output }) => (output > 1 ? (x * (input - 1)) / (output - 1) : 0),
  asymmetric: (x, { scale }) => x / scale,
  tf_half_pixel_for_nn: (x, { scale }) => (x + 0.5) / scale,
  tf_crop_and_resize: (x, { input, output, roi: [start, end] }) =>
    output > 1
      ? start * (input - 1) + (x * (end - start) * (input - 1)) / (output - 1)
      : 0.5 * (start + end) * (input - 1),
} as const satisfies Record<string, (x: number, axis: AxisPlan) => number>;

export type CoordinateMode = keyof typeof coordinateModes;

/** `simple` is what opsets before 11 do: towards the output's own side. */
export const nearestModes = {
  round_prefer_floor: (x: number) => Math.ceil(x - 0.5),
  round_prefer_ceil: (x: number) => Math.floor(x + 0.5),
  floor: (x: number) => Math.floor(x),
  ceil: (x: number) => Math.ceil(x),
  simple: (x: number, scale: number) => (scale < 1 ? Math.ceil(x) : Math.floor(x)),
} as const;

export type NearestMode = keyof typeof nearestModes;

/**
 * For each output element, taps of the input: `index[k][x]` with `weight[k][x]`. One tap without weights for nearest.
 */
export interface Taps {
  readonly index: readonly (readonly number[])[];
  readonly weight: readonly (readonly number[])[];
  /** Output elements whose position lies outside the input, where that matters (tf_crop_and_resize). */
  readonly outside: readonly boolean[];
}

const triangle = (t: number): number => Math.max(0, 1 - Math.abs(t));

/** Keys' cubic kernel. */
const cubic =
  (a: number) =>
  (t: number): number => {
    const d = Math.abs(t);
    if (d <= 1) return (a + 2) * d ** 3 - (a + 3) * d ** 2 + 1;
    return d < 2 ? a * d ** 3 - 5 * a * d ** 2 + 8 * a * d - 4 * a : 0;
  };

export function tapsOf(axis: AxisPlan, sampling: Sampling): Taps {
  const { input, output, scale } = axis;
  boundedList(output);
  const position = coordinateModes[sampling.coordinates];
  const at = Array.from({ length: output }, (_, x) => position(x, axis));
  const crop = sampling.coordinates === "tf_crop_and_resize";
  const outside = at.map((p) => crop && (p < 0 || p > input - 1));
  const clamp = (i: number): number => Math.min(Math.max(i, 0), input - 1);
  if (sampling.mode === "nearest") {
    const round = nearestModes[sampling.rounding];
    return { index: [at.map((p) => clamp(round(p, scale)))], weight: [], outside };
  }
  const stretch = sampling.antialias ? Math.min(scale, 1) : 1;
  const [kernel, reach] = sampling.mode === "linear" ? [triangle, 1] : [cubic(sampling.cubicA), 2];
  const start = Math.floor(-reach / stretch) + 1;
  const count = 2 * (1 - start);
  boundedList(count * output);
  const index = Array.from({ length: count }, () => new Array<number>(output));
  const weight = Array.from({ length: count }, () => new Array<number>(output));
  at.forEach((p, x) => {
    const whole = Math.floor(p);
    const own = Array.from({ length: count }, (_, k) => {
      const i = whole + start + k;
      return sampling.excludeOutside && (i < 0 || i >= input) ? 0 : kernel(stretch * (i - p));
    });
    const total = own.reduce((a, b) => a + b, 0);
    own.forEach((w, k) => {
      index[k]![x] = clamp(whole + start + k);
      weight[k]![x] = w / total;
    });
  });
  return { index, weight, outside };
}

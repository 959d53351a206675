// How much of a network's function another one has lost on the same inputs: one number in 0..1 (or in decibels) a task,
// and beside it how each output compares. Every figure is a mean over inputs, so that its spread over them can be
// stated.
import { elements } from "../graph/attributes.js";
import type { TensorData } from "../graph/types.js";
import { floats } from "../graph/values.js";

/**
 * `mask`: 1 - IoU at a threshold of 0.5 (both empty: 1). `classes`: the share of positions whose largest class is
 * another. `decibels`: the PSNR to the truth that was lost. `relative`: the root mean square difference over the
 * original's root mean square.
 */
export const lossKinds = ["mask", "classes", "decibels", "relative"] as const;
export type LossKind = (typeof lossKinds)[number];

/** A mean over inputs, with half the width of its 95 % interval (0 for fewer than two inputs). */
export interface Mean {
  readonly mean: number;
  readonly interval: number;
}

/** How one output compares with the original's. What an output is not has no figure. */
export interface OutputLoss {
  readonly output: string;
  readonly kind: Exclude<LossKind, "decibels">;
  /** Of the kind of the output. */
  readonly loss: Mean;
  readonly relative: Mean;
  /** Over all values of all inputs; null where one side is constant. */
  readonly correlation: number | null;
  /** Mean absolute difference. */
  readonly absolute: number;
  readonly iou: Mean | null;
  readonly classesAgree: Mean | null;
  /**
   * Between both outputs, over the range of the original's values, in dB; null where they are equal or the original is
   * constant.
   */
  readonly psnr: number | null;
  /**
   * Inputs that were compared, and those for which either side is not finite. Where that is the other network alone,
   * all of that input is lost; where it is the original, the input is not compared.
   */
  readonly inputs: number;
  readonly notFinite: number;
  /** Inputs that are lost because the other network's output has other sizes there (detections, say). */
  readonly otherSizes: number;
  /** The original's values are the same on every input (of two or more): agreement says nothing. */
  readonly constant: boolean;
}

/** Collects one output over inputs. */
export interface OutputComparison {
  /** Values [N, ...] of N inputs from the original and from the other network. */
  add(original: TensorData, other: TensorData): void;
  /** So many inputs of which nothing is kept, for the outputs have other sizes. */
  lose(inputs: number): void;
  result(): OutputLoss;
}

/**
 * The axis of classes of an output: one along which values are probabilities; or of a matrix [N, K], the second. -1
 * where there is none.
 */
export function classAxis({ dims, ...tensor }: TensorData): number {
  const values = floats({ dims, ...tensor });
  for (let axis = dims.length - 1; axis >= 1; axis--) if (dims[axis]! > 1 && sumsToOne(values, dims, axis)) return axis;
  const own = dims.slice(1).filter((dim) => dim !== 1);
  return own.length === 1 ? dims.indexOf(own[0]!, 1) : -1;
}

const near = 1e-2;

function sumsToOne(values: Float32Array, dims: readonly number[], axis: number): boolean {
  const [outer, size, inner] = around(dims, axis);
  for (let o = 0; o < outer; o++)
    for (let i = 0; i < inner; i++) {
      let sum = 0;
      for (let k = 0; k < size; k++) {
        const value = values[(o * size + k) * inner + i]!;
        if (!(value >= 0)) return false;
        sum += value;
      }
      if (Math.abs(sum - 1) > near) return false;
    }
  return values.length > 0;
}

const around = (dims: readonly number[], axis: number): readonly [outer: number, size: number, inner: number] => [
  elements(dims.slice(0, axis)),
  dims[axis] ?? 1,
  elements(dims.slice(axis + 1)),
];

/**
 * One plane of values in 0..1 of which at least half are close to an end: a mask, where a grey image is mostly in
 * between.
 */
export function isMask({ dims, ...tensor }: TensorData): boolean {
  const sides = dims.slice(1).filter((dim) => dim > 1);
  if (dims.length < 3 || sides.length !== 2) return false;
  const values = floats({ dims, ...tensor });
  let ends = 0;
  for (const value of values) {
    if (!(value >= -1e-3 && value <= 1.001)) return false;
    if (value < 0.1 || value > 0.9) ends++;
  }
  return 2 * ends >= values.length;
}

/** What an output is, from its values on one or several inputs. */
export function kindOfOutput(tensor: TensorData): OutputLoss["kind"] {
  if (isMask(tensor)) return "mask";
  return classAxis(tensor) > 0 ? "classes" : "relative";
}

/** @param kind stated by the user; by default found from the first values that are added */
// biome-ignore lint/complexity/noExcessiveLinesPerFunction: one accumulator, whose parts share its sums
export function compareOutput(output: string, kind?: OutputLoss["kind"]): OutputComparison {
  let found = kind;
  let axis = -1;
  let maskable = false;
  const perInput = { relative: [] as number[], iou: [] as number[], agree: [] as number[] };
  const sums = {
    n: 0,
    a: 0,
    b: 0,
    aa: 0,
    bb: 0,
    ab: 0,
    difference: 0,
    low: Number.POSITIVE_INFINITY,
    high: Number.NEGATIVE_INFINITY,
  };
  let [notFinite, otherSizes] = [0, 0];
  const lose = (): void => {
    perInput.relative.push(1);
    perInput.iou.push(0);
    perInput.agree.push(0);
  };
  const variation = variationOf();
  return {
    add(original, other) {
      const [a, b] = [floats(original), floats(other)];
      if (found === undefined) found = kindOfOutput(original);
      if (sums.n === 0) [axis, maskable] = [classAxis(original), found === "mask" || isMask(original)];
      const count = original.dims[0] ?? 1;
      const each = a.length / Math.max(1, count);
      for (let input = 0; input < count; input++) {
        const [x, y] = [a, b].map((values) => values.subarray(input * each, (input + 1) * each)) as [
          Float32Array,
          Float32Array,
        ];
        const relative = addValues(sums, x, y);
        if (!Number.isFinite(relative)) {
          notFinite++;
          if (x.every(Number.isFinite)) lose();
          continue;
        }
        variation.add(x);
        perInput.relative.push(relative);
        if (maskable) perInput.iou.push(iouOf(x, y));
        if (axis > 0) perInput.agree.push(agreement(x, y, [1, ...original.dims.slice(1)], axis));
      }
    },
    lose(inputs) {
      otherSizes += inputs;
      for (let i = 0; i < inputs; i++) lose();
    },
    result() {
      const iou = maskable ? meanOf(perInput.iou) : null;
      const classesAgree = axis > 0 ? meanOf(perInput.agree) : null;
      const relative = meanOf(perInput.relative);
      const own = found ?? "relative";
      const kept = own === "mask" ? iou : own === "classes" ? classesAgree : null;
      const constant = perInput.relative.length > 1 && !variation.varies();
      return {
        ...{ output, kind: own, relative, iou, classesAgree, notFinite, otherSizes, constant },
        loss: kept === null ? relative : { ...kept, mean: 1 - kept.mean },
        correlation: correlationOf(sums),
        absolute: sums.difference / Math.max(1, sums.n),
        psnr: psnrOf(sums),
        inputs: perInput.relative.length,
      };
    },
  };
}

/** Whether values differ between inputs. */
function variationOf() {
  let first: Float32Array | undefined;
  let differs = false;
  return {
    add(values: Float32Array) {
      first ??= values.slice();
      differs ||= values.length !== first.length || values.some((value, i) => value !== first![i]);
    },
    varies: () => differs,
  };
}

type Sums = { -readonly [Key in "n" | "a" | "b" | "aa" | "bb" | "ab" | "difference" | "low" | "high"]: number };

/** Adds one input's values; returns the relative error, NaN where a value is not finite. */
function addValues(sums: Sums, x: Float32Array, y: Float32Array): number {
  let [a, b, aa, bb, ab, difference, squares] = [0, 0, 0, 0, 0, 0, 0];
  let [low, high] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
  for (let i = 0; i < x.length; i++) {
    const [p, q] = [x[i]!, y[i]!];
    a += p;
    b += q;
    aa += p * p;
    bb += q * q;
    ab += p * q;
    difference += Math.abs(p - q);
    squares += (p - q) ** 2;
    if (p < low) low = p;
    if (p > high) high = p;
  }
  if (!Number.isFinite(squares) || !Number.isFinite(aa)) return Number.NaN;
  sums.n += x.length;
  for (const [key, value] of Object.entries({ a, b, aa, bb, ab, difference })) sums[key as keyof Sums] += value;
  sums.low = Math.min(sums.low, low);
  sums.high = Math.max(sums.high, high);
  if (squares === 0) return 0;
  return aa > 0 ? Math.sqrt(squares / aa) : 1; // the original is 0 everywhere, and the other is not
}

function iouOf(x: Float32Array, y: Float32Array): number {
  let [both, either] = [0, 0];
  for (let i = 0; i < x.length; i++) {
    const [p, q] = [x[i]! >= 0.5, y[i]! >= 0.5];
    if (p && q) both++;
    if (p || q) either++;
  }
  return either === 0 ? 1 : both / either;
}

/** The share of positions whose largest class is the same. */
function agreement(x: Float32Array, y: Float32Array, dims: readonly number[], axis: number): number {
  const [outer, size, inner] = around(dims, axis);
  let same = 0;
  for (let o = 0; o < outer; o++)
    for (let i = 0; i < inner; i++) if (largest(x, o, i, size, inner) === largest(y, o, i, size, inner)) same++;
  return same / Math.max(1, outer * inner);
}

function largest(values: Float32Array, o: number, i: number, size: number, inner: number): number {
  let best = 0;
  for (let k = 1; k < size; k++)
    if (values[(o * size + k) * inner + i]! > values[(o * size + best) * inner + i]!) best = k;
  return best;
}

/** The mean and its 95 % interval, by the spread over inputs. */
export function meanOf(values: readonly number[]): Mean {
  const n = values.length;
  if (n === 0) return { mean: Number.NaN, interval: 0 };
  const mean = values.reduce((sum, value) => sum + value, 0) / n;
  if (n === 1) return { mean, interval: 0 };
  const variance = values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / (n - 1);
  return { mean, interval: 1.96 * Math.sqrt(variance / n) };
}

function correlationOf({ n, a, b, aa, bb, ab }: Sums): number | null {
  const [spreadA, spreadB] = [aa / n - (a / n) ** 2, bb / n - (b / n) ** 2];
  const product = Math.sqrt(Math.max(0, spreadA)) * Math.sqrt(Math.max(0, spreadB));
  return product > 0 ? Math.max(-1, Math.min(1, (ab / n - (a / n) * (b / n)) / product)) : null;
}

function psnrOf({ n, aa, bb, ab, low, high }: Sums): number | null {
  const squared = (aa - 2 * ab + bb) / n;
  return squared > 0 && high > low ? 10 * Math.log10((high - low) ** 2 / squared) : null;
}

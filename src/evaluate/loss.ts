// How much of a network's function another one has lost on the same inputs: one number in 0..1 (or in decibels) a task,
// and beside it how each output compares. Every figure is a mean over inputs, so that its spread over them can be
// stated.
import type { TensorData } from "../graph/types.js";
import { floats } from "../graph/values.js";
import { type Mean, meanOf } from "./mean.js";
import { around, classAxis, isMask, kindOfOutput } from "./output-kind.js";
import { againstTruths, type Truth, type TruthFigures } from "./truths.js";

/**
 * `mask`: 1 - IoU at a threshold of 0.5 (both empty: 1). `classes`: the share of positions whose largest class is
 * another. `decibels`: the PSNR to the truth that was lost. `relative`: the root mean square difference over the
 * original's root mean square.
 */
export const lossKinds = ["mask", "classes", "decibels", "relative"] as const;
export type LossKind = (typeof lossKinds)[number];

/** What a result may lose where nobody says how much, by the loss of its task. */
export const usualLoss: Readonly<Record<LossKind, number>> = {
  mask: 0.01,
  classes: 0.01,
  decibels: 0.1,
  relative: 0.01,
};
/** A loss above this is told before anything else. */
export const largeLoss: Readonly<Record<LossKind, number>> = {
  mask: 0.05,
  classes: 0.05,
  decibels: 0.5,
  relative: 0.05,
};

/** How one output compares with the original's, and both with the truth. What an output is not has no figure. */
export interface OutputLoss extends TruthFigures {
  readonly output: string;
  /** `decibels` where truths are images, unless another kind is stated. */
  readonly kind: LossKind;
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
  /** Values [N, ...] of N inputs from the original and from the other network, and what is right for each input. */
  add(original: TensorData, other: TensorData, truths?: readonly Truth[]): void;
  /** So many inputs of which nothing is kept, for the outputs have other sizes. */
  lose(inputs: number): void;
  result(): OutputLoss;
}

/** @param kind stated by the user; by default found from the first values that are added */
// biome-ignore lint/complexity/noExcessiveLinesPerFunction: one accumulator, whose parts share its sums
export function compareOutput(output: string, kind?: Exclude<LossKind, "decibels">): OutputComparison {
  let found: Exclude<LossKind, "decibels"> | undefined = kind;
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
  const winners = winnersOf();
  const toTruths = againstTruths();
  return {
    add(original, other, truths = []) {
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
        toTruths.add(x, y, original.dims.slice(1), truths[input]);
        const relative = addValues(sums, x, y);
        if (!Number.isFinite(relative)) {
          notFinite++;
          if (x.every(Number.isFinite)) lose();
          continue;
        }
        variation.add(x);
        perInput.relative.push(relative);
        if (maskable) perInput.iou.push(iouOf(x, y));
        if (axis > 0) {
          const dims = [1, ...original.dims.slice(1)];
          winners.add(x, dims, axis);
          perInput.agree.push(agreement(x, y, dims, axis));
        }
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
      const figures = toTruths.result();
      const lost = kind === undefined ? figures.psnrToTruth?.lost : undefined;
      const saying = kind !== undefined || found !== "classes" || winners.say() ? found : undefined;
      const own = lost ? "decibels" : (saying ?? "relative");
      const kept = own === "mask" ? iou : own === "classes" ? classesAgree : null;
      const constant = perInput.relative.length > 1 && !variation.varies();
      return {
        ...{ output, kind: own, relative, iou, classesAgree, notFinite, otherSizes, constant },
        ...figures,
        loss: lost ?? (kept === null ? relative : { ...kept, mean: 1 - kept.mean }),
        correlation: correlationOf(sums),
        absolute: sums.difference / Math.max(1, sums.n),
        psnr: psnrOf(sums),
        inputs: perInput.relative.length,
      };
    },
  };
}

/** Of so many inputs one has another class than the rest, where values are classes at all. */
const enoughInputs = 8;

/**
 * Whether the original's largest classes say something: on many inputs the same one everywhere is no class (landmarks,
 * features), or one that cannot change.
 */
function winnersOf() {
  let [inputs, first, differ] = [0, -1, false];
  return {
    add(values: Float32Array, dims: readonly number[], axis: number) {
      const [outer, size, inner] = around(dims, axis);
      for (let at = 0; at < outer * inner && !differ; at++) {
        const found = largest(values, Math.floor(at / inner), at % inner, size, inner);
        if (first < 0) first = found;
        differ = found !== first;
      }
      inputs++;
    },
    say: () => differ || inputs < enoughInputs,
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

function correlationOf({ n, a, b, aa, bb, ab }: Sums): number | null {
  const [spreadA, spreadB] = [aa / n - (a / n) ** 2, bb / n - (b / n) ** 2];
  const product = Math.sqrt(Math.max(0, spreadA)) * Math.sqrt(Math.max(0, spreadB));
  return product > 0 ? Math.max(-1, Math.min(1, (ab / n - (a / n) * (b / n)) / product)) : null;
}

function psnrOf({ n, aa, bb, ab, low, high }: Sums): number | null {
  const squared = (aa - 2 * ab + bb) / n;
  return squared > 0 && high > low ? 10 * Math.log10((high - low) ** 2 / squared) : null;
}

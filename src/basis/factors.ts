// A convolution as a chain of smaller ones: which families of factors there are, what each weighs and costs, and the
// dense filters that a chain amounts to. Letters: n filters of c channels and a kernel of kh x kw; ranks r.
import { FilterBasisError } from "../errors/error.js";
import { type Matrix, matrix } from "../linalg/matrix.js";
import { multiply as product } from "../linalg/product.js";

/** The ways to write a convolution, and the ranks that each needs. */
export const families = {
  /** The original's filters. */
  dense: [],
  /** A basis of m filters over all channels, then 1x1. Ranks: [m]. */
  "one-split": ["basis filters"],
  /** The paper's layout: the splits of the channels share one basis of m filters; then 1x1. Ranks: [m]. */
  "shared-bases": ["basis filters"],
  /** Every split has a basis of its own of m filters (a grouped convolution), then 1x1. Ranks: [m]. */
  "own-bases": ["basis filters of a split"],
  /** 1x1 to r1 channels, the kernel from r1 to r2, 1x1 from r2. Ranks: [r1, r2]. */
  "tucker-2": ["channels in", "channels out"],
  /** kh x 1 to r channels, then 1 x kw. Ranks: [r]. */
  separable: ["channels between"],
  /** kh x 1 to r1 channels, 1 x kw to r2, then 1x1. Ranks: [r1, r2]. */
  "separable-pointwise": ["channels between", "channels out"],
  /** Two matrices in place of the one of a 1x1 convolution or of a fully connected layer. Ranks: [r]. */
  "low-rank": ["channels between"],
} as const satisfies Readonly<Record<string, readonly string[]>>;

export type Family = keyof typeof families;

export type Pair = readonly [vertical: number, horizontal: number];

/** What of a convolution its factors depend on. A fully connected layer has the kernel [1, 1]. */
export interface LayerShape {
  /** Filters. */
  readonly n: number;
  /** Input channels. */
  readonly c: number;
  readonly kernel: Pair;
  readonly stride: Pair;
}

/** A family at given ranks. */
export interface Candidate {
  readonly family: Family;
  /** Parts of the input channels: of shared-bases and own-bases, where they divide the channels. */
  readonly splits?: number;
  readonly ranks: readonly number[];
}

/** One convolution of a chain, without a bias. */
export interface Stage {
  /** Row-major [out, in / groups, kernel]. */
  readonly weight: Float64Array;
  readonly out: number;
  readonly in: number;
  readonly groups: number;
  readonly kernel: Pair;
  readonly stride: Pair;
  /** The axes whose padding and dilation are this stage's: of all stages of a chain exactly one for each axis. */
  readonly carries: readonly [boolean, boolean];
}

/** A convolution as a chain of stages. */
export interface Factors {
  readonly candidate: Candidate;
  readonly shape: LayerShape;
  readonly stages: readonly Stage[];
  /** The share of the output's energy that is lost, as outputError says; of factors that were fitted. */
  readonly error?: number;
  /** Row-major [m, c / s, kh, kw] (own bases: [s m, ...]): of the families that are a basis and its coefficients. */
  readonly basis?: Float64Array;
  /** Row-major [n, s m], column g m + j for split g and basis filter j. */
  readonly coefficients?: Float64Array;
}

/** What a stage is without its values. */
export type StageShape = Omit<Stage, "weight">;

const none: Pair = [1, 1];

/** The stages of a candidate: the one place that knows how a family is written. @throws FilterBasisError `invalid-plan` */
export function stageShapes(candidate: Candidate, { n, c, kernel, stride }: LayerShape): readonly StageShape[] {
  const [[kh, kw], [sh, sw]] = [kernel, stride];
  const s = splitsOf(candidate, c);
  const [r1, r2] = ranksOf(candidate);
  const whole = { groups: 1, kernel, stride, carries: [true, true] as const };
  const pointwise = { groups: 1, kernel: none, stride: none, carries: [false, false] as const };
  const vertical = { groups: 1, kernel: [kh, 1] as const, stride: [sh, 1] as const, carries: [true, false] as const };
  const horizontal = { groups: 1, kernel: [1, kw] as const, stride: [1, sw] as const, carries: [false, true] as const };
  switch (candidate.family) {
    case "dense":
      return [{ ...whole, in: c, out: n }];
    case "one-split":
    case "low-rank":
    case "shared-bases":
    case "own-bases":
      return [
        { ...whole, in: c, out: s * r1, groups: s },
        { ...pointwise, in: s * r1, out: n },
      ];
    case "tucker-2":
      return [
        { ...pointwise, in: c, out: r1 },
        { ...whole, in: r1, out: r2 },
        { ...pointwise, in: r2, out: n },
      ];
    case "separable":
      return [
        { ...vertical, in: c, out: r1 },
        { ...horizontal, in: r1, out: n },
      ];
    case "separable-pointwise":
      return [
        { ...vertical, in: c, out: r1 },
        { ...horizontal, in: r1, out: r2 },
        { ...pointwise, in: r2, out: n },
      ];
  }
}

function splitsOf({ family, splits = 1 }: Candidate, c: number): number {
  const several = family === "shared-bases" || family === "own-bases";
  if (Number.isInteger(splits) && splits >= 1 && c % splits === 0 && (several || splits === 1)) return splits;
  const expected = several ? `a divisor of the ${c} input channels` : "none";
  throw new FilterBasisError("invalid-plan", `these splits do not fit ${family}`, {
    field: "splits",
    expected,
    got: `${splits}`,
  });
}

function ranksOf({ family, ranks }: Candidate): readonly [number, number] {
  const names = families[family];
  if (ranks.length !== names.length || ranks.some((rank) => !Number.isInteger(rank) || rank < 1)) {
    const expected = names.length === 0 ? "no rank" : `${names.length} whole numbers: ${names.join(", ")}`;
    const got = `[${ranks.join(", ")}]`;
    throw new FilterBasisError("invalid-plan", `the ranks do not fit ${family}`, { field: "ranks", expected, got });
  }
  return [ranks[0] ?? 0, ranks[1] ?? 0];
}

/** Weights as stored: a basis that splits share counts once. */
export function weightsOf(candidate: Candidate, shape: LayerShape): number {
  const once = candidate.family === "shared-bases" ? (candidate.splits ?? 1) : 1;
  const weights = stageShapes(candidate, shape).map(
    (stage) => (stage.out * stage.in * stage.kernel[0] * stage.kernel[1]) / stage.groups,
  );
  return weights[0]! / once + weights.slice(1).reduce((sum, value) => sum + value, 0);
}

/**
 * Multiply-accumulates for an output of [height, width]. What comes before a stride is computed at the input's size:
 * the given one, or the output's times the stride.
 */
export function macsOf(candidate: Candidate, shape: LayerShape, output: Pair, input?: Pair): number {
  const { stride } = shape;
  let [h, w] = input ?? [output[0] * stride[0], output[1] * stride[1]];
  let macs = 0;
  for (const stage of stageShapes(candidate, shape)) {
    if (stage.carries[0]) h = output[0];
    if (stage.carries[1]) w = output[1];
    macs += (stage.out * stage.in * stage.kernel[0] * stage.kernel[1] * h * w) / stage.groups;
  }
  return macs;
}

/** Puts weights into a candidate's stages. @throws FilterBasisError `shape-mismatch` where they do not fill them */
export function makeFactors(
  candidate: Candidate,
  shape: LayerShape,
  weights: readonly Float64Array[],
  over?: Pick<Factors, "basis" | "coefficients" | "error">,
): Factors {
  const stages = stageShapes(candidate, shape).map((stage, i): Stage => {
    const size = (stage.out * stage.in * stage.kernel[0] * stage.kernel[1]) / stage.groups;
    const weight = weights[i];
    if (weight?.length === size) return { ...stage, weight };
    const place = {
      field: `stage ${i + 1} of ${candidate.family}`,
      expected: `${size} values`,
      got: `${weight?.length}`,
    };
    throw new FilterBasisError("shape-mismatch", "weights do not fill their stage", place);
  });
  return { candidate, shape, stages, ...over };
}

type Multiply = (a: Matrix, b: Matrix) => Matrix;

/** The dense filters that the chain amounts to: [n x c kh kw], each row [c, kh, kw]. */
export function composed({ stages }: Factors, multiply: Multiply = product): Matrix {
  const [first, ...rest] = stages;
  let sum = first!;
  for (const stage of rest) sum = followed(sum, stage, multiply);
  const { weight, out, kernel } = ungrouped(sum);
  return matrix(out, sum.in * kernel[0] * kernel[1], weight);
}

/** The same convolution without groups: [out, in, kernel], zeros where an output does not see an input. */
function ungrouped(stage: Stage): Stage {
  const { weight, out, groups, kernel } = stage;
  if (groups === 1) return stage;
  const width = (stage.in / groups) * kernel[0] * kernel[1];
  const full = new Float64Array(out * width * groups);
  for (let o = 0; o < out; o++) {
    const group = Math.floor((o * groups) / out);
    full.set(weight.subarray(o * width, (o + 1) * width), (o * groups + group) * width);
  }
  return { ...stage, groups: 1, weight: full };
}

/** Two convolutions as one, the second without groups; of each axis at most one of them has several kernel elements. */
function followed(first: Stage, second: Stage, multiply: Multiply): Stage {
  const { groups } = first;
  const [taps1, taps2] = [first.kernel[0] * first.kernel[1], second.kernel[0] * second.kernel[1]];
  const kernel: Pair = [first.kernel[0] * second.kernel[0], first.kernel[1] * second.kernel[1]];
  const [kernelElements, perGroup, mid] = [taps1 * taps2, first.in / groups, first.out / groups];
  const places = Array.from({ length: taps1 }, (_, tap) => place(tap, first.kernel, kernel));
  const weight = new Float64Array(second.out * first.in * kernelElements);
  for (let t2 = 0; t2 < taps2; t2++) {
    const offset = place(t2, second.kernel, kernel); // on each axis this or the first stage's place is 0
    for (let g = 0; g < groups; g++) {
      const left = matrix(second.out, mid); // [n, mid] of this group at this kernel element
      for (let o = 0; o < second.out; o++)
        for (let j = 0; j < mid; j++)
          left.data[o * mid + j] = second.weight[(o * second.in + g * mid + j) * taps2 + t2]!;
      const width = perGroup * taps1;
      const right = matrix(mid, width, first.weight.subarray(g * mid * width, (g + 1) * mid * width));
      const { data } = multiply(left, right); // [n, perGroup taps1]
      for (let o = 0; o < second.out; o++)
        for (let i = 0; i < perGroup; i++)
          for (let t1 = 0; t1 < taps1; t1++)
            weight[(o * first.in + g * perGroup + i) * kernelElements + places[t1]! + offset] =
              data[o * width + i * taps1 + t1]!;
    }
  }
  return { ...second, in: first.in, groups: 1, kernel, weight };
}

/** Where the kernel element `tap` of a stage lies in the kernel of the chain. */
const place = (tap: number, own: Pair, all: Pair): number => Math.floor(tap / own[1]) * all[1] + (tap % own[1]);

/** The least share of a layer's output energy that an error can be: below it lies rounding. */
const errorFloor = 1e-12;

/**
 * e = tr(dW C dW^T) / tr(W C W^T), dW = W - W~: the share of the output's energy that is lost, at least 1e-12.
 * Where the output never moves, only W~ = W loses nothing: 1e-12, else 1.
 */
export function outputError(
  original: Matrix,
  replaced: Matrix,
  covariance: Matrix,
  multiply: Multiply = product,
): number {
  const difference = matrix(
    original.rows,
    original.cols,
    original.data.map((value, i) => value - replaced.data[i]!),
  );
  const lost = energy(difference, covariance, multiply);
  const all = energy(original, covariance, multiply);
  if (all > 0) return Math.max(errorFloor, lost / all);
  return lost > 0 ? 1 : errorFloor;
}

/** tr(W C W^T): the variance of the outputs, summed over them. */
function energy(filters: Matrix, covariance: Matrix, multiply: Multiply): number {
  return dot(multiply(filters, covariance), filters);
}

/** The sum of the products of all entries: tr(a b^T). */
export function dot({ data: a }: Matrix, { data: b }: Matrix): number {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += a[i]! * b[i]!;
  return sum;
}

/** The ranks beyond which more of them add nothing; the second for the first that the candidate has. */
export function fullRanks(
  { family, splits = 1, ranks }: Candidate,
  { n, c, kernel: [kh, kw] }: LayerShape,
): readonly number[] {
  const [r1 = 1] = ranks;
  switch (family) {
    case "dense":
      return [];
    case "one-split":
    case "low-rank":
    case "own-bases":
      return [Math.min(n, (c / splits) * kh * kw)];
    case "shared-bases":
      return [Math.min(n * splits, (c / splits) * kh * kw)];
    case "tucker-2":
      return [Math.min(c, n * kh * kw), Math.min(n, r1 * kh * kw)];
    case "separable":
      return [Math.min(c * kh, n * kw)];
    case "separable-pointwise":
      return [Math.min(c * kh, n * kw), Math.min(n, r1 * kw)];
  }
}

// A convolution as a chain of smaller ones: which families of factors there are, and what each weighs and costs. The
// dense filters that a chain amounts to stand in composed.ts. Letters: n filters of c channels and a kernel of kh x kw;
// ranks r.
import { FilterBasisError } from "../errors/error.js";

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
  /** M separable filters of its own for every channel (kh x 1, then 1 x kw, depthwise), then 1x1. Ranks: [M]. */
  "channel-separable": ["separable filters of a channel"],
  /** The same, all channels sharing one set of M, which is stored once. Ranks: [M]. */
  "shared-separable": ["separable filters"],
  /** A sum of R outer products of four vectors: 1x1, kh x 1 and 1 x kw depthwise, 1x1. Ranks: [R]. */
  cp: ["terms"],
  /** Tucker-2 of every block (cluster of channels in, of filters): grouped convolutions. Ranks: [K2, K1]. */
  biclustered: ["channels in of a block", "channels out of a block"],
  /** A sum of K outer products (channels, kernel, filters) of every block. Ranks: [K]. */
  "outer-product": ["terms of a block"],
  /** 1x1 to C' colours, then one kernel for each filter over its colour alone (grouped). Ranks: [C']. */
  monochromatic: ["colours"],
} as const satisfies Readonly<Record<string, readonly string[]>>;

export type Family = keyof typeof families;

/** Families that are made from filters alone; the others can be fitted to what a layer sees as well. */
export type FilterFamily =
  | "channel-separable"
  | "shared-separable"
  | "cp"
  | "biclustered"
  | "outer-product"
  | "monochromatic";
export type FittedFamily = Exclude<Family, FilterFamily>;

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
  /** Of biclustered and outer-product: parts of the input channels, and of the filters. */
  readonly clusters?: Pair;
  /**
   * Before each stage and behind the last: which channel of the value before stands at each place; null where they
   * stay.
   */
  readonly orders?: readonly Order[];
}

export type Order = readonly number[] | null;

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

/**
 * The stages of a candidate: the one place that knows how a family is written. @throws FilterBasisError `invalid-plan`
 */
export function stageShapes(candidate: Candidate, { n, c, kernel, stride }: LayerShape): readonly StageShape[] {
  const [[kh, kw], [sh, sw]] = [kernel, stride];
  const s = splitsOf(candidate, c);
  const [r1, r2] = ranksOf(candidate);
  const whole = { groups: 1, kernel, stride, carries: [true, true] as const };
  const pointwise = { groups: 1, kernel: none, stride: none, carries: [false, false] as const };
  const [g, h] = clustersOf(candidate, c, n);
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
    case "channel-separable":
    case "shared-separable":
      return [
        { ...vertical, in: c, out: c * r1, groups: c },
        { ...horizontal, in: c * r1, out: c * r1, groups: c * r1 },
        { ...pointwise, in: c * r1, out: n },
      ];
    case "cp":
      return [
        { ...pointwise, in: c, out: r1 },
        { ...vertical, in: r1, out: r1, groups: r1 },
        { ...horizontal, in: r1, out: r1, groups: r1 },
        { ...pointwise, in: r1, out: n },
      ];
    case "biclustered":
      return [
        { ...pointwise, in: c, out: g * h * r1, groups: g },
        { ...whole, in: g * h * r1, out: g * h * r2, groups: g * h },
        { ...pointwise, in: g * h * r2, out: n, groups: h },
      ];
    case "outer-product":
      return [
        { ...pointwise, in: c, out: g * h * r1, groups: g },
        { ...whole, in: g * h * r1, out: g * h * r1, groups: g * h * r1 },
        { ...pointwise, in: g * h * r1, out: n, groups: h },
      ];
    case "monochromatic":
      return [
        { ...pointwise, in: c, out: r1 },
        { ...whole, in: r1, out: n, groups: coloursOf(r1, n) },
      ];
  }
}

function coloursOf(colours: number, n: number): number {
  if (n % colours === 0) return colours;
  throw new FilterBasisError("invalid-plan", "the filters do not go into as many colours", {
    field: "ranks",
    expected: `a divisor of ${n} filters`,
    got: `${colours}`,
  });
}

function clustersOf({ family, clusters = [1, 1] }: Candidate, c: number, n: number): Pair {
  const allowed = family === "biclustered" || family === "outer-product";
  const [g, h] = clusters;
  const fit = Number.isInteger(g) && Number.isInteger(h) && g >= 1 && h >= 1 && c % g === 0 && n % h === 0;
  if (fit && (allowed || g * h === 1)) return clusters;
  throw new FilterBasisError("invalid-plan", `these clusters do not fit ${family}`, {
    field: "clusters",
    expected: allowed ? `divisors of ${c} input channels and ${n} filters` : "none",
    got: clusters.join(" x "),
  });
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
  const repeats = storedRepeats(candidate, shape);
  return stageShapes(candidate, shape).reduce(
    (sum, stage, i) =>
      sum + (stage.out * stage.in * stage.kernel[0] * stage.kernel[1]) / stage.groups / (repeats[i] ?? 1),
    0,
  );
}

/** How often the weights of each stage repeat what is stored of them; 1 for stages that are not named. */
export function storedRepeats({ family, splits = 1 }: Candidate, { c }: LayerShape): readonly number[] {
  if (family === "shared-bases") return [splits];
  return family === "shared-separable" ? [c, c] : [];
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

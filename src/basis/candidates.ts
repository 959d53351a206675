// The candidates of a layer: every family at ranks that bring the layer to given fractions of its price.
import { type Candidate, type FittedFamily, type LayerShape, macsOf, weightsOf } from "./factors.js";
import { fullRanks } from "./full-ranks.js";
import { nearestDivisor } from "./split.js";

export interface CandidateOptions {
  /** All but dense, as far as they fit the layer. */
  readonly families?: readonly FittedFamily[];
  /** What a fraction is a fraction of. */
  readonly price?: "macs" | "weights";
  readonly fractions?: readonly number[];
  /** What ranks are rounded to (see `roundedTo`): once for each of these; 1 leaves them free. */
  readonly multiples?: readonly number[];
  /** Of shared-bases and own-bases; each moved to the nearest divisor of the input channels. */
  readonly splits?: readonly number[];
}

const defaultFractions: readonly number[] = [
  0.08, 0.12, 0.16, 0.2, 0.25, 0.3, 0.36, 0.42, 0.5, 0.58, 0.66, 0.75, 0.85, 0.95,
];

const allFamilies: readonly FittedFamily[] = [
  "one-split",
  "shared-bases",
  "own-bases",
  "tucker-2",
  "separable",
  "separable-pointwise",
  "low-rank",
];

/** Of families with two ranks: the first to the second, for tucker-2 as shares of the channels in and out. */
const ratios: readonly number[] = [0.5, 0.7, 1];

/**
 * Candidates that cost less than the dense layer, each once, in the order of families, splits and price. Dense is not
 * among them.
 */
export function candidatesOf(shape: LayerShape, options: CandidateOptions = {}): readonly Candidate[] {
  const { families = allFamilies, fractions = defaultFractions, multiples = [1], price = "macs" } = options;
  const priceOf = (candidate: Candidate) =>
    price === "weights" ? weightsOf(candidate, shape) : macsOf(candidate, shape, [1, 1]);
  const dense = priceOf({ family: "dense", ranks: [] });
  const found = new Map<string, Candidate>();
  for (const family of families.filter((family) => fits(family, shape))) {
    for (const line of lines(family, shape, options.splits)) {
      for (const fraction of fractions) {
        const exact = reached(line, (candidate) => priceOf(candidate) <= fraction * dense);
        for (const multiple of multiples) {
          const candidate = within(exact, shape, multiple);
          if (priceOf(candidate) < dense) found.set(JSON.stringify(candidate), candidate);
        }
      }
    }
  }
  return [...found.values()];
}

/** Candidates of growing price, by their first rank. */
interface Line {
  readonly most: number;
  at(rank: number): Candidate;
}

function fits(family: FittedFamily, { c, kernel: [kh, kw] }: LayerShape): boolean {
  const pointwise = kh * kw === 1;
  switch (family) {
    case "dense":
      return false;
    case "one-split":
      return !pointwise; // low-rank says the same
    case "low-rank":
      return pointwise;
    case "shared-bases":
    case "own-bases":
      return c > 3;
    case "tucker-2":
      return c > 3 && !pointwise;
    case "separable":
    case "separable-pointwise":
      return kh > 1 && kw > 1;
  }
}

function lines(family: FittedFamily, shape: LayerShape, wanted: readonly number[] = [2, 4, 8]): readonly Line[] {
  const { n, c } = shape;
  const line = (at: Line["at"]): Line => ({ most: fullRanks(at(1), shape)[0]!, at });
  switch (family) {
    case "shared-bases":
    case "own-bases": {
      const splits = [...new Set(wanted.map((value) => nearestDivisor(c, value)))].filter((value) => value > 1);
      return splits.map((s) => line((rank) => ({ family, splits: s, ranks: [rank] })));
    }
    case "tucker-2":
      return ratios.map((ratio) => line((rank) => within({ family, ranks: [rank, (rank * n) / (c * ratio)] }, shape)));
    case "separable-pointwise":
      return ratios.map((ratio) => line((rank) => within({ family, ranks: [rank, rank / ratio] }, shape)));
    default:
      return [line((rank) => ({ family, ranks: [rank] }))];
  }
}

/** The largest rank on the line that is affordable; 1 where none is. */
function reached({ most, at }: Line, affordable: (candidate: Candidate) => boolean): Candidate {
  let [low, high] = [1, most];
  while (low < high) {
    const middle = Math.ceil((low + high) / 2);
    if (affordable(at(middle))) low = middle;
    else high = middle - 1;
  }
  return at(low);
}

/** To whole multiples, ranks below three quarters of one to fours: 16 gives 4, 8, 12, 16, 32, 48, ... */
export function roundedTo(multiple: number, rank: number): number {
  const step = rank < 0.75 * multiple ? Math.min(4, multiple) : multiple;
  return Math.max(1, Math.round(rank / step)) * step;
}

/** Whether all ranks are full or lie on what `roundedTo` gives. */
export function isRounded(candidate: Candidate, shape: LayerShape, multiple: number): boolean {
  const { ranks } = within(candidate, shape, multiple);
  return candidate.ranks.every((rank, i) => rank === ranks[i]);
}

/** Ranks as whole multiples, at most full rank. */
function within(candidate: Candidate, shape: LayerShape, multiple = 1): Candidate {
  const ranks: number[] = [];
  for (const rank of candidate.ranks) {
    const most = fullRanks({ ...candidate, ranks }, shape)[ranks.length]!;
    ranks.push(Math.min(most, roundedTo(multiple, rank)));
  }
  return { ...candidate, ranks };
}

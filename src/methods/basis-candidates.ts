// What a budget may choose from for a group of layers: bases with several splits and of every size, what each costs,
// loses and takes.
import { tails } from "../basis/spectrum.js";
import type { DataType } from "../graph/types.js";
import { pureLinearAlgebra, type Spectrum } from "../linalg/low-rank.js";
import type { Option } from "./budget.js";
import { type Choice, groupSpectrum, type LayerGroup, splitsOf } from "./choices.js";
import { type Latencies, step } from "./latencies.js";
import type { Layer } from "./layers.js";
import { groupChannels } from "./plan-groups.js";
import type { PlanOptions } from "./plan-options.js";

export interface Candidate extends Option {
  readonly choice: Choice;
  /** Of the group's stacked filters at this choice. */
  readonly spectrum: Spectrum;
}

/** What is known when candidates are made. */
export interface Knowledge {
  readonly options: PlanOptions;
  /** Of the group as it is, in what the budget counts. */
  readonly cost: number;
  /** Of the group over a basis. */
  readonly price: (choice: Choice) => number;
  /** Where times decide. */
  readonly latencies?: Latencies | undefined;
}

export type Candidates = (
  group: LayerGroup,
  knowledge: Knowledge,
) => {
  readonly candidates: readonly Candidate[];
  /** Where splits that were asked for had to be moved. */
  readonly notes: ReadonlyMap<Layer, string>;
};

/** Every basis that costs less than the group as it is. */
export const basisCandidates: Candidates = (group, knowledge) => {
  const { options, price, cost } = knowledge;
  const { channels: widths, notes } = groupChannels(group, options);
  const candidates = widths.flatMap((channels) => {
    if (price({ channels, basisSize: 1 }) >= cost) return [];
    const spectrum = groupSpectrum(group, channels, options.linear ?? pureLinearAlgebra, options.spectra);
    return candidatesOf(group, channels, spectrum, knowledge);
  });
  return { candidates, notes };
};

/** The sum over a group's layers; undefined where one is not known. */
export function groupTime(group: LayerGroup, of: (layer: Layer) => number | undefined): number | undefined {
  let sum = 0;
  for (const layer of group.layers) {
    const one = of(layer);
    if (one === undefined) return undefined;
    sum += one;
  }
  return sum;
}

/** Keeps the logarithm finite where rounding leaves nothing of the squared singular values. */
const leastShare = 1e-12;

/**
 * Squared singular values that sum to less than this share of all are rounding noise: the square of half a unit in
 * the last place.
 */
const rounding: Readonly<Partial<Record<DataType, number>>> = { float16: 2 ** -22, bfloat16: 2 ** -16 };
const roundingElsewhere = 2 ** -46;

/**
 * Losses are compared in steps: those that differ by rounding alone are ties, which the order of the layers decides.
 */
const lossStep = 2 ** -34;
const inSteps = (loss: number): number => lossStep * Math.max(1, Math.round(loss / lossStep));

/**
 * Every basis size that costs less than the group as it is, for one p, up to the rank that its filters really have.
 * The loss is minus the logarithm of the share of the squared singular values that is kept, once for each layer of
 * the group: the least sum of them is the largest product of the shares (Zhang et al., Accelerating Very Deep
 * Convolutional Networks, section 2.4), so that no single layer loses nearly everything. Where times are known,
 * sizes are those that were timed and multiples of their step.
 */
function candidatesOf(
  group: LayerGroup,
  channels: number,
  spectrum: Spectrum,
  { cost: original, price, latencies }: Knowledge,
): Candidate[] {
  const { squares } = spectrum;
  const lost = tails(squares);
  const total = lost[0]! || 1;
  const noise = (rounding[group.layers[0]!.weight.type] ?? roundingElsewhere) * total;
  const candidates: Candidate[] = [];
  for (let basisSize = 1; basisSize <= squares.length; basisSize++) {
    const cost = price({ channels, basisSize });
    if (cost >= original) break;
    const free = lost[basisSize]! <= noise;
    const time = latencies && timeOf(group, channels, basisSize, latencies, free);
    if (latencies && time === undefined) {
      if (free && basisSize % step === 0) break;
      continue;
    }
    const kept = Math.max(1 - lost[basisSize]! / total, leastShare);
    const loss = free ? 0 : inSteps(group.layers.length * -Math.log(kept));
    const timed = time === undefined ? {} : { milliseconds: time };
    candidates.push({ cost, loss, choice: { channels, basisSize }, spectrum, ...timed });
    if (free) break;
  }
  return candidates;
}

/**
 * Milliseconds of a group over a basis; undefined for sizes that are not worth a thought: between two steps (unless
 * nothing more is lost).
 */
function timeOf(
  group: LayerGroup,
  channels: number,
  basisSize: number,
  latencies: Latencies,
  free: boolean,
): number | undefined {
  const worth = free || basisSize % step === 0 || (basisSize < 2 * step && basisSize % 4 === 0);
  if (!worth) return undefined;
  return groupTime(group, (layer) => latencies.basis(layer, splitsOf(layer, group, channels), basisSize)?.milliseconds);
}

// A plan that keeps a budget in weights or multiply-accumulates: the options of each group, what they cost, lose and take.
import type { SkippedLayer } from "../basis/convolution.js";
import { tails } from "../basis/spectrum.js";
import type { DataType } from "../graph/types.js";
import { pureLinearAlgebra, type Spectrum } from "../linalg/low-rank.js";
import { faster, type Option, solveBudget } from "./budget.js";
import {
  type Choice,
  choiceMacs,
  choiceWeights,
  groupMacs,
  groupSpectrum,
  groupWeights,
  type LayerGroup,
  type Positions,
  splitsOf,
} from "./candidates.js";
import { type Decision, type Planned, relative } from "./decision.js";
import { type Latencies, step } from "./latencies.js";
import type { Layer } from "./layers.js";
import { groupChannels } from "./plan-groups.js";
import type { PlanOptions } from "./plan-options.js";

/** The counts that F is a fraction of, and those of the graph that is planned. */
export interface Counts {
  readonly before: { readonly weights: number; readonly macs: number };
  readonly now: { readonly weights: number; readonly macs: number };
}

/** @throws FilterBasisError `budget-unreachable` */
export function planBudget(
  groups: readonly LayerGroup[],
  options: PlanOptions,
  { before, now }: Counts,
  positions: Positions,
): Decision {
  const { keepMacs, keepParams = 0.5, linear = pureLinearAlgebra, save } = options;
  const kind = keepMacs === undefined ? "weights" : "macs";
  const macs = kind === "macs";
  const dense = (group: LayerGroup) => (macs ? groupMacs(group, positions) : groupWeights(group));
  const price = (group: LayerGroup, choice: Choice) =>
    macs ? choiceMacs(group, choice, positions) : choiceWeights(group, choice);
  const latencies = macs ? options.latencies : undefined;
  const notes = new Map<Layer, string>();
  const spectra = new Map<LayerGroup, Map<number, Spectrum>>();
  const untimed = new Set<LayerGroup>();
  const table = groups.map((group): readonly Option[] => {
    const milliseconds = latencies && groupTime(group, (layer) => latencies.original(layer));
    const original: Option = {
      cost: dense(group),
      loss: 0,
      choice: undefined,
      ...(milliseconds === undefined ? {} : { milliseconds }),
    };
    if (latencies && milliseconds === undefined) {
      untimed.add(group);
      return [original];
    }
    const { channels: widths, notes: own } = groupChannels(group, options);
    for (const [layer, note] of own) notes.set(layer, note);
    const found = new Map<number, Spectrum>();
    spectra.set(group, found);
    const smaller = widths.flatMap((channels) => {
      if (price(group, { channels, basisSize: 1 }) >= original.cost) return [];
      found.set(channels, groupSpectrum(group, channels, linear, options.spectra));
      return optionsOf(group, channels, original.cost, price, found.get(channels)!.squares, latencies);
    });
    return [original, ...smaller];
  });
  const option = macs ? "keep-macs" : "keep-params";
  const keep = keepMacs ?? keepParams;
  const fixed = now[kind] - groups.reduce((sum, group) => sum + dense(group), 0);
  const names = groups.map(({ name }) => name);
  const solved = solveBudget(table, {
    fixed,
    original: before[kind],
    keep,
    option,
    names,
    ...(save === undefined ? {} : { save }),
  });
  const planned: Planned[] = [];
  const skipped: SkippedLayer[] = [];
  for (const [index, group] of groups.entries()) {
    const { choice } = solved.chosen[index]!;
    if (choice) {
      const spectrum = spectra.get(group)!.get(choice.channels)!;
      planned.push({ group, choice, loss: relative(spectrum.squares, choice.basisSize), notes, spectrum });
      continue;
    }
    const reason = untimed.has(group) ? fewMacs : whyKept(table[index]!, dense(group), macs ? "multiply-accumulates" : "weights");
    skipped.push(...group.layers.map(({ name }) => ({ name, reason })));
  }
  return { planned, skipped, why: solved.why };
}

const fewMacs = "it has too few of the multiply-accumulates to matter for the budget";

function whyKept(options: readonly Option[], cost: number, what: string): string {
  const [original, ...smaller] = options;
  if (smaller.length === 0) return `no basis would save any of its ${cost.toLocaleString("en")} ${what}`;
  const time = original!.milliseconds;
  const slower = time !== undefined && smaller.every(({ milliseconds }) => milliseconds! > faster * time);
  return slower
    ? `no basis is faster than it is (${time.toFixed(3)} ms)`
    : "the budget is met with less loss by compressing other layers";
}

/** The sum over a group's layers; undefined where one is not known. */
function groupTime(group: LayerGroup, of: (layer: Layer) => number | undefined): number | undefined {
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

/** Squared singular values that sum to less than this share of all are rounding noise: the square of half a unit in the last place. */
const rounding: Readonly<Partial<Record<DataType, number>>> = { float16: 2 ** -22, bfloat16: 2 ** -16 };
const roundingElsewhere = 2 ** -46;

/** Losses are compared in steps: those that differ by rounding alone are ties, which the order of the layers decides. */
const lossStep = 2 ** -34;
const inSteps = (loss: number): number => lossStep * Math.max(1, Math.round(loss / lossStep));

/**
 * Every basis size that costs less than the group as it is, for one p, up to the rank that its filters really have. The loss is minus the logarithm
 * of the share of the squared singular values that is kept, once for each layer of the group: the least sum of them is the largest product of the
 * shares (Zhang et al., Accelerating Very Deep Convolutional Networks, section 2.4), so that no single layer loses nearly everything. Where
 * times are known, sizes are those that were timed and multiples of their step.
 */
function optionsOf(
  group: LayerGroup,
  channels: number,
  original: number,
  price: (group: LayerGroup, choice: Choice) => number,
  squares: Float64Array,
  latencies: PlanOptions["latencies"],
): Option[] {
  const lost = tails(squares);
  const total = lost[0]! || 1;
  const noise = (rounding[group.layers[0]!.weight.type] ?? roundingElsewhere) * total;
  const options: Option[] = [];
  for (let basisSize = 1; basisSize <= squares.length; basisSize++) {
    const cost = price(group, { channels, basisSize });
    if (cost >= original) break;
    const free = lost[basisSize]! <= noise;
    const time = latencies && timeOf(group, channels, basisSize, latencies, free);
    if (latencies && time === undefined) {
      if (free && basisSize % step === 0) break;
      continue;
    }
    const kept = Math.max(1 - lost[basisSize]! / total, leastShare);
    const loss = free ? 0 : inSteps(group.layers.length * -Math.log(kept));
    options.push({ cost, loss, choice: { channels, basisSize }, ...(time === undefined ? {} : { milliseconds: time }) });
    if (free) break;
  }
  return options;
}

/** Milliseconds of a group over a basis; undefined for sizes that are not worth a thought: between two steps (unless nothing more is lost). */
function timeOf(group: LayerGroup, channels: number, basisSize: number, latencies: Latencies, free: boolean): number | undefined {
  const worth = free || basisSize % step === 0 || (basisSize < 2 * step && basisSize % 4 === 0);
  if (!worth) return undefined;
  return groupTime(group, (layer) => latencies.basis(layer, splitsOf(layer, group, channels), basisSize)?.milliseconds);
}

// A group is what gets one basis: a layer, or several that share. Which splits it may have, what each basis size
// costs and how much of the filters' squared singular values it loses.
import { stackSpectrum } from "../basis/spectrum.js";
import { basisMacs, bestSplits, divisors, greatestCommonDivisor, type SliceEnd } from "../basis/split.js";
import type { LinearAlgebra, Spectrum } from "../linalg/low-rank.js";
import { filtersOf, type Layer, layerWeights } from "./layers.js";

export interface LayerGroup {
  /** The layer's name, or the group's. */
  readonly name: string;
  readonly layers: readonly Layer[];
  /** Set for groups that share a basis. */
  readonly shared: boolean;
  /** Set where narrower layers read slices of the basis: then every layer has one split. */
  readonly slice: SliceEnd | undefined;
}

/** A choice for a group: channels of a split (of the widest layer, where slices are read) and basis size. */
export interface Choice {
  /** p */
  readonly channels: number;
  /** m */
  readonly basisSize: number;
}

/** Output positions (pixels times batch) over all nodes of each layer; undefined where the shapes are not known. */
export type Positions = (layer: Layer) => number | undefined;

/** s of a layer: c / p, or 1 where it reads a slice. */
export function splitsOf(layer: Layer, group: LayerGroup, channels: number): number {
  return group.slice ? 1 : layer.inChannels / channels;
}

/** Weights of the group as it is. */
export const groupWeights = (group: LayerGroup): number => sum(group.layers.map(layerWeights));

/** Weights with a basis: the basis once, coefficients for each layer. */
export function choiceWeights(group: LayerGroup, { channels, basisSize }: Choice): number {
  const kernelElements = group.layers[0]!.kernelElements;
  return (
    sum(group.layers.map((layer) => layer.outChannels * splitsOf(layer, group, channels) * basisSize)) +
    basisSize * channels * kernelElements
  );
}

/** Multiply-accumulates of the group as it is; layers whose positions are not known count 0. */
export function groupMacs(group: LayerGroup, positions: Positions): number {
  return sum(group.layers.map((layer) => layerWeights(layer) * (positions(layer) ?? 0)));
}

export function choiceMacs(group: LayerGroup, { channels, basisSize }: Choice, positions: Positions): number {
  return sum(
    group.layers.map(
      (layer) => basisMacs(layer, splitsOf(layer, group, channels), basisSize) * (positions(layer) ?? 0),
    ),
  );
}

/** The largest basis that can be made from the group's weights. */
export function groupFullRank(group: LayerGroup, channels: number): number {
  const rows = sum(group.layers.map((layer) => layer.outChannels * splitsOf(layer, group, channels)));
  return Math.min(rows, channels * group.layers[0]!.kernelElements);
}

/**
 * Values of p that the group can have: divisors of what the layers' channels have in common; the widest layer's for
 * slices.
 */
export function possibleChannels(group: LayerGroup): readonly number[] {
  const channels = group.layers.map(({ inChannels }) => inChannels);
  return group.slice ? [Math.max(...channels)] : divisors(greatestCommonDivisor(channels));
}

/**
 * The spectrum of the group's stacked split matrices (zero-padded for slices, whose squared singular values bound
 * the loss from above).
 */
export function groupSpectrum(
  group: LayerGroup,
  channels: number,
  linear: LinearAlgebra,
  known: Map<string, Spectrum> = new Map(),
): Spectrum {
  const key = JSON.stringify([group.name, group.layers.map(({ name }) => name), channels]);
  const found = known.get(key);
  if (found) return found;
  const filters = group.layers.map((layer) => filtersOf(layer, splitsOf(layer, group, channels)));
  const made = stackSpectrum(filters, group.slice, linear);
  known.set(key, made);
  return made;
}

/**
 * Multiply-accumulates of a Gram matrix beyond which only the best split of a group is tried: about a tenth of a
 * second.
 */
const affordable = 2e8;

/**
 * The possible p worth trying for a budget: the best one (by weights that of Eq. 7, by multiply-accumulates the
 * whole filter); where that is cheap also its neighbours and the whole filter.
 */
export function candidateChannels(group: LayerGroup, kind: "weights" | "macs" = "weights"): readonly number[] {
  const possible = possibleChannels(group);
  const least = (p: number) => choiceWeights(group, { channels: p, basisSize: 1 });
  const best = kind === "macs" ? possible.at(-1)! : possible.reduce((a, p) => (least(p) < least(a) ? p : a));
  const at = possible.indexOf(best);
  const near = new Set([possible.at(-1)!, ...possible.slice(Math.max(0, at - 1), at + 3)]);
  // Both sides of the matrix times its rank: rows * cols is the number of weights, whatever the split.
  const work = (p: number) => groupWeights(group) * groupFullRank(group, p);
  return possible.filter((p) => p === best || (near.has(p) && work(p) <= affordable));
}

/** Eq. 7 for a group: the p with the least weights for any basis size; for a single layer that of its best splits. */
export function bestChannels(group: LayerGroup): number {
  const [first] = group.layers;
  if (group.layers.length === 1 && first && !group.slice) return first.inChannels / bestSplits(first);
  return possibleChannels(group).reduce((a, p) =>
    choiceWeights(group, { channels: p, basisSize: 1 }) <= choiceWeights(group, { channels: a, basisSize: 1 }) ? p : a,
  );
}

const sum = (values: readonly number[]): number => values.reduce((total, value) => total + value, 0);

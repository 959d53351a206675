// A unit is what gets one basis: a layer, or several that share. Which splits it may have, what each basis size costs and
// how much of the filters' energy it loses.
import { stackSpectrum } from "../basis/spectrum.js";
import { basisMacs, bestSplits, divisors, greatestCommonDivisor, type SliceEnd } from "../basis/split.js";
import type { LinearAlgebra, Spectrum } from "../linalg/low-rank.js";
import { filtersOf, type Layer, layerWeights } from "./layers.js";

export interface Unit {
  /** The layer's name, or the group's. */
  readonly name: string;
  readonly layers: readonly Layer[];
  /** Set for units that share a basis. */
  readonly shared: boolean;
  /** Set where narrower layers read slices of the basis: then every layer has one split. */
  readonly slice: SliceEnd | undefined;
}

/** A choice for a unit: channels of a split (of the widest layer, where slices are read) and basis size. */
export interface Choice {
  /** p */
  readonly channels: number;
  /** m */
  readonly basisSize: number;
}

/** Output positions (pixels times batch) over all nodes of each layer; undefined where the shapes are not known. */
export type Positions = (layer: Layer) => number | undefined;

/** s of a layer: c / p, or 1 where it reads a slice. */
export function splitsOf(layer: Layer, unit: Unit, channels: number): number {
  return unit.slice ? 1 : layer.inChannels / channels;
}

/** Weights of the unit as it is. */
export const unitWeights = (unit: Unit): number => sum(unit.layers.map(layerWeights));

/** Weights with a basis: the basis once, coefficients for each layer. */
export function choiceWeights(unit: Unit, { channels, basisSize }: Choice): number {
  const taps = unit.layers[0]!.taps;
  return (
    sum(unit.layers.map((layer) => layer.outChannels * splitsOf(layer, unit, channels) * basisSize)) + basisSize * channels * taps
  );
}

/** Multiply-accumulates of the unit as it is; layers whose positions are not known count 0. */
export function unitMacs(unit: Unit, positions: Positions): number {
  return sum(unit.layers.map((layer) => layerWeights(layer) * (positions(layer) ?? 0)));
}

export function choiceMacs(unit: Unit, { channels, basisSize }: Choice, positions: Positions): number {
  return sum(unit.layers.map((layer) => basisMacs(layer, splitsOf(layer, unit, channels), basisSize) * (positions(layer) ?? 0)));
}

/** The largest basis that can be made from the unit's weights. */
export function unitFullRank(unit: Unit, channels: number): number {
  const rows = sum(unit.layers.map((layer) => layer.outChannels * splitsOf(layer, unit, channels)));
  return Math.min(rows, channels * unit.layers[0]!.taps);
}

/** Values of p that the unit can have: divisors of what the layers' channels have in common; the widest layer's for slices. */
export function possibleChannels(unit: Unit): readonly number[] {
  const channels = unit.layers.map(({ inChannels }) => inChannels);
  return unit.slice ? [Math.max(...channels)] : divisors(greatestCommonDivisor(channels));
}

/** The spectrum of the unit's stacked split matrices (zero-padded for slices, whose energies bound the loss from above). */
export function unitSpectrum(
  unit: Unit,
  channels: number,
  linear: LinearAlgebra,
  known: Map<string, Spectrum> = new Map(),
): Spectrum {
  const key = JSON.stringify([unit.name, unit.layers.map(({ name }) => name), channels]);
  const found = known.get(key);
  if (found) return found;
  const filters = unit.layers.map((layer) => filtersOf(layer, splitsOf(layer, unit, channels)));
  const made = stackSpectrum(filters, unit.slice, linear);
  known.set(key, made);
  return made;
}

/** Multiply-accumulates of a Gram matrix beyond which only the best split of a unit is tried: about a tenth of a second. */
const affordable = 2e8;

/**
 * The possible p worth trying for a budget: the best one (by weights that of Eq. 7, by multiply-accumulates the whole filter); where that is cheap
 * also its neighbours and the whole filter.
 */
export function candidateChannels(unit: Unit, kind: "weights" | "macs" = "weights"): readonly number[] {
  const possible = possibleChannels(unit);
  const least = (p: number) => choiceWeights(unit, { channels: p, basisSize: 1 });
  const best = kind === "macs" ? possible.at(-1)! : possible.reduce((a, p) => (least(p) < least(a) ? p : a));
  const at = possible.indexOf(best);
  const near = new Set([possible.at(-1)!, ...possible.slice(Math.max(0, at - 1), at + 3)]);
  // Both sides of the matrix times its rank: rows * cols is the number of weights, whatever the split.
  const work = (p: number) => unitWeights(unit) * unitFullRank(unit, p);
  return possible.filter((p) => p === best || (near.has(p) && work(p) <= affordable));
}

/** Eq. 7 for a unit: the p with the least weights for any basis size; for a single layer that of its best splits. */
export function bestChannels(unit: Unit): number {
  const [first] = unit.layers;
  if (unit.layers.length === 1 && first && !unit.slice) return first.inChannels / bestSplits(first);
  return possibleChannels(unit).reduce((a, p) =>
    choiceWeights(unit, { channels: p, basisSize: 1 }) <= choiceWeights(unit, { channels: a, basisSize: 1 }) ? p : a,
  );
}

const sum = (values: readonly number[]): number => values.reduce((total, value) => total + value, 0);

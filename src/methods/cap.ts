// Cascaded projection (CaP; Minnehan and Savakis, Cascaded Projection: End-to-End Network Compression and Acceleration,
// 2019): an orthonormal P [n, r] between the layer that makes channels and those that read them,
//
//   W_i' = P^T (k W_i),  b_i' = P^T (k b_i + t)       the layer that makes them, its batch norm (k, t) folded in
//   W_j' = W_j P                                       each layer that reads them
//
// so that both become smaller plain layers. Only channels within a block are projected; what blocks add up stays
// ("consistent residual propagation"). Behind the smaller layer a norm is put back that changes nothing: its scale is
// the deviation of the projected outputs, its shift their mean.
//
// P by default: the first r eigenvectors of the covariance of the layer's outputs, from calibration moments C where
// they are given, (k W) C (k W)^T, else with C = I. With data `learnProjections` goes on from there by the paper's
// mixture loss. The idea and the abstract's numbers are verified against the paper, the rest of the method is
// remembered, and the initialisation and the order of the activation (on the r channels) are our own.
import * as z from "zod/mini";
import type { ActivationMoments } from "../basis/moments.js";
import { nodeName } from "../graph/attributes.js";
import type { Graph, Pass, PassResult } from "../graph/types.js";
import { type LinearAlgebra, pureLinearAlgebra } from "../linalg/low-rank.js";
import { type Matrix, matrix, transpose } from "../linalg/matrix.js";
import { channelCounts, channelFields, unreachable } from "./channel-budget.js";
import { type ChannelGraph, findChannels } from "./channel-classes.js";
import { type ChannelInterface, foldedFilters, interfaceOf } from "./channel-interfaces.js";
import { channelOutcomes } from "./channel-outcomes.js";
import { insertProjections } from "./insert-projections.js";
import type { Method } from "./method.js";
import { about, count, type OptionsOf, optional } from "./options.js";

const { rate: _, ...budgets } = channelFields;
const fields = {
  ...budgets,
  ...optional({
    keep: about("r / n, the same for all layers, instead of a budget", z.number().check(z.gt(0), z.lte(1))),
    steps: about("with calibration batches: steps by which projections are learned; default 100", count),
    lr: about("of these steps; default 0.01", z.number().check(z.positive())),
    gamma: about("weight of the cross entropy beside the layers' errors; default 1", z.number().check(z.nonnegative())),
  }),
};

export interface CapOptions extends OptionsOf<typeof fields> {
  /** What layers see on data, by their names. */
  readonly moments?: ReadonlyMap<string, ActivationMoments>;
  readonly linear?: LinearAlgebra;
  /** Learned projections P [n, r], by the name of the layer that makes the channels. */
  readonly projections?: ReadonlyMap<string, Matrix>;
}

/** Where projections go, and how wide they are. */
export interface PlannedProjections {
  readonly found: ChannelGraph;
  readonly interfaces: readonly (ChannelInterface & { readonly rank: number })[];
  /** Why channels are left alone, by a position of each. */
  readonly reasons: ReadonlyMap<number, string>;
}

/** The pass. */
function cap(options: CapOptions = {}): Pass {
  return (graph): PassResult => {
    const planned = planProjections(graph, options);
    const { found, interfaces, reasons } = planned;
    const projected = interfaces.map((one) => ({ ...one, projection: projectionOf(graph, one, options) }));
    const gone = new Set(projected.flatMap(({ of, projection }) => of.channels.slice(projection.cols)));
    const note = options.projections ? "by a learned projection" : "by a projection";
    const why = (id: number) => reasons.get(id);
    const outcomes = channelOutcomes(graph, found, { pass: "cap", gone, options, why, note });
    return { graph: insertProjections(graph, found, projected), outcomes };
  };
}

/** @throws FilterBasisError `budget-unreachable` */
export function planProjections(graph: Graph, options: CapOptions): PlannedProjections {
  const found = findChannels(graph, options.inputs ? { inputs: options.inputs } : {});
  const all = found.classes.map((one) => [one, interfaceOf(graph, found, one, options)] as const);
  const interfaces = all.flatMap(([, one]) => ("reason" in one ? [] : [one]));
  const reasons = new Map(
    all.flatMap(([one, made]) => ("reason" in made ? one.channels.map((id) => [id, made.reason] as const) : [])),
  );
  const { keep, keepMacs, keepParams = 0.5, inputs, projections } = options;
  const counts = channelCounts(graph, found, inputs);
  const rankAt =
    (share: number) =>
    ({ of, maker }: ChannelInterface) =>
      projections?.get(nodeName(maker.node))?.cols ?? Math.max(1, Math.round(share * of.channels.length));
  const goneAt = (share: number) => new Set(interfaces.flatMap((one) => one.of.channels.slice(rankAt(share)(one))));
  const ranked = (share: number) => ({
    ...{ found, reasons },
    interfaces: interfaces.map((one) => ({ ...one, rank: rankAt(share)(one) })),
  });
  if (keep !== undefined || projections !== undefined) return ranked(keep ?? 0.5);
  const kind = keepMacs === undefined ? "weights" : "macs";
  const most = (keepMacs ?? keepParams) * counts.before[kind];
  const least = counts.without(goneAt(0))[kind];
  if (least > most) throw unreachable(kind, least / counts.before[kind]);
  let [low, high] = [0, 1];
  for (let turn = 0; turn < 30; turn++) {
    const middle = (low + high) / 2;
    if (counts.without(goneAt(middle))[kind] <= most) low = middle;
    else high = middle;
  }
  return ranked(counts.without(goneAt(1))[kind] <= most ? 1 : low);
}

/** P [n, r] of an interface: learned, or the first eigenvectors of the covariance of its outputs. */
export function projectionOf(
  graph: Graph,
  one: ChannelInterface & { readonly rank: number },
  { projections, moments, linear = pureLinearAlgebra }: CapOptions,
): Matrix {
  const learned = projections?.get(nodeName(one.maker.node));
  if (learned !== undefined) return learned;
  if (one.rank === one.of.channels.length) return identity(one.rank);
  const { filters } = foldedFilters(graph, one);
  const seen = moments?.get(nodeName(one.maker.node))?.second;
  const weighted = seen?.rows === filters.cols ? linear.multiply(filters, seen) : filters;
  const { vectors } = linear.eigen(linear.multiplyTransposed(weighted, filters));
  return transpose(vectors(one.rank));
}

/** All channels: there is nothing to project, and no reason to turn them. */
function identity(n: number): Matrix {
  const data = new Float64Array(n * n);
  for (let i = 0; i < n; i++) data[i * n + i] = 1;
  return matrix(n, n, data);
}

export const capMethod: Method<"cap", typeof fields> = {
  name: "cap",
  summary: "projects channels within blocks onto fewer (cascaded projection, Minnehan and Savakis; mostly remembered)",
  from: "weights",
  options: fields,
  apply: (graph, options: CapOptions) => cap(options)(graph),
};

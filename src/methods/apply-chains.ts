// What methods that write layers as chains share: find the layers, plan, decompose, write, tell.

import { composed } from "../basis/composed.js";
import type { Factors } from "../basis/factors.js";
import { FilterBasisError } from "../errors/error.js";
import type { Graph, Outcome, PassResult } from "../graph/types.js";
import { numbers } from "../graph/values.js";
import { type LinearAlgebra, pureLinearAlgebra } from "../linalg/low-rank.js";
import { type Matrix, matrix, squaredNorm } from "../linalg/matrix.js";
import { type ChainLayer, findChainLayers } from "./chain-layers.js";
import type { Line } from "./chain-line.js";
import {
  type Boxed,
  type ChainOptions,
  type ChainPlan,
  type Level,
  type PlannedChain,
  planChains,
} from "./plan-chains.js";
import { nothingToDo } from "./plan-groups.js";
import { chainSentence, type WrittenChain, writeLayerChains } from "./write-chain.js";

export interface ChainWork {
  /** The method's name. */
  readonly name: string;
  /** Why a layer is skipped, if it is. */
  readonly takes: (layer: ChainLayer) => string | undefined;
  readonly line: (layer: ChainLayer, filters: Matrix, linear: LinearAlgebra) => Line;
  readonly level?: Level;
  readonly boxed?: Boxed;
  /** How factors are put into the graph. Default: as chains of ordinary nodes. */
  readonly write?: typeof writeLayerChains;
  /** Factors by what the layers before it have become: layer after layer, instead of the line's. */
  readonly rewrite?: (planned: PlannedChain, soFar: Graph) => Rewritten;
}

export interface Rewritten {
  readonly factors: Factors;
  /** New ones, for each node. */
  readonly bias?: readonly Float64Array[];
}

/** @throws FilterBasisError `unsupported` where no layer can be treated; what planning throws */
export function applyChains(
  graph: Graph,
  options: ChainOptions & { readonly linear?: LinearAlgebra },
  work: ChainWork,
): PassResult {
  const { name, takes, line, level, boxed } = work;
  const { linear = pureLinearAlgebra, inputs = new Map(), keepFirst = 1 } = options;
  const found = findChainLayers(graph, inputs, { ...options, keepFirst }, takes);
  if (found.layers.length === 0) throw nothingToDo(found.skipped);
  const lines = found.layers.map((layer) => ({ layer, line: line(layer, filtersOf(layer), linear) }));
  const plans = planChains(graph, lines, options, { ...(level && { level }), ...(boxed && { boxed }) });
  const done = plans.map((plan) => carriedOut(graph, plan, work, linear));
  const best = boxed?.best;
  const scores = best === undefined || done.length === 1 ? [0] : done.map((one) => best(one.graph));
  const { written, graph: made, skipped } = done[scores.indexOf(Math.max(...scores))]!;
  const tell = (layer: string, applied: boolean, reason: string): Outcome => ({ pass: name, layer, applied, reason });
  const outcomes = [
    ...written.flatMap((one) => one.layer.layer.nodes.map((node) => tell(node.name, true, chainSentence(one)))),
    ...[...found.skipped, ...skipped].map(({ name: layer, reason }) => tell(layer, false, reason)),
  ];
  return { graph: made, outcomes };
}

function carriedOut(
  graph: Graph,
  { planned, skipped }: ChainPlan,
  { name, rewrite, write = writeLayerChains }: ChainWork,
  linear: LinearAlgebra,
) {
  const written: WrittenChain[] = [];
  for (const one of planned) {
    const { layer } = one;
    const made = rewrite?.(one, write(graph, written, name)) ?? { factors: one.line.factors(one.k) };
    written.push({ ...made, layer, lost: lostBy(filtersOf(layer), composed(made.factors, linear.multiply)) });
  }
  return { written, skipped, graph: written.length === 0 ? graph : write(graph, written, name) };
}

/** W [n x c kh kw] */
function filtersOf({ layer, shape: { n, c, kernel } }: ChainLayer): Matrix {
  const values = numbers(layer.weight);
  if (values.every(Number.isFinite)) return matrix(n, c * kernel[0] * kernel[1], values);
  throw new FilterBasisError("non-finite", "the filters of a layer are not all finite", { layer: layer.name });
}

function lostBy({ data }: Matrix, rebuilt: Matrix): number {
  const all = squaredNorm(data);
  return all > 0 ? squaredNorm(data.map((value, i) => value - rebuilt.data[i]!)) / all : 0;
}

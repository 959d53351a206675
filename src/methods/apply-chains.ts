// What methods that write layers as chains share: find the layers, plan, decompose, write, tell.

import { composed } from "../basis/composed.js";
import { FilterBasisError } from "../errors/error.js";
import type { Graph, Outcome, PassResult } from "../graph/types.js";
import { numbers } from "../graph/values.js";
import { type LinearAlgebra, pureLinearAlgebra } from "../linalg/low-rank.js";
import { type Matrix, matrix, squaredNorm } from "../linalg/matrix.js";
import { type ChainLayer, findChainLayers } from "./chain-layers.js";
import type { Line } from "./chain-line.js";
import { type ChainOptions, type Level, planChains } from "./plan-chains.js";
import { nothingToDo } from "./plan-groups.js";
import { chainSentence, type WrittenChain, writeLayerChains } from "./write-chain.js";

export interface ChainWork {
  /** The method's name. */
  readonly name: string;
  /** Why a layer is skipped, if it is. */
  readonly takes: (layer: ChainLayer) => string | undefined;
  readonly line: (layer: ChainLayer, filters: Matrix, linear: LinearAlgebra) => Line;
  readonly level?: Level;
}

/** @throws FilterBasisError `unsupported` where no layer can be treated; what planning throws */
export function applyChains(
  graph: Graph,
  options: ChainOptions & { readonly linear?: LinearAlgebra },
  { name, takes, line, level }: ChainWork,
): PassResult {
  const { linear = pureLinearAlgebra, inputs = new Map(), keepFirst = 1 } = options;
  const found = findChainLayers(graph, inputs, { ...options, keepFirst }, takes);
  if (found.layers.length === 0) throw nothingToDo(found.skipped);
  const lines = found.layers.map((layer) => {
    const filters = filtersOf(layer);
    return { layer, filters, line: line(layer, filters, linear) };
  });
  const { planned, skipped } = planChains(graph, lines, options, level);
  const written = planned.map(({ layer, line: own, k }): WrittenChain => {
    const factors = own.factors(k);
    return { layer, factors, lost: lostBy(filtersOf(layer), composed(factors, linear.multiply)) };
  });
  const tell = (layer: string, applied: boolean, reason: string): Outcome => ({ pass: name, layer, applied, reason });
  const outcomes = [
    ...written.flatMap((one) => one.layer.layer.nodes.map((node) => tell(node.name, true, chainSentence(one)))),
    ...[...found.skipped, ...skipped].map(({ name: layer, reason }) => tell(layer, false, reason)),
  ];
  return { graph: written.length === 0 ? graph : writeLayerChains(graph, written, name), outcomes };
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

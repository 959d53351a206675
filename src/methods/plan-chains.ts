// A plan for methods that write layers as chains: for every layer its k on the method's line, as asked for or under a
// budget. Where the losses of all k are known before decomposing, the budget is solved as for bases: the largest
// product of the shares of the squared norms that are kept. Where they are not, every layer keeps the same fraction of
// its cost, or stands at the same level of what its method says.

import * as z from "zod/mini";
import type { SkippedLayer } from "../basis/convolution.js";
import { FilterBasisError, isError } from "../errors/error.js";
import type { Graph } from "../graph/types.js";
import type { Random } from "../linalg/random.js";
import { cost } from "../ops/cost/cost.js";
import { type Option, solveBudget } from "./budget.js";
import type { ChainLayer } from "./chain-layers.js";
import { densePrice, type Line, largestWithin, type Price, priceOf } from "./chain-line.js";
import { about, count, type OptionsOf, optional, selectionFields } from "./options.js";
import { matches } from "./pattern.js";
import { fraction, shapes } from "./plan-options.js";

export const chainFields = {
  ...optional({
    rank: about("of every layer, instead of a budget: basis filters, channels between or terms", count),
    keepParams: about("keep this fraction of the model's weights; default 0.5", fraction),
    keepMacs: about("keep this fraction of the model's multiply-accumulates", fraction),
    layers: about(
      "the rank of the layers that a pattern matches",
      z.record(z.string(), z.strictObject({ rank: count })),
    ),
    keepFirst: about(
      "the first so many convolutions stay; default 1, the one that reads the image",
      z.int().check(z.nonnegative()),
    ),
    inputs: about(
      "shapes that fix free axes of the inputs",
      z.pipe(
        shapes,
        z.transform((given: z.output<typeof shapes>) => new Map(Object.entries(given))),
      ),
    ),
  }),
  ...selectionFields,
};

export type ChainOptions = OptionsOf<typeof chainFields>;

export interface Lined {
  readonly layer: ChainLayer;
  readonly line: Line;
}

/** Under a budget: the k of a layer at a level from 0 (least) to 1 (full rank), growing with the level. */
export type Level = (lined: Lined, level: number, price: Price) => number;

/** Under a budget: what loses least between the levels at smaller and larger budgets. */
export interface Boxed {
  /** How much smaller and larger. */
  readonly spread: number;
  /** Comparable between layers. */
  readonly loss: (lined: Lined, k: number) => number;
  /** So many solutions of perturbed losses, of which the best network is taken. */
  readonly tries?: number;
  readonly random?: Random;
  readonly best?: (graph: Graph) => number;
}

export interface Allocation {
  readonly level?: Level;
  readonly boxed?: Boxed;
}

export interface PlannedChain extends Lined {
  readonly k: number;
}

export interface ChainPlan {
  readonly planned: readonly PlannedChain[];
  readonly skipped: readonly SkippedLayer[];
}

/**
 * The plans that come into question, the best first.
 * @throws FilterBasisError `usage` for two budgets, `invalid-plan` where no layer can have the rank asked for,
 * `budget-unreachable`
 */
export function planChains(
  graph: Graph,
  lines: readonly Lined[],
  options: ChainOptions,
  { level, boxed }: Allocation = {},
): readonly ChainPlan[] {
  if (options.rank !== undefined || options.layers !== undefined) return [explicit(lines, options)];
  const { keepParams, keepMacs, inputs = new Map() } = options;
  if (keepParams !== undefined && keepMacs !== undefined)
    throw new FilterBasisError("usage", "give one budget: keepParams or keepMacs");
  const price: Price = keepMacs === undefined ? "weights" : "macs";
  const all = cost(graph, inputs)[price];
  const dense = lines.map(({ layer }) => densePrice(layer, price));
  const budget: LineBudget = {
    price,
    dense,
    all,
    fixed: all - dense.reduce((sum, one) => sum + one, 0),
    keep: keepMacs ?? keepParams ?? 0.5,
    option: price === "macs" ? "keep-macs" : "keep-params",
  };
  if (boxed !== undefined && level !== undefined) return solvedWithin(lines, budget, level, boxed);
  const byLoss = level === undefined && lines.every(({ line }) => line.lost !== undefined);
  const ks = byLoss ? solved(lines, budget) : levelled(lines, budget, level ?? sameFraction);
  return [decided(lines, ks)];
}

interface LineBudget {
  readonly price: Price;
  /** Of each layer as it is. */
  readonly dense: readonly number[];
  readonly all: number;
  /** Of everything that is not planned. */
  readonly fixed: number;
  readonly keep: number;
  readonly option: string;
}

function explicit(lines: readonly Lined[], { rank, layers = {} }: ChainOptions): ChainPlan {
  const planned: PlannedChain[] = [];
  const skipped: SkippedLayer[] = [];
  let beyond: FilterBasisError | undefined;
  for (const lined of lines) {
    const { name } = lined.layer.layer;
    const rule = Object.entries(layers).find(([pattern]) => matches(name, [pattern]));
    const k = rule?.[1].rank ?? rank;
    const { most } = lined.line;
    if (k === undefined) skipped.push({ name, reason: "no rank is given for it" });
    else if (k <= most) planned.push({ ...lined, k });
    else {
      beyond ??= new FilterBasisError("invalid-plan", "the rank is larger than the full rank of the filters", {
        layer: name,
        field: "rank",
        expected: `at most ${most}`,
        got: `${k}`,
      });
      skipped.push({ name, reason: `a rank of ${k} is larger than the full rank ${most} of its filters` });
    }
  }
  if (planned.length === 0 && beyond) throw beyond;
  return { planned, skipped };
}

type Chosen = Option & { readonly choice: { readonly k: number } | undefined };

/** Keeps the logarithm finite where nothing is left. */
const leastShare = 1e-12;

/** The k of every layer, 0 where it stays. */
function solved(
  lines: readonly Lined[],
  { price, dense, all, fixed, keep, option }: LineBudget,
  loss = ({ line }: Lined, k: number): number => -Math.log(Math.max(leastShare, 1 - line.lost!(k))),
  range: (index: number) => readonly [number, number] = (i) => [1, lines[i]!.line.most],
): number[] {
  const table = lines.map((lined, i): Chosen[] => {
    const [least, most] = range(i);
    const options: Chosen[] = [{ cost: dense[i]!, loss: 0, choice: undefined }];
    for (let k = Math.max(1, least); k <= most; k++) {
      const own = priceOf(lined.layer, lined.line.at(k), price);
      if (own >= dense[i]!) break;
      options.push({ cost: own, loss: loss(lined, k), choice: { k } });
    }
    return options;
  });
  const names = lines.map(({ layer }) => layer.layer.name);
  const { chosen } = solveBudget(table, { fixed, original: all, keep, option, names });
  return chosen.map((one) => (one as Chosen).choice?.k ?? 0);
}

function solvedWithin(lines: readonly Lined[], budget: LineBudget, level: Level, boxed: Boxed): readonly ChainPlan[] {
  const { spread, loss, tries = 1, random } = boxed;
  const middle = levelled(lines, budget, level);
  const near = (factor: number) => {
    try {
      return levelled(lines, { ...budget, keep: Math.min(1, budget.keep * factor) }, level);
    } catch (error) {
      if (isError(error, "budget-unreachable")) return middle;
      throw error;
    }
  };
  const [low, high] = [near(1 - spread), near(1 + spread)];
  const range = (i: number): readonly [number, number] => [low[i]!, high[i] === 0 ? lines[i]!.line.most : high[i]!];
  const found = new Map<string, { readonly ks: readonly number[]; readonly loss: number }>();
  for (let attempt = 0; attempt < 3 * tries && found.size < tries; attempt++) {
    const shaken = lines.map(() => (attempt === 0 ? 1 : 1 + 0.4 * (random!.next() - 0.5)));
    const ks = solved(lines, budget, (lined, k) => shaken[lines.indexOf(lined)]! * loss(lined, k), range);
    found.set(`${ks}`, { ks, loss: ks.reduce((sum, k, i) => sum + (k === 0 ? 0 : loss(lines[i]!, k)), 0) });
  }
  return [...found.values()].sort((a, b) => a.loss - b.loss).map(({ ks }) => decided(lines, ks));
}

const sameFraction: Level = ({ layer, line }, level, price) =>
  largestWithin(layer, line, level * densePrice(layer, price), price);

/** The highest level within the budget, then single steps as far as they fit. */
function levelled(lines: readonly Lined[], budget: LineBudget, level: Level): number[] {
  const { price, dense, all, fixed, keep } = budget;
  const target = keep * all - fixed;
  const costOf = (i: number, k: number) =>
    k === 0 ? dense[i]! : priceOf(lines[i]!.layer, lines[i]!.line.at(k), price);
  /** The k that save something: 0 keeps the layer as it is. */
  const saving = (i: number, k: number) => (costOf(i, Math.max(1, k)) < dense[i]! ? Math.max(1, k) : 0);
  const at = (height: number) => lines.map((lined, i) => saving(i, level(lined, height, price)));
  const total = (ks: readonly number[]) => ks.reduce((sum, k, i) => sum + costOf(i, k), 0);
  const least = at(0);
  if (total(least) > target) throw unreachable(budget, total(least) + fixed, lines);
  let [low, high] = [0, 1];
  if (total(at(1)) <= target) return at(1);
  for (let step = 0; step < 60; step++) {
    const middle = (low + high) / 2;
    if (total(at(middle)) <= target) low = middle;
    else high = middle;
  }
  const chosen = at(low);
  const next = at(high);
  let spent = total(chosen);
  for (const [i, k] of next.entries()) {
    const more = costOf(i, k) - costOf(i, chosen[i]!);
    if (more <= 0 || spent + more > target) continue;
    chosen[i] = k;
    spent += more;
  }
  return chosen;
}

function unreachable({ all, keep, option }: LineBudget, least: number, lines: readonly Lined[]): FilterBasisError {
  const fraction = Math.ceil((least / all) * 1e4) / 1e4;
  return new FilterBasisError(
    "budget-unreachable",
    `the budget --${option} ${keep} cannot be met: the least reachable is ${fraction}`,
    {
      field: option,
      expected: `at least ${fraction}`,
      got: `${keep}`,
      cures: fraction < 1 ? [`--${option} ${fraction}`] : [],
      facts: { reachable: fraction, layers: lines.map(({ layer }) => layer.layer.name) },
    },
  );
}

/** k = 0 leaves a layer as it is. */
function decided(lines: readonly Lined[], ks: readonly number[]): ChainPlan {
  const planned = lines.flatMap((lined, i): readonly PlannedChain[] => (ks[i] === 0 ? [] : [{ ...lined, k: ks[i]! }]));
  const skipped = lines.flatMap(({ layer, line }, i): readonly SkippedLayer[] => {
    if (ks[i] !== 0) return [];
    const saves = priceOf(layer, line.at(1), "weights") < densePrice(layer, "weights");
    const reason = saves ? "the budget is met with less loss by other layers" : "no rank would save any of its cost";
    return [{ name: layer.layer.name, reason }];
  });
  return { planned, skipped };
}

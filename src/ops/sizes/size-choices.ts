// The numbers that each free size may be, likely ones first: what is usual for such an axis, unless the network demands
// others.
import { isError } from "../../errors/error.js";
import { evaluator, substitute, symbolsOf } from "../../graph/dims.js";
import type { Graph } from "../../graph/types.js";
import { inferKnown } from "../infer.js";
import type { FreeSizes } from "./free-sizes.js";
import { isFullResolution } from "./full-resolution.js";
import { type SizeEquation, sizeEquations } from "./size-equations.js";
import { kindsOf, type SizeKind, usualSizes } from "./usual-sizes.js";

/** What a graph tells of its free sizes before any is tried. */
export interface SizeDemands {
  readonly graph: Graph;
  readonly free: FreeSizes;
  readonly equations: readonly SizeEquation[];
  /** Free pixels are those of patches. */
  readonly patches: boolean;
}

/** Nothing is demanded where inference fails whatever the sizes. */
export function sizeDemands(graph: Graph, free: FreeSizes): SizeDemands {
  try {
    const known = inferKnown(graph, free.dims);
    return { graph, free, equations: sizeEquations(graph, known), patches: isFullResolution(graph, known) };
  } catch (error) {
    if (isError(error, "shape-mismatch")) return { graph, free, equations: [], patches: false };
    throw error;
  }
}

export interface SizeChoice {
  readonly symbol: string;
  readonly kind: SizeKind;
  /** The first input that has it. */
  readonly input: string;
  /** Never empty. */
  readonly list: readonly number[];
  /** What keeps the most usual size out. */
  readonly needed?: SizeEquation;
}

/** Above this only the number itself is found that a symbol alone must be. */
const largest = 4096;

/** Do numbers meet all equations? An equation with a symbol that has no number does not count. */
export function allHold(equations: readonly SizeEquation[]): (sizes: ReadonlyMap<string, number>) => boolean {
  const tests = equations.map(({ dim, equals, orOne }) => ({ value: evaluator(dim), equals, orOne }));
  return (sizes) =>
    tests.every(({ value, equals, orOne }) => {
      const got = value(sizes);
      return got === equals || (orOne && got === 1) || Number.isNaN(got);
    });
}

/** A choice for every free symbol; undefined where the equations leave none for one of them. */
export function sizeChoices({ graph, free, equations, patches }: SizeDemands): readonly SizeChoice[] | undefined {
  const before = kindsOf(graph, free);
  const batches = [...before].filter(([, kind]) => kind === "batch");
  const allowed = allowedAlone(equations, new Map(batches.map(([symbol]) => [symbol, 1])));
  const sole = [...allowed].filter(([, { numbers }]) => numbers.length === 1);
  const fixed = new Map(sole.map(([symbol, { numbers }]) => [symbol, numbers[0]!]));
  // once the channels are known, it can be told which axes are pixels
  const known = [...free.dims].map(
    ([name, dims]) => [name, dims.map((dim) => substitute(dim, fixed) as number | string)] as const,
  );
  const kinds = kindsOf(graph, { ...free, dims: new Map(known) });
  const inputOf = (symbol: string) =>
    [...free.dims].find(([, dims]) => dims.some((dim) => symbolsOf(dim).has(symbol)))![0];
  const choices = free.symbols.map((symbol): SizeChoice => {
    const own = (fixed.has(symbol) ? before : kinds).get(symbol)!;
    const kind = patches && own === "pixels" ? "patch" : own;
    return { symbol, kind, input: inputOf(symbol), ...listOf(kind, allowed.get(symbol)) };
  });
  return choices.every(({ list }) => list.length > 0) ? choices : undefined;
}

interface Allowed {
  readonly numbers: readonly number[];
  readonly needed: SizeEquation;
}

/** For each symbol that stands alone in some equations (a batch being 1): the numbers that meet them. */
function allowedAlone(
  equations: readonly SizeEquation[],
  batches: ReadonlyMap<string, number>,
): ReadonlyMap<string, Allowed> {
  const allowed = new Map<string, Allowed>();
  for (const equation of equations) {
    const rest = substitute(equation.dim, batches);
    const [symbol, ...more] = symbolsOf(rest);
    if (typeof rest !== "string" || symbol === undefined || more.length > 0) continue;
    const holds = allHold([{ ...equation, dim: rest }]);
    const all =
      rest === symbol && !equation.orOne ? [equation.equals] : Array.from({ length: largest }, (_, n) => n + 1);
    const numbers = (allowed.get(symbol)?.numbers ?? all).filter((size) => holds(new Map([[symbol, size]])));
    allowed.set(symbol, { numbers, needed: equation });
  }
  return allowed;
}

function listOf(kind: SizeKind, allowed: Allowed | undefined): Pick<SizeChoice, "list" | "needed"> {
  const usual = usualSizes[kind];
  if (allowed === undefined) return { list: usual };
  const { numbers, needed } = allowed;
  const list = usual.filter((size) => numbers.includes(size));
  if (list[0] === usual[0] && numbers.length > 1) return { list };
  const ordered = [...new Set([...list, ...roundFirst(numbers, usual[0]!)])].slice(0, 40);
  // 1 is what broadcasting allows, and never what is meant
  return { list: [...ordered.filter((size) => size !== 1), ...ordered.filter((size) => size === 1)], needed };
}

/** Multiples of 32 first, then of 16, of 8 ...; among alike ones the nearest to what is usual. */
export function roundFirst(numbers: readonly number[], usual: number): readonly number[] {
  const roundness = (size: number) => Math.min(32, size & -size);
  return [...numbers].sort((a, b) => roundness(b) - roundness(a) || Math.abs(a - usual) - Math.abs(b - usual));
}

// Which sizes of a model's inputs are free. One symbol stands for one number wherever it occurs; a free axis without a
// name gets one of its own.
import { FilterBasisError } from "../../errors/error.js";
import { evaluator, growing, substitute, symbolsOf, usable } from "../../graph/dims.js";
import { feeds } from "../../graph/edit.js";
import type { Dim, Graph, Value } from "../../graph/types.js";

export interface FreeSizes {
  /** Every input of known rank: numbers, and expressions over `symbols`. */
  readonly dims: ReadonlyMap<string, readonly (number | string)[]>;
  /** What no number is known for, in the order in which the inputs name it. */
  readonly symbols: readonly string[];
  /** Inputs (tensors) of which not even the rank is known. */
  readonly unknownRank: readonly Value[];
}

/** An expression of the file that must come out as a stated number. */
interface Demand {
  readonly input: string;
  readonly dim: string;
  readonly equals: number;
}

/**
 * The inputs' sizes, with what is stated put in; `stated` may leave axes open with null.
 * @throws FilterBasisError `not-found` for an input that the graph does not have; `shape-mismatch` where what is stated
 * has another rank, differs from a fixed size, or gives one symbol two numbers
 */
export function freeSizes(graph: Graph, stated: ReadonlyMap<string, readonly Dim[]> = new Map()): FreeSizes {
  const inputs = feeds(graph);
  refuseUnknown(inputs, stated);
  const open = new Map<string, readonly (number | string)[]>();
  const demands: Demand[] = [];
  const unknownRank: Value[] = [];
  const fresh = freshSymbols(inputs);
  for (const input of inputs) {
    const given = stated.get(input.name);
    const own = input.tensor?.dims?.map(usable) ?? given?.map(() => null);
    if (own === undefined) {
      if (input.tensor !== undefined) unknownRank.push(input);
      continue;
    }
    if (given !== undefined) refuseMisfit(input.name, own, given);
    const dims = own.map((dim, axis): number | string => {
      const number = typeof given?.[axis] === "number" ? given[axis] : undefined;
      if (typeof dim === "string" && number !== undefined) demands.push({ input: input.name, dim, equals: number });
      return dim ?? number ?? fresh();
    });
    open.set(input.name, dims);
  }
  const bound = solve(demands);
  const filled = new Map(
    [...open].map(([name, dims]) => [name, dims.map((dim) => substitute(dim, bound) as number | string)]),
  );
  const symbols = new Set([...filled.values()].flat().flatMap((dim) => [...symbolsOf(dim)]));
  return { dims: filled, symbols: [...symbols], unknownRank };
}

/** The inputs' shapes with numbers for every symbol. */
export const shapesOf = (
  { dims }: FreeSizes,
  sizes: ReadonlyMap<string, number>,
): ReadonlyMap<string, readonly number[]> =>
  new Map([...dims].map(([name, own]) => [name, own.map((dim) => substitute(dim, sizes) as number)]));

function refuseUnknown(inputs: readonly Value[], stated: ReadonlyMap<string, readonly Dim[]>): void {
  const unknown = [...stated.keys()].find((name) => !inputs.some((input) => input.name === name));
  if (unknown === undefined) return;
  throw new FilterBasisError("not-found", "the graph has no such input", {
    tensor: unknown,
    expected: inputs.map(({ name }) => name).join(", "),
    got: unknown,
  });
}

const show = (dims: readonly Dim[]): string => `[${dims.map((dim) => dim ?? "?").join(", ")}]`;

function refuseMisfit(name: string, own: readonly Dim[], given: readonly Dim[]): void {
  const fits = (dim: Dim, axis: number) => {
    const size = given[axis];
    if (typeof size !== "number") return true;
    return Number.isInteger(size) && size >= 0 && (typeof dim !== "number" || dim === size);
  };
  if (own.length === given.length && own.every(fits)) return;
  throw new FilterBasisError("shape-mismatch", "the given shape does not fit the input", {
    tensor: name,
    expected: show(own),
    got: show(given),
  });
}

/** Names that no symbol of the file has. */
function freshSymbols(inputs: readonly Value[]): () => string {
  const taken = new Set(inputs.flatMap(({ tensor }) => tensor?.dims ?? []).flatMap((dim) => [...symbolsOf(dim)]));
  let count = 0;
  return () => {
    let name = `free_${count++}`;
    while (taken.has(name)) name = `free_${count++}`;
    return name;
  };
}

/** What the symbols must be for every demand to hold: plain symbols first, then expressions in which one is left. */
function solve(demands: readonly Demand[]): ReadonlyMap<string, number> {
  const bound = new Map<string, number>();
  const source = new Map<string, string>();
  let waiting = [...demands].sort(
    (a, b) => Number(!symbolsOf(a.dim).has(a.dim)) - Number(!symbolsOf(b.dim).has(b.dim)),
  );
  for (let before = -1; before !== waiting.length; ) {
    before = waiting.length;
    waiting = waiting.filter(({ input, dim, equals }) => {
      const rest = substitute(dim, bound);
      if (typeof rest === "number") {
        if (rest !== equals) throw contradiction(input, dim, equals, rest, source);
        return false;
      }
      const [symbol, ...more] = symbolsOf(rest);
      if (symbol === undefined || more.length > 0) return true;
      const size = root(rest!, symbol, equals);
      if (size === undefined) throw contradiction(input, dim, equals, undefined, source);
      bound.set(symbol, size);
      source.set(symbol, input);
      return false;
    });
  }
  return bound;
}

/** The smallest size for which an expression over one symbol comes out as a number. */
function root(dim: string, symbol: string, equals: number): number | undefined {
  if (dim === symbol) return equals;
  const value = evaluator(dim);
  const at = (size: number) => value(new Map([[symbol, size]]));
  if (growing(dim)) {
    let [low, high] = [0, 2 ** 31];
    while (low < high) {
      const middle = Math.floor((low + high) / 2);
      if (at(middle) < equals) low = middle + 1;
      else high = middle;
    }
    return at(low) === equals ? low : undefined;
  }
  for (let size = 0; size <= 65536; size++) if (at(size) === equals) return size;
  return undefined;
}

function contradiction(
  input: string,
  dim: string,
  equals: number,
  known: number | undefined,
  source: ReadonlyMap<string, string>,
): FilterBasisError {
  const [symbol] = symbolsOf(dim);
  const other = source.get(symbol ?? "");
  const from = other === undefined || other === input ? "" : ` by the size of ${other}`;
  return new FilterBasisError(
    "shape-mismatch",
    `the stated sizes contradict each other: "${symbol}" stands for one number`,
    {
      tensor: input,
      expected: known === undefined ? `a size that ${dim} can be` : `${dim} = ${known}${from}`,
      got: String(equals),
    },
  );
}

// Numbers for the free sizes of a model, in the order in which they are to be tried: each axis at its usual size, all
// at one size, two sizes that differ, any size at all.
import { symbolsOf } from "../../graph/dims.js";
import { allHold, roundFirst, type SizeChoice, type SizeDemands, sizeChoices } from "./size-choices.js";
import type { SizeEquation } from "./size-equations.js";
import { usualSizes } from "./usual-sizes.js";

export type Sizes = ReadonlyMap<string, number>;

export interface Assignment {
  readonly sizes: Sizes;
  /** The demand of the network that the most usual sizes do not meet. */
  readonly needed?: SizeEquation;
}

/**
 * Every assignment is given once. What an equation excludes is left out, likely ones as long as there is anything else;
 * none where they contradict each other.
 */
export function* assignments(demands: SizeDemands): Generator<Assignment> {
  const { equations } = demands;
  const given = new Set<string>();
  const certain = equations.filter((equation) => !equation.likely);
  for (const set of certain.length < equations.length ? [equations, certain] : [certain]) {
    const choices = sizeChoices({ ...demands, equations: set });
    if (choices === undefined) continue;
    for (const assignment of search(choices, set)) {
      const key = [...assignment.sizes.values()].join();
      if (!given.has(key)) yield assignment;
      given.add(key);
    }
  }
}

function* search(choices: readonly SizeChoice[], equations: readonly SizeEquation[]): Generator<Assignment> {
  const holds = allHold(equations);
  const alone = choices.find((choice) => isSize(choice) && choice.needed !== undefined)?.needed;
  const together = equations.find(({ dim }) => symbolsOf(dim).size > 1);
  let usual = true;
  for (const sizes of interleave(ways.map(([way, few]) => [way(choices), few]))) {
    if (!holds(sizes)) {
      usual = false;
      continue;
    }
    const needed = alone ?? (usual ? undefined : together);
    yield { sizes, ...(needed && { needed }) };
  }
}

const isSize = ({ kind }: SizeChoice): boolean => kind !== "batch" && kind !== "channels";

/** The number that `pick` gives a symbol, where it may be that; else the likeliest. */
function sizesBy(choices: readonly SizeChoice[], pick: (choice: SizeChoice) => number | undefined): Sizes {
  return new Map(
    choices.map((choice) => {
      const { symbol, list, needed } = choice;
      const size = pick(choice);
      return [symbol, size !== undefined && (needed === undefined || list.includes(size)) ? size : list[0]!];
    }),
  );
}

/** The k-th of each one's list: axes of one kind have the same size. */
function* usualSize(choices: readonly SizeChoice[]): Generator<Sizes> {
  const sized = choices.filter((choice) => isSize(choice) || choice.needed !== undefined);
  const longest = Math.max(...sized.map(({ list }) => list.length), 1);
  for (let k = 0; k < longest; k++) {
    yield sizesBy(choices, (choice) =>
      sized.includes(choice) ? choice.list[Math.min(k, choice.list.length - 1)] : undefined,
    );
  }
}

/** Other numbers of channels, where nothing tells them. */
function* otherChannels(choices: readonly SizeChoice[]): Generator<Sizes> {
  for (const count of usualSizes.channels)
    yield sizesBy(choices, ({ kind }) => (kind === "channels" ? count : undefined));
}

/** One size for axes of different kinds. */
function* oneSize(choices: readonly SizeChoice[]): Generator<Sizes> {
  const sized = choices.filter(isSize);
  for (const size of new Set(sized.flatMap(({ list }) => list)))
    yield sizesBy(choices, (choice) => (isSize(choice) ? size : undefined));
}

/**
 * One of two inputs, or of two axes, larger than the other: by factors of two, then by whatever comes nearest to equal.
 */
function* twoSizes(choices: readonly SizeChoice[]): Generator<Sizes> {
  const sized = choices.filter(isSize);
  const several = new Set(sized.map(({ input }) => input)).size > 1;
  const keys = [...new Set(sized.map(({ input, symbol }) => (several ? input : symbol)))];
  if (keys.length < 2) return;
  for (const [a, b] of sizePairs()) {
    for (const key of keys.length === 2 ? keys.slice(1) : keys) {
      yield sizesBy(choices, (choice) =>
        isSize(choice) ? ((several ? choice.input : choice.symbol) === key ? b : a) : undefined,
      );
    }
  }
}

function sizePairs(): readonly (readonly [number, number])[] {
  const multiples = Array.from({ length: 64 }, (_, n) => 8 * (n + 1));
  const pairs = multiples.flatMap((a) => multiples.filter((b) => b !== a).map((b) => [a, b] as const));
  const steps = ([a, b]: readonly [number, number]) => Math.abs(Math.log2(a / b));
  const cost = (pair: readonly [number, number]) =>
    (Number.isInteger(steps(pair)) && Math.max(...pair) <= 256 ? 0 : 10) + steps(pair);
  const far = ([a, b]: readonly [number, number]) => Math.abs(a - 64) + Math.abs(b - 64);
  return pairs.sort((p, q) => cost(p) - cost(q) || far(p) - far(q));
}

/** Every size up to 1024 for all axes, round ones first. */
function* roundSize(choices: readonly SizeChoice[]): Generator<Sizes> {
  if (!choices.some(isSize)) return;
  const every = Array.from({ length: 1024 }, (_, n) => n + 1);
  for (const size of roundFirst(every, usualSizes.pixels[0]!))
    yield sizesBy(choices, (choice) => (isSize(choice) ? size : undefined));
}

/** What was taken for a batch as one more size: a symbol may be a batch in one input and a length in another. */
function* batchToo(choices: readonly SizeChoice[]): Generator<Sizes> {
  const sizes = choices.filter(isSize).flatMap(({ list }) => list);
  for (const size of new Set([...sizes, 2, ...usualSizes.frames]))
    yield sizesBy(choices, ({ kind }) => (kind === "channels" ? undefined : size));
}

/** The ways to choose, and how many assignments each gives before it is the next one's turn. */
const ways = [
  [usualSize, 5],
  [oneSize, 4],
  [otherChannels, 2],
  [twoSizes, 4],
  [roundSize, 3],
  [batchToo, 2],
] as const;

/** A few of each in turn, so that none waits for the end of another. */
function* interleave(parts: readonly (readonly [Iterator<Sizes>, number])[]): Generator<Sizes> {
  let open = [...parts];
  while (open.length > 0) {
    for (const part of [...open]) {
      for (let count = 0; count < part[1]; count++) {
        const next = part[0].next();
        if (!next.done) yield next.value;
        else open = open.filter((one) => one !== part);
      }
    }
  }
}

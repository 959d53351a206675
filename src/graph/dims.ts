// Arithmetic on sizes: numbers, expressions over symbols ("N", "2*H", "floor((H + 1)/2)") and null, which stands for
// "unknown".
//
// An expression is a polynomial with integer coefficients over atoms; an atom is a symbol or floor(polynomial/number).
// Its text is the canonical form, so that two sizes are known to be equal exactly when their texts are. Symbols stand
// for sizes, that is, for integers >= 0.
import {
  atomsOf,
  dividePolynomials,
  floorOf,
  floorPolynomial,
  maxLength,
  maxTerms,
  type Polynomial,
  parse,
  plus,
  times,
  toDim,
  toPolynomial,
} from "./polynomial.js";
import type { Dim } from "./types.js";

export const add = (a: Dim, b: Dim): Dim =>
  combine(
    a,
    b,
    (x, y) => x + y,
    (p, q) => plus(p, q, 1),
  );
export const subtract = (a: Dim, b: Dim): Dim =>
  combine(
    a,
    b,
    (x, y) => x - y,
    (p, q) => plus(p, q, -1),
  );
export const multiply = (a: Dim, b: Dim): Dim => (a === 0 || b === 0 ? 0 : combine(a, b, (x, y) => x * y, times));

/** floor(a / b) for a positive integer b. */
export function floorDivide(a: Dim, b: Dim): Dim {
  if (a === null || typeof b !== "number" || b <= 0) return a !== null && a === b ? 1 : null;
  if (typeof a === "number") return Math.floor(a / b);
  return Number.isInteger(b) ? toDim(floorPolynomial(parse(a), b)) : null;
}

/** ceil(a / b) for a positive integer b. */
export const ceilDivide = (a: Dim, b: number): Dim => floorDivide(add(a, b - 1), b);

/** a / b where it is known to come out even (as the -1 of a Reshape does); null where that cannot be seen. */
export function divideExactly(a: Dim, b: Dim): Dim {
  if (a === null || b === null || b === 0) return null;
  if (a === b) return 1;
  if (typeof a === "number" && typeof b === "number") return a % b === 0 ? a / b : null;
  const quotient = dividePolynomials(toPolynomial(a), toPolynomial(b));
  return quotient === undefined ? null : toDim(quotient);
}

export const product = (dims: readonly Dim[]): Dim => dims.reduce(multiply, 1);

/** Is the size 0 or more whatever the symbols stand for? False where that cannot be seen. */
export const notNegative = (dim: Dim): boolean =>
  typeof dim === "number" ? dim >= 0 : dim !== null && [...parse(dim).values()].every((coefficient) => coefficient > 0);

/** Does the size only grow with its symbols? True for what has none. */
export const growing = (dim: Dim): boolean =>
  typeof dim !== "string" || [...parse(dim)].every(([monomial, coefficient]) => monomial === "" || coefficient > 0);

/** The size with numbers in place of symbols. Symbols without a number stay. */
export function substitute(dim: Dim, numbers: ReadonlyMap<string, Dim>): Dim {
  if (typeof dim !== "string" || numbers.size === 0) return dim;
  if (numbers.has(dim)) return numbers.get(dim)!;
  let sum: Dim = 0;
  for (const [monomial, coefficient] of parse(dim)) {
    let term: Dim = coefficient;
    for (const atom of atomsOf(monomial)) term = multiply(term, substituteAtom(atom, numbers));
    sum = add(sum, term);
  }
  return sum;
}

/** The symbols that a size is made of. */
export function symbolsOf(dim: Dim): ReadonlySet<string> {
  const found = new Set<string>();
  if (typeof dim !== "string") return found;
  for (const monomial of parse(dim).keys()) {
    for (const atom of atomsOf(monomial)) {
      const inner = floorOf(atom);
      if (inner === undefined) found.add(atom);
      else for (const name of symbolsOf(toDim(inner.over))) found.add(name);
    }
  }
  return found;
}

/** Names that exporters give to every size they do not know: two axes of that name need not be equal. */
const placeholder = /^(\?|-|none|null|nil|unk|unknown|undefined|dynamic|any)$/i;

/**
 * A stated size as it can be used: negative numbers, texts that are numbers and placeholders mean "unknown" in files
 * found in the wild.
 */
export const usable = (dim: Dim): Dim =>
  (typeof dim === "number" && dim < 0) ||
  (typeof dim === "string" && (placeholder.test(dim) || symbolsOf(dim).size === 0))
    ? null
    : dim;

/**
 * The size as a function of its symbols' numbers: NaN where one is missing. For trying many numbers; `substitute` is
 * for once.
 */
export function evaluator(dim: number | string): (numbers: ReadonlyMap<string, number>) => number {
  if (typeof dim === "number") return () => dim;
  const terms = [...parse(dim)].map(([monomial, coefficient]) => ({
    coefficient,
    factors: atomsOf(monomial).map(atomEvaluator),
  }));
  return (numbers) =>
    terms.reduce(
      (sum, { coefficient, factors }) => sum + factors.reduce((value, factor) => value * factor(numbers), coefficient),
      0,
    );
}

function atomEvaluator(atom: string): (numbers: ReadonlyMap<string, number>) => number {
  const inner = floorOf(atom);
  if (inner === undefined) return (numbers) => numbers.get(atom) ?? Number.NaN;
  const over = toDim(inner.over);
  if (over === null) return () => Number.NaN;
  const value = evaluator(over);
  return (numbers) => Math.floor(value(numbers) / inner.by);
}

function substituteAtom(atom: string, numbers: ReadonlyMap<string, Dim>): Dim {
  const inner = floorOf(atom);
  if (inner === undefined) return numbers.has(atom) ? numbers.get(atom)! : toDim(new Map([[atom, 1]]));
  return floorDivide(substitute(toDim(inner.over), numbers), inner.by);
}

function combine(
  a: Dim,
  b: Dim,
  onNumbers: (x: number, y: number) => number,
  onPolynomials: (p: Polynomial, q: Polynomial) => Polynomial,
): Dim {
  if (a === null || b === null) return null;
  if (typeof a === "number" && typeof b === "number") return onNumbers(a, b);
  if ((typeof a === "number" && !Number.isInteger(a)) || (typeof b === "number" && !Number.isInteger(b))) return null;
  if (String(a).length + String(b).length > 2 * maxLength) return null;
  const result = onPolynomials(toPolynomial(a), toPolynomial(b));
  return result.size > maxTerms ? null : toDim(result);
}

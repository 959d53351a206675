// Polynomials with integer coefficients over atoms (symbols and floors), and their canonical text: what sizes are
// computed with.
import type { Dim } from "./types.js";

/** Coefficients by monomial; a monomial is its sorted atoms joined by a separator, and "" is the constant term. */
export type Polynomial = ReadonlyMap<string, number>;

const symbol = /^[A-Za-z_][A-Za-z0-9_.]*$/;
/** Longer expressions than these are given up as unknown, or graphs made for it could let them grow without end. */
export const maxTerms = 64;
export const maxLength = 400;

export function plus(p: Polynomial, q: Polynomial, sign: 1 | -1): Polynomial {
  const sum = new Map(p);
  for (const [monomial, coefficient] of q) put(sum, monomial, sign * coefficient);
  return sum;
}

export function times(p: Polynomial, q: Polynomial): Polynomial {
  const result = new Map<string, number>();
  for (const [m, c] of p) for (const [n, d] of q) put(result, join([...atomsOf(m), ...atomsOf(n)]), c * d);
  return result;
}

function put(sum: Map<string, number>, monomial: string, coefficient: number): void {
  const total = (sum.get(monomial) ?? 0) + coefficient;
  if (total === 0) sum.delete(monomial);
  else sum.set(monomial, total);
}

/** floor(p / k): what k divides comes out, and floor((floor(x/a) + n)/k) = floor((x + n a)/(a k)) joins nested ones. */
export function floorPolynomial(p: Polynomial, k: number): Polynomial {
  if (k === 1) return p;
  const outside = new Map<string, number>();
  const inside = new Map<string, number>();
  for (const [monomial, coefficient] of p) {
    const whole = Math.floor(coefficient / k);
    if (coefficient % k === 0 || monomial === "") put(outside, monomial, whole);
    if (coefficient % k !== 0) put(inside, monomial, monomial === "" ? coefficient - whole * k : coefficient);
  }
  const monomials = [...inside.keys()].filter((monomial) => monomial !== "");
  if (monomials.length === 0) return outside;
  const nested = monomials.length === 1 && inside.get(monomials[0]!) === 1 ? floorOf(monomials[0]!) : undefined;
  const joined =
    nested === undefined
      ? new Map([[floorAtom(inside, k), 1]])
      : floorPolynomial(plus(nested.over, toPolynomial((inside.get("") ?? 0) * nested.by), 1), nested.by * k);
  return plus(outside, joined, 1);
}

/** Division with rest in lexicographic order of monomials; undefined where a rest is left. */
export function dividePolynomials(p: Polynomial, q: Polynomial): Polynomial | undefined {
  const [leading, leadingCoefficient] = lead(q);
  const result = new Map<string, number>();
  let rest: Polynomial = p;
  for (let step = 0; rest.size > 0; step++) {
    const [monomial, coefficient] = lead(rest);
    const atoms = without(atomsOf(monomial), atomsOf(leading));
    if (atoms === undefined || coefficient % leadingCoefficient !== 0 || step > maxTerms) return undefined;
    const term = new Map([[join(atoms), coefficient / leadingCoefficient]]);
    for (const [m, c] of term) put(result, m, c);
    rest = plus(rest, times(term, q), -1);
  }
  return result;
}

/** The term with the most atoms, the last of these in order. */
function lead(p: Polynomial): [string, number] {
  return [...p].reduce((best, term) => (before(best[0], term[0]) ? term : best));
}

function before(a: string, b: string): boolean {
  const [m, n] = [atomsOf(a).length, atomsOf(b).length];
  return m === n ? a < b : m < n;
}

function without(atoms: readonly string[], removed: readonly string[]): string[] | undefined {
  const left = [...atoms];
  for (const atom of removed) {
    const at = left.indexOf(atom);
    if (at < 0) return undefined;
    left.splice(at, 1);
  }
  return left;
}

// Text and back. Atoms hold no separator: inside a monomial they are joined by a character that no symbol has.
const separator = "\u0001";
const join = (atoms: readonly string[]): string => [...atoms].sort().join(separator);
export const atomsOf = (monomial: string): readonly string[] => (monomial === "" ? [] : monomial.split(separator));

/** Each expression's polynomial by its text: a cache, emptied when it grows, since every text can be read again. */
const parsed = new Map<string, Polynomial>();
const cacheLimit = 20_000;

interface Floor {
  readonly over: Polynomial;
  readonly by: number;
}

function floorAtom(over: Polynomial, by: number): string {
  const text = show(over);
  return `floor(${over.size > 1 || text.startsWith("-") ? `(${text})` : text}/${by})`;
}

/** What stands in an atom floor(over/by); undefined for symbols. */
export function floorOf(atom: string): Floor | undefined {
  return atom.startsWith("floor(") ? new Parser(atom).floorAtom() : undefined;
}

export const toPolynomial = (dim: number | string): Polynomial =>
  typeof dim === "string" ? parse(dim) : dim === 0 ? new Map() : new Map([["", dim]]);

export function toDim(p: Polynomial): Dim {
  if (p.size === 0) return 0;
  if (p.size === 1 && p.has("")) return p.get("")!;
  const [[monomial, coefficient]] = [...p] as [[string, number]];
  const text = p.size === 1 && coefficient === 1 && atomsOf(monomial).length === 1 ? monomial : show(p); // a name alone needs no quotes
  if (text.length > maxLength) return null;
  if (parsed.size > cacheLimit) parsed.clear();
  parsed.set(text, p);
  return text;
}

function show(p: Polynomial): string {
  const degree = (monomial: string) => atomsOf(monomial).length;
  const terms = [...p].sort(([a], [b]) => degree(b) - degree(a) || (a < b ? -1 : 1));
  const texts = terms.map(([monomial, coefficient], index) => {
    const size = Math.abs(coefficient);
    const factors = atomsOf(monomial).map((atom) =>
      atom.startsWith("floor(") || symbol.test(atom) ? atom : `'${atom}'`,
    );
    const text = [...(size !== 1 || factors.length === 0 ? [String(size)] : []), ...factors].join("*");
    return index === 0 ? (coefficient < 0 ? `-${text}` : text) : coefficient < 0 ? ` - ${text}` : ` + ${text}`;
  });
  return texts.join("");
}

export function parse(text: string): Polynomial {
  const known = parsed.get(text);
  if (known !== undefined) return known;
  const result = new Parser(text).whole() ?? new Map([[text, 1]]); // anything else is one symbol, however odd its name
  parsed.set(text, result);
  return result;
}

/** Reads the canonical text back (sums of products of integers, symbols and floor((...)/integer)). */
class Parser {
  private at = 0;
  private readonly text: string;
  constructor(text: string) {
    this.text = text;
  }

  whole(): Polynomial | undefined {
    if (symbol.test(this.text)) return new Map([[this.text, 1]]);
    const sum = this.sum();
    return sum !== undefined && this.at === this.text.length ? sum : undefined;
  }

  private sum(): Polynomial | undefined {
    let total: Polynomial | undefined = this.take("-") ? negate(this.term()) : this.term();
    while (total !== undefined) {
      const sign = this.take(" + ") ? 1 : this.take(" - ") ? -1 : undefined;
      if (sign === undefined) return total;
      const term = this.term();
      total = term === undefined ? undefined : plus(total, term, sign);
    }
    return total;
  }

  private term(): Polynomial | undefined {
    let result = this.factor();
    while (result !== undefined && this.take("*")) {
      const next = this.factor();
      result = next === undefined ? undefined : times(result, next);
    }
    return result;
  }

  private factor(): Polynomial | undefined {
    if (this.take("floor(")) {
      const floor = this.floor();
      return floor && floorPolynomial(floor.over, floor.by);
    }
    const number = this.match(/^\d+/);
    if (number !== undefined) return toPolynomial(Number(number));
    const name = this.match(/^[A-Za-z_][A-Za-z0-9_.]*/) ?? this.match(/^'[^']*'/)?.slice(1, -1); // odd names stand in quotes
    return name === undefined ? undefined : new Map([[name, 1]]);
  }

  /** The parts of a text that is one floor atom. */
  floorAtom(): Floor | undefined {
    const floor = this.take("floor(") ? this.floor() : undefined;
    return this.at === this.text.length ? floor : undefined;
  }

  private floor(): Floor | undefined {
    const over = this.take("(") ? this.sum() : this.term();
    this.take(")/") || this.take("/");
    const by = this.match(/^\d+/);
    if (over === undefined || by === undefined || Number(by) < 1 || !this.take(")")) return undefined;
    return { over, by: Number(by) };
  }

  private take(token: string): boolean {
    if (!this.text.startsWith(token, this.at)) return false;
    this.at += token.length;
    return true;
  }

  private match(pattern: RegExp): string | undefined {
    const found = pattern.exec(this.text.slice(this.at))?.[0];
    if (found !== undefined) this.at += found.length;
    return found;
  }
}

const negate = (p: Polynomial | undefined): Polynomial | undefined => p && plus(new Map(), p, -1);

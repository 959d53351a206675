// Options that exclude each other, or need another one: refused before a command does anything.
import { FilterBasisError } from "../errors/error.js";

/** An option is named as on the command line without its dashes; `name=value` stands for it with that value. */
export type OptionRule =
  /** At most one of these. */
  | { readonly oneOf: readonly string[]; readonly why: string }
  | (Single & { readonly excludes: readonly string[] })
  /** One of these at least must be there too. */
  | (Single & { readonly needs: readonly string[] });

interface Single {
  readonly option: string;
  /** The rule holds only where this is given too. */
  readonly with?: string;
  readonly why: string;
}

/** The options that were given, with the last value of each; defaults are not among them. */
export type GivenOptions = ReadonlyMap<string, string>;

/** @throws FilterBasisError `usage` for the first rule that the options break */
export function checkRules(given: GivenOptions, rules: readonly OptionRule[]): void {
  for (const rule of rules) {
    const problem = broken(given, rule);
    if (problem !== undefined) throw new FilterBasisError("usage", `${problem}: ${rule.why}`);
  }
}

function broken(given: GivenOptions, rule: OptionRule): string | undefined {
  const there = (names: readonly string[]): readonly string[] => names.filter((name) => isGiven(given, name));
  if ("oneOf" in rule) {
    const [first, second] = there(rule.oneOf);
    return second === undefined ? undefined : `${shown(first!)} and ${shown(second)} exclude each other`;
  }
  if (!isGiven(given, rule.option) || (rule.with !== undefined && !isGiven(given, rule.with))) return undefined;
  if ("excludes" in rule) {
    const [other] = there(rule.excludes);
    return other === undefined ? undefined : `${shown(rule.option)} and ${shown(other)} exclude each other`;
  }
  return there(rule.needs).length > 0 ? undefined : `${shown(rule.option)} needs ${rule.needs.map(shown).join(" or ")}`;
}

/** Whether an option stands on the command line, or stands there with that value. */
export function isGiven(given: GivenOptions, option: string): boolean {
  const [name = "", value] = option.split("=");
  return value === undefined ? given.has(name) && given.get(name) !== "false" : given.get(name) === value;
}

/**
 * As it is written on a command line; a name in capitals is a word without dashes, and `NAME=value` that value
 * of it.
 */
function shown(option: string): string {
  const [name = "", value] = option.split("=");
  if (value === "false") return `--no-${name}`;
  if (name === name.toUpperCase()) return value ?? name;
  return `--${name}${value === undefined || value === "true" ? "" : ` ${value}`}`;
}

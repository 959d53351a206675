// Strict reading of a command line: citty gives types and usage texts, the checks here refuse what it would let pass.
import { parseArgs as tokenize } from "node:util";
import { type ArgsDef, type ParsedArgs, parseArgs } from "citty";
import { FilterBasisError } from "../errors/error.js";
import { nearest } from "../errors/nearest.js";
import type { GivenOptions } from "./option-rules.js";

export interface ReadArguments<A extends ArgsDef> {
  readonly args: ParsedArgs<A>;
  /** Every value given for each option, in order: `--set a=1 --set b=2`. */
  readonly repeated: ReadonlyMap<string, readonly string[]>;
  /** What stands on the command line: options by name, words by their name in capitals. */
  readonly given: GivenOptions;
}

/**
 * Reads the words after a command's name. Refused with code `usage`: options that the command does not have, options
 * without their value, words left over, required words that are missing, values outside an enumeration.
 */
export function readArguments<A extends ArgsDef>(raw: readonly string[], definition: A): ReadArguments<A> {
  const { repeated, given } = check(raw, definition);
  try {
    return { args: parseArgs<A>([...raw], definition), repeated, given };
  } catch (error) {
    if (error instanceof Error && error.name === "CLIError") throw new FilterBasisError("usage", plain(error.message));
    throw error;
  }
}

interface Checked {
  readonly repeated: Map<string, string[]>;
  readonly given: Map<string, string>;
}

function check(raw: readonly string[], definition: ArgsDef): Checked {
  const places = Object.keys(definition).filter((name) => definition[name]?.type === "positional");
  const { names, options } = spellings(definition);
  const { tokens } = tokenize({ args: [...raw], options, strict: false, allowPositionals: true, tokens: true });
  const repeated = new Map<string, string[]>();
  const given = new Map<string, string>();
  let words = 0;
  for (const token of tokens) {
    if (token.kind === "positional") {
      const place = places[words++];
      if (place === undefined) throw usage(`unexpected word ${JSON.stringify(token.value)}`);
      given.set(place.toUpperCase(), token.value);
    }
    if (token.kind !== "option") continue;
    const { rawName, value } = token;
    const negated = rawName.startsWith("--no-") && names.has(rawName.slice(5)) ? rawName.slice(5) : undefined;
    const name = names.get(negated ?? token.name);
    if (name === undefined) throw usage(`unknown option ${rawName}${nearest(token.name, [...names.keys()])}`);
    const boolean = options[name]?.type === "boolean";
    if (boolean && value !== undefined && value !== "true" && value !== "false")
      throw usage(`${rawName} takes no value`);
    if (boolean) given.set(name, String((value !== "false") === (negated === undefined)));
    if (boolean) continue;
    if (negated !== undefined) throw usage(`unknown option ${rawName}`);
    // A value that looks like an option is a forgotten value; `--name=--value` says it is meant.
    const forgotten = value === undefined || value === "" || (!token.inlineValue && value.startsWith("--"));
    if (forgotten) throw usage(`${rawName} needs a value`);
    repeated.set(name, [...(repeated.get(name) ?? []), value]);
    given.set(name, value);
  }
  return { repeated, given };
}

/** Every spelling of an option with the option's own name, and the options as Node's parser wants them. */
function spellings(definition: ArgsDef) {
  const names = new Map<string, string>(); // every spelling -> the argument's own name
  const options: Record<string, { type: "string" | "boolean"; short?: string; multiple: boolean }> = {};
  for (const [name, arg] of Object.entries(definition)) {
    if (arg.type === "positional") continue;
    const type = arg.type === "boolean" || arg.type === undefined ? "boolean" : "string";
    const aliases = "alias" in arg ? [arg.alias ?? []].flat() : [];
    for (const spelling of [name, ...aliases]) {
      names.set(spelling, name);
      if (spelling.length > 1) options[spelling] = { type, multiple: true };
    }
    const short = aliases.find((alias) => alias.length === 1);
    if (short !== undefined && name.length > 1) options[name] = { type, multiple: true, short };
    if (name.length === 1) options[name] = { type, multiple: true, short: name };
  }
  return { names, options };
}

function usage(message: string): FilterBasisError {
  return new FilterBasisError("usage", message);
}

/** citty colours its messages; a message inside an error is plain. */
function plain(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: the escape character is what is removed
  return text.replace(/\u001b\[\d+m/g, "");
}

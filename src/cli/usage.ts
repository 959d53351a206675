// The help text of a command: plain text, the same on a terminal, in a pipe and in a file.
import type { ArgsDef } from "citty";
import { wrapped } from "./fitting.js";

const width = 100;
/** A longer spelling of an option has its description below instead of beside it. */
const longestBeside = 30;

export interface Described {
  readonly name: string;
  readonly summary: string;
  readonly args: ArgsDef;
}

interface Explained extends Described {
  /** Calls, without the name of the program. */
  readonly examples: readonly string[];
}

/** What the command does, how it is called, what each of its words means, and examples; at most 100 columns wide. */
export function helpText({ name, summary, args, examples }: Explained): string {
  const words = entries(args).filter(([, arg]) => arg.type === "positional");
  const options = entries(args).filter(([, arg]) => arg.type !== "positional");
  const beside = Math.min(
    longestBeside,
    Math.max(...[...words.map(word), ...options.map(spelling)].map(({ length }) => length)),
  );
  const line = (label: string, described: string): readonly string[] => {
    const indent = " ".repeat(2 + beside + 2);
    const lines = wrapped(described, width - indent.length).map((text) => indent + text);
    const head = `  ${label.padEnd(beside)}  `;
    return label.length > beside
      ? [`  ${label}`, ...lines]
      : [head + lines[0]!.slice(indent.length), ...lines.slice(1)];
  };
  return [
    ...wrapped(`filterbasis ${name}: ${summary}`, width),
    "",
    usageLine({ name, summary, args }),
    ...(words.length > 0 ? ["", "ARGUMENTS", ...words.flatMap((entry) => line(word(entry), sentence(entry)))] : []),
    "",
    "OPTIONS",
    ...options.flatMap((entry) => line(spelling(entry), sentence(entry))),
    "",
    "EXAMPLES",
    ...examples.map((example) => `  filterbasis ${example}`),
  ]
    .map((text) => text.trimEnd())
    .join("\n");
}

/** `USAGE  filterbasis compress MODEL -o FILE [OPTIONS]`. */
export function usageLine({ name, args }: Described): string {
  const must = entries(args).filter(([, arg]) => arg.type !== "positional" && arg.required === true);
  const words = entries(args)
    .filter(([, arg]) => arg.type === "positional")
    .map(([key, arg]) => (arg.required === false ? `[${key.toUpperCase()}]` : key.toUpperCase()));
  const options = must.map((entry) => `${spellings(entry)[0]} ${hintOf(entry)}`);
  return ["USAGE  filterbasis", name, ...words, ...options, "[OPTIONS]"].join(" ");
}

type Entry = readonly [name: string, arg: ArgsDef[string]];

const entries = (args: ArgsDef): readonly Entry[] => Object.entries(args);
const word = ([key]: Entry): string => key.toUpperCase();

/** The short ones first. An option that is on unless it is turned off is shown as what turns it off. */
function spellings([key, arg]: Entry): readonly string[] {
  const aliases = "alias" in arg ? [arg.alias ?? []].flat() : [];
  const name = arg.type === "boolean" && arg.default === true ? `no-${key}` : key;
  return [...aliases, name]
    .sort((a, b) => a.length - b.length)
    .map((one) => (one.length === 1 ? `-${one}` : `--${one}`));
}

/** `-o, --output FILE`, the long names below each other. */
function spelling(entry: Entry): string {
  const [first = "", ...rest] = spellings(entry);
  const names = first.startsWith("--") ? `    ${[first, ...rest].join(", ")}` : [first, ...rest].join(", ");
  return `${names} ${hintOf(entry)}`.trimEnd();
}

function hintOf([key, arg]: Entry): string {
  if (arg.type === "boolean") return "";
  const hint = "valueHint" in arg ? arg.valueHint : undefined;
  const choices = "options" in arg ? arg.options?.join("|") : undefined;
  const fits = choices !== undefined && choices.length + key.length + 7 <= longestBeside;
  return (fits ? choices : hint) ?? key.toUpperCase().replace(/^.*-/, "");
}

/** The description, with what it leaves unsaid: the values that may be given, the default, that it must be given. */
function sentence(entry: Entry): string {
  const [, arg] = entry;
  const off = arg.type === "boolean" && arg.default === true && arg.negativeDescription;
  const choices = "options" in arg ? (arg.options ?? []) : [];
  const unsaid = hintOf(entry) !== choices.join("|") && choices.some((choice) => !arg.description?.includes(choice));
  const remarks = [
    ...(unsaid ? [`one of ${choices.join(", ")}`] : []),
    ...(arg.required === true && arg.type !== "positional" ? ["required"] : []),
    ...(typeof arg.default === "string" ? [`default ${arg.default}`] : []),
  ];
  return [off || arg.description || "", ...(remarks.length > 0 ? [` (${remarks.join("; ")})`] : [])].join("");
}

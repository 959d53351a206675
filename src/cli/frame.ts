// The frame around every command: a command is data plus one call; the frame does arguments, output, errors and
// signals.
import type { ArgsDef, ParsedArgs } from "citty";
import { FilterBasisError, isError } from "../errors/error.js";
import { readArguments } from "./arguments.js";
import { checkRules, type GivenOptions, type OptionRule } from "./option-rules.js";
import { type Progress, startProgress, type TextStream } from "./progress.js";
import { helpText, usageLine } from "./usage.js";
import { message, visible, visibleJson } from "./visible.js";

/** What a command may use besides its arguments. */
export interface Context {
  /** True when the result goes out as one JSON object. */
  readonly json: boolean;
  /** A line for people, on stderr; what a terminal would not show of it is escaped. */
  note(text: string): void;
  /** A bar with the time left on a terminal, plain lines elsewhere; on stderr. */
  progress(label: string, total: number): Progress;
  /** Aborted by Ctrl-C or SIGTERM: save, then return or throw; the frame ends with 130 or 143. */
  readonly signal: AbortSignal;
  /** Every value given for an option that may be repeated, in order. */
  repeated(option: string): readonly string[];
  /** What stands on the command line. */
  readonly given: GivenOptions;
}

/** The result of a command: `json` with --json, else `text`, of which all but the ends of lines is shown as it is. */
export interface Outcome {
  readonly json: object;
  readonly text: string;
  /** Nothing is written: another process of the same group says what came out. */
  readonly silent?: boolean;
}

/** A command, ready to run; made by `command()`. */
export interface Command {
  readonly name: string;
  readonly summary: string;
  readonly args: ArgsDef;
  /** Two calls that the text of --help ends with, as they are typed behind the name of the program. */
  readonly examples: Examples;
  /** The text that --help prints. */
  help(): string;
  /**
   * Reads words as `run` does, and does nothing else.
   * @throws FilterBasisError `usage`
   */
  check(raw: readonly string[]): void;
  run(raw: readonly string[], io: CommandIo): Promise<number>;
}

/** Streams and signals handed in by the program, or by a test. */
export interface CommandIo {
  readonly stdout: TextStream;
  readonly stderr: TextStream;
  readonly signal: AbortSignal;
}

/** Two calls of a command, without the name of the program: `compress model.onnx -o small.onnx`. */
export type Examples = readonly [string, string];

const common = {
  json: { type: "boolean", description: "print the result as one JSON object" },
  help: { type: "boolean", alias: "h", description: "print this" },
} as const satisfies ArgsDef;

/** What a command is: data, and one call. */
export interface CommandSpec<A extends ArgsDef> {
  readonly name: string;
  readonly summary: string;
  readonly args: A;
  readonly examples: Examples;
  /** Which options exclude or need each other; checked before `run`. */
  readonly rules?: readonly OptionRule[];
  /**
   * True for a command that writes nothing: the first Ctrl-C ends it as soon as the program is awake, for there is
   * nothing to save. A function says it of the arguments that were given.
   */
  readonly readsOnly?: boolean | ((args: ParsedArgs<A>) => boolean);
  run(args: ParsedArgs<A>, context: Context): Promise<Outcome>;
}

/**
 * Describes a command. Exit codes of its `run`: 0 done, 1 failed, 2 wrong use (also a `usage` error thrown by the
 * command itself), 130/143 interrupted.
 */
export function command<const A extends ArgsDef>(spec: CommandSpec<A>): Command {
  const { name, summary, examples, rules = [] } = spec;
  const args = { ...spec.args, ...common };
  const help = () => helpText({ name, summary, args, examples });
  const read = (raw: readonly string[]) => {
    const found = readArguments(raw, args);
    checkRules(found.given, rules);
    return found;
  };
  const usage = async () => `${usageLine({ name, summary, args })}\nfilterbasis ${name} --help explains the options`;
  return {
    name,
    summary,
    args,
    examples,
    help,
    check: (raw) => void read(raw),
    async run(raw, { stdout, stderr, signal }) {
      if (asksForHelp(raw)) {
        stdout.write(`${help()}\n`);
        return 0;
      }
      // Known before the arguments are read, so that a mistake in them is answered in the form asked for.
      const json = asksForJson(raw);
      const bars = new Set<Progress>();
      try {
        const { args: parsed, repeated, given } = read(raw);
        const context: Context = {
          json,
          note: (text) => stderr.write(`${stderr.isTTY && bars.size > 0 ? "\r\u001b[K" : ""}${message(text)}\n`),
          progress: (label, total) => shownProgress(bars, startProgress(label, total, { stream: stderr })),
          signal,
          repeated: (option) => repeated.get(option) ?? [],
          given,
        };
        const own = parsed as unknown as ParsedArgs<A>;
        const running = spec.run(own, context);
        const readsOnly = typeof spec.readsOnly === "function" ? spec.readsOnly(own) : spec.readsOnly;
        const result = await (readsOnly ? orStopped(running, signal) : running);
        await signalsHeard();
        if (result.silent !== true)
          stdout.write(json ? `${toJson(result.json)}\n` : `${visible(result.text.trimEnd())}\n`);
        return signal.aborted ? exitOf(signal) : 0;
      } catch (error) {
        for (const bar of bars) bar.stop(); // a bar leaves the line it was drawing on
        return await fail(error, { json, stdout, stderr, signal, usage });
      }
    },
  };
}

const asksForHelp = (raw: readonly string[]): boolean => raw.some((word) => word === "--help" || word === "-h");

/** Whether the result, or the error, goes out as one JSON object. */
export const asksForJson = (raw: readonly string[]): boolean =>
  raw.some((word) => word === "--json" || word === "--json=true");

/** A bar that is known until it stops. */
function shownProgress(bars: Set<Progress>, progress: Progress): Progress {
  bars.add(progress);
  return {
    update: (done, extra) => progress.update(done, extra),
    stop() {
      bars.delete(progress);
      progress.stop();
    },
  };
}

/** The result, or an error as soon as the signal comes; what still runs then ends with the program. */
async function orStopped<T>(running: Promise<T>, signal: AbortSignal): Promise<T> {
  let listener: (() => void) | undefined;
  const stopped = new Promise<never>((_, reject) => {
    listener = () => reject(new FilterBasisError("interrupted", "interrupted"));
    if (signal.aborted) listener();
    signal.addEventListener("abort", listener);
  });
  try {
    return await Promise.race([running, stopped]);
  } finally {
    if (listener) signal.removeEventListener("abort", listener);
  }
}

/**
 * Ends the command here if Ctrl-C was pressed meanwhile; for places between reading and writing, where there is
 * nothing to save.
 * @throws FilterBasisError `interrupted`
 */
export async function stopIfAsked(signal: AbortSignal): Promise<void> {
  await signalsHeard();
  if (signal.aborted) throw new FilterBasisError("interrupted", "interrupted; nothing was written");
}

/**
 * Signals that came while native code computed are handed over in the next round of the event loop: a whole round is
 * waited for.
 */
async function signalsHeard(): Promise<void> {
  for (let half = 0; half < 2; half++) await new Promise((resolve) => setImmediate(resolve));
}

interface Failure {
  readonly json: boolean;
  readonly stdout: TextStream;
  readonly stderr: TextStream;
  readonly signal: AbortSignal;
  readonly usage: () => Promise<string>;
}

const cures = (error: FilterBasisError): string => error.cures.map((cure) => `  cure: ${message(cure)}\n`).join("");

/** A mistake prints usage, a failure its cures, a bug its stack. */
export async function fail(error: unknown, { json, stdout, stderr, signal, usage }: Failure): Promise<number> {
  const known = error instanceof FilterBasisError;
  if (json) {
    const code = signal.aborted ? "interrupted" : "internal";
    const plain = known ? error.toJSON() : { code, message: error instanceof Error ? error.message : String(error) };
    stdout.write(`${toJson({ error: plain })}\n`);
  }
  if (signal.aborted) {
    stderr.write(known ? `${message(error.message)}\n${cures(error)}` : "interrupted\n");
    return exitOf(signal);
  }
  if (isError(error, "usage")) {
    stderr.write(`${await usage()}\n\n${message(error.message)}\n${cures(error)}`);
    return 2;
  }
  if (known) {
    stderr.write(`error ${error.code}: ${message(error.message)}\n${cures(error)}`);
    return 1;
  }
  const stack = error instanceof Error ? (error.stack ?? error.message) : String(error);
  stderr.write(`a bug of filterbasis; please report it with these lines:\n${visible(stack)}\n`);
  return 1;
}

/** 128 + the signal's number, as shells have it. */
export function exitOf(signal: AbortSignal): number {
  return signal.reason === "SIGTERM" ? 143 : 130;
}

/**
 * JSON of a result: big integers as numbers, typed arrays as lists, maps as objects; what a terminal would not
 * show is escaped.
 */
export function toJson(value: object): string {
  const plain = (_: string, item: unknown): unknown => {
    if (typeof item === "bigint") return Number(item);
    if (item instanceof Map) return Object.fromEntries(item);
    if (ArrayBuffer.isView(item) && !(item instanceof DataView))
      return Array.from(item as unknown as ArrayLike<number>);
    return item;
  };
  return visibleJson(JSON.stringify(value, plain, 2));
}

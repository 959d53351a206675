// From TypeScript's arguments to the addon's: handles for tensors, named arguments in the schema's order.
import type { OperatorHandle } from "./native.js";
import { Tensor } from "./tensor.js";

/** What an operator takes; a plain object at the end names arguments. */
export type Argument =
  | Tensor
  | number
  | bigint
  | boolean
  | string
  | null
  | undefined
  | readonly Argument[]
  | { readonly [name: string]: Argument };

/** Lists that are written out, length first, because reading an array costs the addon several times as much. */
export type ListKind = "tensors" | "integers" | undefined;

/** An operator that has been looked up. */
export interface Operator {
  readonly name: string;
  readonly handle: OperatorHandle;
  /** Of its one overload; null when the arguments choose among several. */
  readonly parameters: readonly string[] | null;
  /** How many may be given without a name. */
  readonly positional: number;
  /** Which are lists of tensors or of integers, by place; empty where none is. */
  readonly lists: readonly ListKind[];
}

/** Longer lists go as arrays: the stack of a call is not endless. */
const longestWrittenOut = 4096;

/** Turns an array of arguments, which is used up, into what the addon takes. */
export function convert({ parameters, positional, lists }: Operator, args: unknown[]): unknown[] {
  const last = args[args.length - 1];
  if (parameters !== null) {
    if (typeof last === "object" && last !== null && !(last instanceof Tensor) && !Array.isArray(last)) {
      args.pop();
      if (args.length > positional) throw tooMany(positional, args.length);
      placeNamed(parameters, args, plain(last));
    } else if (args.length > positional) throw tooMany(positional, args.length);
  }
  if (lists.length > 0) return writtenOut(lists, args);
  for (let i = 0; i < args.length; i++) {
    const argument = args[i];
    if (typeof argument === "object" && argument !== null)
      args[i] = argument instanceof Tensor ? argument.handle : fromObject(argument);
  }
  return args;
}

function writtenOut(lists: readonly ListKind[], args: readonly unknown[]): unknown[] {
  let length = args.length;
  for (let i = 0; i < args.length; i++) {
    const argument = args[i];
    if (lists[i] !== undefined && isWrittenOut(argument)) length += argument.length;
  }
  const flat = new Array<unknown>(length);
  let at = 0;
  for (let i = 0; i < args.length; i++) {
    const [kind, argument] = [lists[i], args[i]];
    if (kind === undefined || !isWrittenOut(argument)) {
      if (typeof argument === "number") checkNumber(kind, argument);
      flat[at++] = fromOne(argument);
      continue;
    }
    // The half tells a length from the one integer that may stand for a list of fixed length.
    flat[at++] = kind === "integers" ? argument.length + 0.5 : argument.length;
    for (let j = 0; j < argument.length; j++) {
      const one = argument[j];
      flat[at++] = one instanceof Tensor ? one.handle : fromOne(one);
    }
  }
  return flat;
}

/** No number that stands for a list may look like the length of one that is written out. */
function checkNumber(kind: ListKind, argument: number): void {
  if (kind === "tensors") throw new Error("expected an array of tensors, got a number");
  if (kind === "integers" && !Number.isInteger(argument)) throw new Error(`expected an integer, got ${argument}`);
}

const isWrittenOut = (list: unknown): list is readonly unknown[] =>
  Array.isArray(list) && list.length <= longestWrittenOut;

function tooMany(most: number, got: number): Error {
  return new Error(`too many arguments: at most ${most} without a name, got ${got}`);
}

/** Puts named arguments where the schema has them; undefined ones count as not given. */
function placeNamed(parameters: readonly string[], args: unknown[], named: Readonly<Record<string, unknown>>): void {
  const given = args.length;
  for (const name of Object.keys(named)) {
    const at = parameters.indexOf(name);
    if (at < 0) throw new Error(`no argument is named "${name}"`);
    if (at < given) throw new Error(`argument "${name}" is given twice`);
    if (named[name] === undefined) continue;
    while (args.length < at) args.push(undefined);
    args[at] = named[name];
  }
}

/** Arrays element by element, plain objects value by value; anything else is refused before it reaches the addon. */
function fromObject(argument: object): unknown {
  if (Array.isArray(argument))
    return argument.some((one) => typeof one === "object" && one !== null) ? argument.map(fromOne) : argument;
  const named: Record<string, unknown> = {};
  for (const [name, value] of Object.entries(plain(argument))) named[name] = fromOne(value);
  return named;
}

function fromOne(argument: unknown): unknown {
  if (typeof argument !== "object" || argument === null) return argument;
  return argument instanceof Tensor ? argument.handle : fromObject(argument);
}

function plain(argument: object): Readonly<Record<string, unknown>> {
  if (Object.getPrototypeOf(argument) === Object.prototype) return argument as Readonly<Record<string, unknown>>;
  const got = Object.prototype.toString.call(argument);
  throw new Error(
    `an argument must be a tensor, number, string, boolean, null, an array of them or a plain object of named ones, got ${got}`,
  );
}

// The one reader of Python pickles. Nothing in them is run: numbers, texts, plain containers, and the few calls that
// the caller allows. Everything else is refused by name. Protocols 0 to 5, as far as weights and arrays need them.
import { FilterBasisError } from "../errors/error.js";

/** A name from a module, as the pickle has it: "torch._utils._rebuild_tensor_v2". */
export class PickleGlobal {
  readonly name: string;
  constructor(name: string) {
    this.name = name;
  }
}

type Scalar = null | boolean | number | bigint | string | Uint8Array;
type Container = readonly PickleValue[] | Map<PickleValue, PickleValue> | Set<PickleValue>;

/** Lists and tuples become arrays, dicts become Maps, sets become Sets; integers beyond 2^53 become bigints. */
export type PickleValue = Scalar | Container | PickleGlobal | object;

export interface PickleRules {
  /** Names that may occur; any other is refused. */
  readonly names: (name: string) => boolean;
  /** What calling an allowed name gives. */
  readonly call: (name: string, args: readonly PickleValue[]) => PickleValue;
  /** What a reference to something outside of the pickle gives. */
  readonly outside?: (id: PickleValue) => PickleValue;
  /** What a byte string of Python 2 gives; by default its text, which must be UTF-8. */
  readonly byteString?: (bytes: Uint8Array) => PickleValue;
  /** Takes the state that the pickle gives to an object that `call` made; false refuses it. */
  readonly setState?: (object: PickleValue, state: PickleValue) => boolean;
}

interface Machine {
  readonly reader: Reader;
  readonly rules: PickleRules;
  stack: PickleValue[];
  readonly marks: PickleValue[][];
  readonly memo: Map<number, PickleValue>;
}

/** The pickle that starts at `offset`: its value and its end. @throws FilterBasisError `malformed`, `unsupported` */
export function readPickle(bytes: Uint8Array, rules: PickleRules, offset = 0): { value: PickleValue; end: number } {
  const reader = new Reader(bytes, offset);
  const machine: Machine = { reader, rules, stack: [], marks: [], memo: new Map() };
  for (;;) {
    const at = reader.offset;
    const code = reader.byte();
    if (code === stop) return { value: pop(machine), end: reader.offset };
    const operation = operations.get(code);
    if (operation === undefined) {
      const shown = code > 32 && code < 127 ? `"${String.fromCharCode(code)}"` : `0x${code.toString(16)}`;
      throw new FilterBasisError("unsupported", `the pickle has an instruction that is not read: ${shown} at ${at}`);
    }
    operation(machine);
  }
}

const stop = ".".charCodeAt(0);
const mark = Symbol("mark");
const largestLong = 1024;

class Reader {
  readonly bytes: Uint8Array;
  offset: number;
  readonly #view: DataView;

  constructor(bytes: Uint8Array, offset: number) {
    this.bytes = bytes;
    this.offset = offset;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  take(count: number): Uint8Array {
    if (count < 0 || count > this.bytes.length - this.offset) fail(`the pickle ends early at ${this.offset}`);
    this.offset += count;
    return this.bytes.subarray(this.offset - count, this.offset);
  }

  byte(): number {
    return this.take(1)[0] as number;
  }

  number(bytes: 2 | 4 | 8, signed = false): number {
    this.take(bytes);
    const at = this.offset - bytes;
    if (bytes === 2) return this.#view.getUint16(at, true);
    if (bytes === 4) return signed ? this.#view.getInt32(at, true) : this.#view.getUint32(at, true);
    const long = this.#view.getBigUint64(at, true);
    return long > BigInt(Number.MAX_SAFE_INTEGER) ? fail(`a length of ${long} bytes at ${at}`) : Number(long);
  }

  double(): number {
    this.take(8);
    return this.#view.getFloat64(this.offset - 8, false);
  }

  line(): string {
    const end = this.bytes.indexOf(10, this.offset);
    if (end < 0) fail(`the pickle ends early at ${this.offset}`);
    const text = decode(this.take(end - this.offset));
    this.offset += 1;
    return text;
  }
}

function fail(message: string): never {
  throw new FilterBasisError("malformed", message);
}

function decode(bytes: Uint8Array): string {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    return fail("a text of the pickle is not UTF-8");
  }
}

function pop({ stack }: Machine): PickleValue {
  if (stack.length === 0) fail("the pickle takes from an empty stack");
  return stack.pop() as PickleValue;
}

function top({ stack }: Machine): PickleValue {
  return stack.length === 0 ? fail("the pickle looks at an empty stack") : (stack.at(-1) as PickleValue);
}

/** What was put on the stack since the last mark. */
function sinceMark(machine: Machine): PickleValue[] {
  const items = machine.stack;
  machine.stack = machine.marks.pop() ?? fail(`the pickle lacks a ${mark.description}`);
  return items;
}

function long(bytes: Uint8Array): number | bigint {
  if (bytes.length > largestLong) fail(`an integer of ${bytes.length} bytes`);
  let value = 0n;
  for (let i = bytes.length - 1; i >= 0; i--) value = (value << 8n) | BigInt(bytes[i] as number);
  if (bytes.length > 0 && ((bytes.at(-1) as number) & 0x80) !== 0) value -= 1n << BigInt(8 * bytes.length);
  return narrow(value);
}

function narrow(value: bigint): number | bigint {
  const number = Number(value);
  return Number.isSafeInteger(number) ? number : value;
}

/** An integer in decimal; protocol 0 spells booleans 00 and 01. */
function decimal(text: string): PickleValue {
  if (text === "00") return false;
  if (text === "01") return true;
  const digits = text.endsWith("L") ? text.slice(0, -1) : text;
  return /^[+-]?\d{1,400}$/.test(digits) ? narrow(BigInt(digits)) : fail(`"${text.slice(0, 40)}" is not an integer`);
}

function global(machine: Machine, name: string): PickleGlobal {
  if (machine.rules.names(name)) return new PickleGlobal(name);
  throw new FilterBasisError(
    "unsupported",
    `the pickle names ${JSON.stringify(name)}; pickles are read without running anything`,
    {
      field: name,
      expected: "only arrays and plain containers",
    },
  );
}

function call(machine: Machine): PickleValue {
  const args = pop(machine);
  const callee = pop(machine);
  if (!(callee instanceof PickleGlobal) || !Array.isArray(args))
    return fail("the pickle calls something that is no name");
  return machine.rules.call(callee.name, args);
}

function setItems(target: PickleValue, items: readonly PickleValue[]): void {
  if (!(target instanceof Map) || items.length % 2 !== 0) fail("the pickle puts pairs into something that is no dict");
  const map = target as Map<PickleValue, PickleValue>;
  for (let i = 0; i < items.length; i += 2) map.set(items[i] as PickleValue, items[i + 1] as PickleValue);
}

function append(target: PickleValue, items: readonly PickleValue[]): void {
  if (!Array.isArray(target)) fail("the pickle appends to something that is no list");
  for (const item of items) (target as PickleValue[]).push(item);
}

/**
 * Attributes of an OrderedDict (PyTorch hangs `_metadata` on a state dict) carry no weights; other objects are for the
 * rules to take.
 */
function build(machine: Machine): void {
  const state = pop(machine);
  const object = top(machine);
  if (object instanceof Map || machine.rules.setState?.(object, state) === true) return;
  fail("the pickle sets attributes of something that has none");
}

function byteString({ rules }: Machine, bytes: Uint8Array): PickleValue {
  return rules.byteString === undefined ? decode(bytes) : rules.byteString(bytes);
}

function recall({ memo, stack }: Machine, index: number): void {
  const value = memo.get(index);
  if (value === undefined) fail(`the pickle recalls ${index}, which it never stored`);
  stack.push(value as PickleValue);
}

function store(machine: Machine, index: number): void {
  machine.memo.set(index, top(machine));
}

const push =
  (read: (machine: Machine) => PickleValue) =>
  (machine: Machine): void => {
    const value = read(machine);
    machine.stack.push(value);
  };

const outside = (machine: Machine, id: PickleValue): PickleValue =>
  machine.rules.outside === undefined
    ? fail("the pickle refers to something outside of itself")
    : machine.rules.outside(id);

const tuple = (count: number) =>
  push((machine) => {
    const items = Array.from({ length: count }, () => pop(machine));
    return items.reverse();
  });

type Instruction = (machine: Machine) => void;

/** Instructions by their code: a number, or the character that it is. */
// biome-ignore format: one instruction a line; laid out by the formatter a line becomes up to eight
const instructions: readonly (readonly [number | string, Instruction])[] = [
  [0x80, ({ reader }) => void reader.byte()], // PROTO
  [0x95, ({ reader }) => void reader.number(8)], // FRAME
  ["(", (machine) => { machine.marks.push(machine.stack); machine.stack = []; }], // MARK
  ["0", (machine) => void pop(machine)], // POP
  ["1", (machine) => void sinceMark(machine)], // POP_MARK
  ["2", push(top)], // DUP
  ["N", push(() => null)],
  [0x88, push(() => true)],
  [0x89, push(() => false)],
  ["I", push(({ reader }) => decimal(reader.line()))],
  ["L", push(({ reader }) => decimal(reader.line()))],
  ["J", push(({ reader }) => reader.number(4, true))], // BININT
  ["K", push(({ reader }) => reader.byte())], // BININT1
  ["M", push(({ reader }) => reader.number(2))], // BININT2
  [0x8a, push(({ reader }) => long(reader.take(reader.byte())))], // LONG1
  [0x8b, push(({ reader }) => long(reader.take(reader.number(4))))], // LONG4
  ["F", push(({ reader }) => Number(reader.line()))],
  ["G", push(({ reader }) => reader.double())], // BINFLOAT
  ["V", push(({ reader }) => reader.line())], // UNICODE
  ["X", push(({ reader }) => decode(reader.take(reader.number(4))))], // BINUNICODE
  [0x8c, push(({ reader }) => decode(reader.take(reader.byte())))], // SHORT_BINUNICODE
  [0x8d, push(({ reader }) => decode(reader.take(reader.number(8))))], // BINUNICODE8
  ["T", push((machine) => byteString(machine, machine.reader.take(machine.reader.number(4))))], // BINSTRING
  ["U", push((machine) => byteString(machine, machine.reader.take(machine.reader.byte())))], // SHORT_BINSTRING
  ["B", push(({ reader }) => reader.take(reader.number(4)))], // BINBYTES
  ["C", push(({ reader }) => reader.take(reader.byte()))], // SHORT_BINBYTES
  [0x8e, push(({ reader }) => reader.take(reader.number(8)))], // BINBYTES8
  [")", push(() => [])], // EMPTY_TUPLE
  ["t", push(sinceMark)], // TUPLE
  [0x85, tuple(1)],
  [0x86, tuple(2)],
  [0x87, tuple(3)],
  ["]", push(() => [])], // EMPTY_LIST
  ["l", push(sinceMark)], // LIST
  ["a", (machine) => { const item = pop(machine); append(top(machine), [item]); }], // APPEND
  ["e", (machine) => { const items = sinceMark(machine); append(top(machine), items); }], // APPENDS
  ["}", push(() => new Map())], // EMPTY_DICT
  ["d", push((machine) => { const map = new Map(); setItems(map, sinceMark(machine)); return map; })], // DICT
  ["s", (machine) => { const value = pop(machine); const key = pop(machine); setItems(top(machine), [key, value]); }], // SETITEM
  ["u", (machine) => { const items = sinceMark(machine); setItems(top(machine), items); }], // SETITEMS
  [0x8f, push(() => new Set())], // EMPTY_SET
  [0x90, (machine) => { const items = sinceMark(machine); addItems(top(machine), items); }], // ADDITEMS
  [0x91, push((machine) => new Set(sinceMark(machine)))], // FROZENSET
  ["c", push((machine) => { const name = machine.reader.line(); return global(machine, `${name}.${machine.reader.line()}`); })], // GLOBAL
  [0x93, push((machine) => { const name = pop(machine); return global(machine, `${String(pop(machine))}.${String(name)}`); })], // STACK_GLOBAL
  ["R", push(call)], // REDUCE
  [0x81, push(call)], // NEWOBJ
  ["b", build], // BUILD
  ["P", push((machine) => outside(machine, machine.reader.line()))], // PERSID
  ["Q", push((machine) => outside(machine, pop(machine)))], // BINPERSID
  ["p", (machine) => store(machine, Number(machine.reader.line()))], // PUT
  ["q", (machine) => store(machine, machine.reader.byte())], // BINPUT
  ["r", (machine) => store(machine, machine.reader.number(4))], // LONG_BINPUT
  [0x94, (machine) => store(machine, machine.memo.size)], // MEMOIZE
  ["g", (machine) => recall(machine, Number(machine.reader.line()))], // GET
  ["h", (machine) => recall(machine, machine.reader.byte())], // BINGET
  ["j", (machine) => recall(machine, machine.reader.number(4))], // LONG_BINGET
];

const operations = new Map(
  instructions.map(([code, run]) => [typeof code === "string" ? code.charCodeAt(0) : code, run]),
);

function addItems(target: PickleValue, items: readonly PickleValue[]): void {
  if (!(target instanceof Set)) fail("the pickle adds to something that is no set");
  for (const item of items) (target as Set<PickleValue>).add(item);
}

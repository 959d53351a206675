// Reading Python's pickles as plain data: the stack machine without its power. Calls are recorded, never made.
import { FilterBasisError } from "../errors/error.js";

export type Pickled =
  | { readonly kind: "number"; readonly value: number }
  | { readonly kind: "constant"; readonly value: boolean | null }
  | { readonly kind: "text"; readonly value: string }
  | { readonly kind: "bytes"; readonly value: Uint8Array }
  | { readonly kind: "list" | "tuple"; readonly items: Pickled[] }
  | { readonly kind: "dict"; readonly entries: (readonly [Pickled, Pickled])[] }
  | { readonly kind: "global"; readonly name: string }
  /** What a call would have made: the name of what was called, its arguments, and the state given to the result. */
  | { readonly kind: "object"; readonly callee: string; readonly args: readonly Pickled[]; state?: Pickled };

const mark = { kind: "mark" } as const;
type Slot = Pickled | typeof mark;

interface Machine {
  readonly bytes: Uint8Array;
  readonly view: DataView;
  at: number;
  readonly stack: Slot[];
  readonly memo: Map<number, Pickled>;
}

/**
 * Reads one pickle of protocol 0 (in part) to 4, as numpy's arrays and lists of numbers are written.
 * @throws FilterBasisError `malformed` (cut off, damaged), `unsupported` (an instruction not read here)
 */
export function readPickle(bytes: Uint8Array, file: string): Pickled {
  const machine: Machine = {
    bytes,
    view: new DataView(bytes.buffer, bytes.byteOffset, bytes.length),
    at: 0,
    stack: [],
    memo: new Map(),
  };
  try {
    for (;;) {
      const code = machine.view.getUint8(machine.at++);
      if (code === 0x2e) return pop(machine);
      const step = steps[code];
      if (step === undefined)
        throw new FilterBasisError("unsupported", "the pickle has an instruction that is not read here", {
          file,
          got: `0x${code.toString(16)}`,
        });
      step(machine);
    }
  } catch (error) {
    if (error instanceof FilterBasisError) throw error;
    throw new FilterBasisError("malformed", "the pickle is cut off or damaged", { file, cause: error });
  }
}

const push = ({ stack }: Machine, value: Slot): number => stack.push(value);

function pop({ stack }: Machine): Pickled {
  const value = stack.pop();
  if (value === undefined || value.kind === "mark") throw new Error("empty stack");
  return value;
}

function popToMark({ stack }: Machine): Pickled[] {
  const from = stack.findLastIndex(({ kind }) => kind === "mark");
  if (from < 0) throw new Error("no mark");
  const items = stack.splice(from).slice(1);
  return items as Pickled[];
}

function take(machine: Machine, length: number): Uint8Array {
  if (length < 0 || machine.at + length > machine.bytes.length) throw new Error("cut off");
  return machine.bytes.subarray(machine.at, (machine.at += length));
}

function line(machine: Machine): string {
  const end = machine.bytes.indexOf(10, machine.at);
  if (end < 0) throw new Error("cut off");
  const text = new TextDecoder().decode(machine.bytes.subarray(machine.at, end));
  machine.at = end + 1;
  return text;
}

const unsigned = (machine: Machine, size: 1 | 2 | 4 | 8): number => {
  take(machine, size);
  const { view, at } = machine;
  if (size === 1) return view.getUint8(at - 1);
  if (size === 2) return view.getUint16(at - 2, true);
  return size === 4 ? view.getUint32(at - 4, true) : Number(view.getBigUint64(at - 8, true));
};

const number = (machine: Machine, value: number) => push(machine, { kind: "number", value });
const bytesOf = (machine: Machine, length: number) => push(machine, { kind: "bytes", value: take(machine, length) });
const textOf = (machine: Machine, length: number) =>
  push(machine, { kind: "text", value: new TextDecoder().decode(take(machine, length)) });
const tuple = (machine: Machine, count: number) =>
  push(machine, { kind: "tuple", items: Array.from({ length: count }, () => pop(machine)).reverse() });

function remember(machine: Machine, key: number): void {
  const top = machine.stack.at(-1);
  if (top === undefined || top.kind === "mark") throw new Error("empty stack");
  machine.memo.set(key, top);
}

function recall(machine: Machine, key: number): void {
  const value = machine.memo.get(key);
  if (value === undefined) throw new Error("nothing remembered");
  push(machine, value);
}

function append(machine: Machine, items: readonly Pickled[]): void {
  const list = machine.stack.at(-1);
  if (list?.kind !== "list") throw new Error("not a list");
  for (const item of items) list.items.push(item);
}

function setItems(machine: Machine, items: readonly Pickled[]): void {
  const dict = machine.stack.at(-1);
  if (dict?.kind !== "dict" || items.length % 2 !== 0) throw new Error("not a dict");
  for (let i = 0; i < items.length; i += 2) dict.entries.push([items[i]!, items[i + 1]!]);
}

function call(machine: Machine): void {
  const [args, callee] = [pop(machine), pop(machine)];
  if (args.kind !== "tuple" || callee.kind !== "global") throw new Error("not a call");
  push(machine, { kind: "object", callee: callee.name, args: args.items });
}

function build(machine: Machine): void {
  const state = pop(machine);
  const object = machine.stack.at(-1);
  if (object?.kind !== "object") throw new Error("not an object");
  object.state = state;
}

/** A signed integer of any length that fits a double. */
function long(bytes: Uint8Array): number {
  const value = bytes.reduceRight((sum, byte) => sum * 256 + byte, 0);
  return (bytes.at(-1) ?? 0) & 0x80 ? value - 256 ** bytes.length : value;
}

/** Instructions by their code (Python's pickletools has them all). */
const steps: Readonly<Record<number, (machine: Machine) => unknown>> = {
  40: (m) => push(m, mark), // MARK
  41: (m) => tuple(m, 0), // EMPTY_TUPLE
  48: pop, // POP
  66: (m) => bytesOf(m, unsigned(m, 4)), // BINBYTES
  67: (m) => bytesOf(m, unsigned(m, 1)), // SHORT_BINBYTES
  71: (m) => number(m, m.view.getFloat64((m.at += 8) - 8)), // BINFLOAT
  74: (m) => number(m, unsigned(m, 4) | 0), // BININT
  75: (m) => number(m, unsigned(m, 1)), // BININT1
  77: (m) => number(m, unsigned(m, 2)), // BININT2
  78: (m) => push(m, { kind: "constant", value: null }), // NONE
  82: call, // REDUCE
  84: (m) => bytesOf(m, unsigned(m, 4)), // BINSTRING
  85: (m) => bytesOf(m, unsigned(m, 1)), // SHORT_BINSTRING
  88: (m) => textOf(m, unsigned(m, 4)), // BINUNICODE
  93: (m) => push(m, { kind: "list", items: [] }), // EMPTY_LIST
  97: (m) => append(m, [pop(m)]), // APPEND
  98: build, // BUILD
  99: (m) => push(m, { kind: "global", name: `${line(m)}.${line(m)}` }), // GLOBAL
  101: (m) => append(m, popToMark(m)), // APPENDS
  104: (m) => recall(m, unsigned(m, 1)), // BINGET
  106: (m) => recall(m, unsigned(m, 4)), // LONG_BINGET
  113: (m) => remember(m, unsigned(m, 1)), // BINPUT
  114: (m) => remember(m, unsigned(m, 4)), // LONG_BINPUT
  115: (m) => setItems(m, [pop(m), pop(m)].reverse()), // SETITEM
  116: (m) => push(m, { kind: "tuple", items: popToMark(m) }), // TUPLE
  117: (m) => setItems(m, popToMark(m)), // SETITEMS
  125: (m) => push(m, { kind: "dict", entries: [] }), // EMPTY_DICT
  128: (m) => unsigned(m, 1), // PROTO
  133: (m) => tuple(m, 1),
  134: (m) => tuple(m, 2),
  135: (m) => tuple(m, 3),
  136: (m) => push(m, { kind: "constant", value: true }), // NEWTRUE
  137: (m) => push(m, { kind: "constant", value: false }), // NEWFALSE
  138: (m) => number(m, long(take(m, unsigned(m, 1)))), // LONG1
  140: (m) => textOf(m, unsigned(m, 1)), // SHORT_BINUNICODE
  142: (m) => bytesOf(m, unsigned(m, 8)), // BINBYTES8
  147: (m) => {
    const [name, module] = [pop(m), pop(m)]; // STACK_GLOBAL
    if (name.kind !== "text" || module.kind !== "text") throw new Error("not a name");
    push(m, { kind: "global", name: `${module.value}.${name.value}` });
  },
  148: (m) => remember(m, m.memo.size), // MEMOIZE
  149: (m) => unsigned(m, 8), // FRAME
};

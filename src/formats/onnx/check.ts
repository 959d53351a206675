// The first look at a file: are these bytes an ONNX message at all, and can they be held in memory bounded by the
// file's size? After it, nothing that reads these bytes can run out of them or recurse too deeply.
import { type DescField, type DescMessage, ScalarType } from "@bufbuild/protobuf";
import { FilterBasisError } from "../../errors/error.js";
import { Cursor, malformed, maxDepth, wire } from "./wire.js";

/** What a field of a message may be on the wire, and what holding it costs. */
interface Rule {
  readonly name: string;
  readonly type: number;
  /** Size of one number where numbers may come packed; 0 for varints. */
  readonly packed?: number;
  readonly message?: DescMessage;
  readonly text?: boolean;
  /** Bytes of memory for one element, roughly. */
  readonly cost: number;
}

/** Memory for one message and its fields as plain data, roughly; measured on files full of empty messages. */
const messageCost = 800;
/** One view on the file. */
const viewCost = 120;
/** Parts that are carried as bytes and whose tensors nobody would write into another file again. */
const carried: ReadonlySet<string> = new Set(["training_info", "sparse_tensor", "sparse_tensors"]);
const rules = new WeakMap<DescMessage, ReadonlyMap<number, Rule>>();

/**
 * Checks wire types, bounds and nesting (at most 100 messages) of every field that the schema knows, and that what will
 * be made of them takes no more than `memory` bytes. Unknown fields need only be well-formed. Tensor bytes are not
 * looked at. Returns whether all text is UTF-8 (see `withLatin1Text`).
 * @throws FilterBasisError `malformed` with the field's path and byte; `too-large`
 */
export function checkBytes(schema: DescMessage, bytes: Uint8Array, memory = 48 * 2 ** 20 + 3 * bytes.length): boolean {
  const path: string[] = [];
  let cost = 0;
  let utf8 = true;

  function spend(amount: number): void {
    cost += amount;
    if (cost <= memory) return;
    throw new FilterBasisError("too-large", "reading this would take far more memory than the file has bytes", {
      field: path.join("."),
      expected: `at most ${memory} bytes`,
      cures: ["give a higher `memory` limit if you trust the file"],
    });
  }

  function message(desc: DescMessage, from: number, to: number): void {
    if (path.length > maxDepth) throw malformed(`messages are nested more than ${maxDepth} deep`, from);
    spend(messageCost);
    const known = rulesOf(desc);
    for (const cursor = new Cursor(bytes, from, to); cursor.next(); ) {
      const rule = known.get(cursor.no);
      // Fields that nobody asks for still cut what is read into pieces.
      if (rule === undefined) spend(viewCost);
      else field(rule, cursor);
    }
  }

  function field(rule: Rule, cursor: Cursor): void {
    path.push(rule.name);
    if (rule.name === "data_location" && path.some((name) => carried.has(name)) && bytes[cursor.from] !== 0) {
      throw new FilterBasisError("unsupported", "what is only carried lies in another file, which would be lost", {
        field: path.join("."),
      });
    }
    if (cursor.type === wire.bytes && rule.packed !== undefined) packed(rule, cursor);
    else if (cursor.type !== rule.type)
      throw malformed(`wire type ${cursor.type} instead of ${rule.type}`, cursor.start);
    else if (rule.message !== undefined) message(rule.message, cursor.from, cursor.to);
    else {
      spend(rule.cost + (rule.text ? 2 * (cursor.to - cursor.from) : 0));
      if (rule.text && !isText(bytes, cursor.from, cursor.to)) utf8 = false;
    }
    path.pop();
  }

  function packed({ packed: size = 0, cost: each }: Rule, { from, to }: Cursor): void {
    if (size > 0) {
      if ((to - from) % size !== 0) throw malformed(`packed numbers of ${size} bytes in ${to - from} bytes`, from);
      spend(((to - from) / size) * each);
      return;
    }
    let run = 0;
    let count = 0;
    for (let at = from; at < to; at++) {
      if (++run > 10) throw malformed("a number takes more than 10 bytes", at);
      if ((bytes[at] as number) < 128) {
        count++;
        run = 0;
      }
    }
    if (run > 0) throw malformed("truncated: a packed number does not end", to);
    spend(count * each);
  }

  try {
    message(schema, 0, bytes.length);
    return utf8;
  } catch (error) {
    if (!(error instanceof FilterBasisError) || error.code !== "malformed" || path.length === 0) throw error;
    throw malformed(`${schema.name}.${shorten(path)}: ${error.message}`);
  }
}

function shorten(path: readonly string[]): string {
  return path.length <= 12 ? path.join(".") : [...path.slice(0, 6), "...", ...path.slice(-5)].join(".");
}

/** The fields of a message by number. */
export function rulesOf(desc: DescMessage): ReadonlyMap<number, Rule> {
  let known = rules.get(desc);
  if (known === undefined)
    rules.set(desc, (known = new Map(desc.fields.map((field) => [field.number, ruleOf(desc, field)]))));
  return known;
}

function ruleOf(desc: DescMessage, field: DescField): Rule {
  const name = field.name;
  const list = field.fieldKind === "list";
  if (field.fieldKind === "map")
    throw new FilterBasisError("internal", `${desc.name}.${name}: maps are not in ONNX's schema`);
  if (field.message !== undefined) return { name, type: wire.bytes, message: field.message, cost: 0 };
  const scalar = field.scalar ?? ScalarType.INT32;
  // Doc strings are carried as bytes, so that what an exporter wrote there in some other encoding does no harm.
  if (scalar === ScalarType.STRING)
    return { name, type: wire.bytes, text: name !== "doc_string", cost: name === "doc_string" ? viewCost : 64 };
  if (scalar === ScalarType.BYTES) return { name, type: wire.bytes, cost: list ? viewCost : 0 };
  const sizes: Partial<Record<ScalarType, number>> = { [ScalarType.FLOAT]: 4, [ScalarType.DOUBLE]: 8 };
  const size = sizes[scalar];
  const type = size === 4 ? wire.bit32 : size === 8 ? wire.bit64 : wire.varint;
  // Tensor elements become one typed array; other lists become arrays of numbers or bigints.
  const cost = desc.name === "TensorProto" && field.number !== 1 ? 8 : size === undefined ? 40 : 16;
  return { name, type, ...(list ? { packed: size ?? 0 } : {}), cost };
}

const decoder = new TextDecoder("utf-8", { fatal: true });

/** Whether bytes are UTF-8. */
export function isText(bytes: Uint8Array, from: number, to: number): boolean {
  for (let at = from; at < to; at++) {
    if ((bytes[at] as number) < 128) continue;
    try {
      decoder.decode(bytes.subarray(at, to));
      return true;
    } catch {
      return false;
    }
  }
  return true;
}

// Decoding of one message in pieces: the fields that are asked for through @bufbuild/protobuf, the big ones as views.
import { type DescMessage, fromBinary, type MessageShape } from "@bufbuild/protobuf";
import { Cursor, join, malformed } from "./wire.js";

export interface Decoded<S extends DescMessage> {
  /** Only the fields in `take` are set. */
  readonly message: MessageShape<S>;
  /** The payloads of the fields in `apart`, in order. */
  apart(no: number): readonly Uint8Array[];
  /** Whether a field came at all. */
  has(no: number): boolean;
}

/**
 * Decodes a message's small fields and hands back its big ones as views on the bytes. All other fields are left alone.
 */
export function decode<S extends DescMessage>(
  schema: S,
  bytes: Uint8Array,
  take: ReadonlySet<number>,
  apart: ReadonlySet<number> = none,
): Decoded<S> {
  const small: Uint8Array[] = [];
  const big = new Map<number, Uint8Array[]>();
  const seen = new Set<number>();
  let run = -1;
  const cursor = new Cursor(bytes);
  while (cursor.next()) {
    seen.add(cursor.no);
    if (take.has(cursor.no)) {
      if (run < 0) run = cursor.start;
      continue;
    }
    if (run >= 0) small.push(bytes.subarray(run, cursor.start));
    run = -1;
    if (!apart.has(cursor.no)) continue;
    const before = big.get(cursor.no);
    if (before === undefined) big.set(cursor.no, [cursor.view()]);
    else before.push(cursor.view());
  }
  if (run >= 0) small.push(bytes.subarray(run));
  return {
    message: parse(schema, join(small)),
    apart: (no) => big.get(no) ?? [],
    has: (no) => seen.has(no),
  };
}

/** A whole message; the bytes have been checked, so a failure here says that the check missed something. */
export function parse<S extends DescMessage>(schema: S, bytes: Uint8Array): MessageShape<S> {
  try {
    return fromBinary(schema, bytes);
  } catch (error) {
    throw malformed(`${schema.name}: ${error instanceof Error ? error.message : String(error)}`);
  }
}

const none: ReadonlySet<number> = new Set();

/** The numbers of the named fields of a message. */
export function numbers<S extends DescMessage>(
  schema: S,
  ...names: (keyof S["field"] & string)[]
): ReadonlySet<number> {
  return new Set(names.map((name) => numberOf(schema, name)));
}

/** The number of one field. */
export function numberOf<S extends DescMessage>(schema: S, name: keyof S["field"] & string): number {
  return (schema.field as Readonly<Record<string, { readonly number: number }>>)[name]?.number as number;
}

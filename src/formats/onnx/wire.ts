// Protobuf's wire format, walked in place: fields are ranges of the file's bytes, and nothing is copied or built.
// Decoding and encoding of whole messages is left to @bufbuild/protobuf; this is what it takes to leave big or unknown
// fields alone.
import { FilterBasisError } from "../../errors/error.js";

/** Wire types (https://protobuf.dev/programming-guides/encoding/). */
export const wire = { varint: 0, bit64: 1, bytes: 2, startGroup: 3, endGroup: 4, bit32: 5 } as const;

/** Protobuf's own customary limit on nesting; ONNX Runtime refuses deeper files too. */
export const maxDepth = 100;

/** An error about the bytes themselves. */
export function malformed(message: string, at?: number): FilterBasisError {
  return new FilterBasisError("malformed", message, at === undefined ? {} : { field: `byte ${at}` });
}

/** The same memory as a plain Uint8Array: a Buffer's views would be Buffers, whose `slice` does not copy. */
export function plainBytes(bytes: Uint8Array): Uint8Array {
  if (!ArrayBuffer.isView(bytes))
    throw new FilterBasisError("usage", "bytes are needed", { expected: "a Uint8Array", got: typeof bytes });
  return bytes.constructor === Uint8Array ? bytes : new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/**
 * Walks the fields of one message: call `next()` until it is false; then `no`, `type`, `start`, `from` and `to`
 * describe the field.
 */
export class Cursor {
  readonly bytes: Uint8Array;
  readonly end: number;
  /** Field number. */
  no = 0;
  /** Wire type. */
  type = 0;
  /** Where the tag begins. */
  start = 0;
  /** Where the payload begins (after the length, for length-delimited fields). */
  from = 0;
  /** Where the payload, and with it the field, ends. */
  to: number;

  constructor(bytes: Uint8Array, from = 0, end = bytes.length) {
    this.bytes = bytes;
    this.to = from;
    this.end = end;
  }

  next(): boolean {
    if (this.to >= this.end) return false;
    this.start = this.to;
    const tag = this.varint(this.start, 5);
    this.no = Math.floor(tag / 8);
    this.type = tag % 8;
    if (this.no < 1 || tag > 0xffffffff) throw malformed("field number out of range", this.start);
    this.from = this.after;
    this.to = this.skip(this.type, this.no, 0);
    return true;
  }

  /** The payload as a view. */
  view(): Uint8Array {
    return this.bytes.subarray(this.from, this.to);
  }

  /** The whole field, tag included, as a view. */
  whole(): Uint8Array {
    return this.bytes.subarray(this.start, this.to);
  }

  private after = 0;

  /**
   * Reads an unsigned varint of at most `limit` bytes; inexact beyond 2^53, which only lengths that cannot be reach.
   */
  private varint(at: number, limit: number): number {
    let value = 0;
    let scale = 1;
    for (let i = 0; i < limit; i++, scale *= 128) {
      if (at + i >= this.end) throw malformed("truncated: a number runs beyond the end of its message", at);
      const byte = this.bytes[at + i] as number;
      value += (byte & 127) * scale;
      if (byte < 128) {
        this.after = at + i + 1;
        return value;
      }
    }
    throw malformed(`a number takes more than ${limit} bytes`, at);
  }

  /** Where the payload that begins at `after` ends. Sets `from` past the length of length-delimited fields. */
  private skip(type: number, no: number, depth: number): number {
    const at = this.after;
    if (type === wire.varint) {
      this.varint(at, 10);
      return this.after;
    }
    if (type === wire.bytes) {
      const length = this.varint(at, 10);
      if (length > this.end - this.after) throw malformed("truncated: a length runs beyond the end of its message", at);
      if (depth === 0) this.from = this.after;
      return (this.after += length);
    }
    if (type === wire.bit64 || type === wire.bit32) {
      const size = type === wire.bit64 ? 8 : 4;
      if (size > this.end - at) throw malformed("truncated: a number runs beyond the end of its message", at);
      return (this.after = at + size);
    }
    if (type === wire.startGroup) return this.skipGroup(no, depth + 1);
    throw malformed(
      type === wire.endGroup ? "a group ends that did not begin" : `wire type ${type} does not exist`,
      this.start,
    );
  }

  private skipGroup(no: number, depth: number): number {
    if (depth > maxDepth) throw malformed("groups are nested too deeply", this.start);
    for (;;) {
      if (this.after >= this.end) throw malformed("truncated: a group does not end", this.start);
      const tag = this.varint(this.after, 5);
      const inner = Math.floor(tag / 8);
      if (inner < 1 || tag > 0xffffffff) throw malformed("field number out of range", this.start);
      if (tag % 8 === wire.endGroup) {
        if (inner !== no) throw malformed("a group ends with the number of another", this.start);
        return this.after;
      }
      this.skip(tag % 8, inner, depth);
    }
  }
}

/** The payloads of the fields numbered `no`, as views, in order. */
export function payloads(bytes: Uint8Array, no: number): Uint8Array[] {
  const found: Uint8Array[] = [];
  for (const cursor = new Cursor(bytes); cursor.next(); ) if (cursor.no === no) found.push(cursor.view());
  return found;
}

/** The fields that `drop` does not name, tags included, as views. */
export function remainder(bytes: Uint8Array, drop: ReadonlySet<number>): Uint8Array[] {
  const kept: Uint8Array[] = [];
  for (const cursor = new Cursor(bytes); cursor.next(); ) if (!drop.has(cursor.no)) kept.push(cursor.whole());
  return kept;
}

/**
 * Several views as one run of bytes; no copy where there is only one. Protobuf merges messages by joining their bytes.
 */
export function join(chunks: readonly Uint8Array[]): Uint8Array {
  if (chunks.length === 1) return chunks[0] as Uint8Array;
  const all = new Uint8Array(chunks.reduce((sum, chunk) => sum + chunk.length, 0));
  let at = 0;
  for (const chunk of chunks) {
    all.set(chunk, at);
    at += chunk.length;
  }
  return all;
}

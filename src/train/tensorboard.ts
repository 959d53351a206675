// Event files that TensorBoard opens: TFRecord framing around Event messages with scalar summaries.
import { closeSync, openSync, writeSync } from "node:fs";
import { join } from "node:path";
import { FilterBasisError } from "../errors/error.js";

export interface EventWriter {
  readonly path: string;
  /** One event with a value for each tag; `wallTime` in milliseconds. */
  scalars(step: number, values: Readonly<Record<string, number>>, wallTime: number): void;
  close(): void;
}

export interface EventFileOptions {
  /** Milliseconds since 1970, part of the file's name. */
  readonly startedAt: number;
  /** Tells writers of one second apart, such as the process id. */
  readonly suffix: string;
  /**
   * The first step this writer will write, when it continues a run: TensorBoard then drops what older files say of it
   * and later.
   */
  readonly resumedAt?: number;
}

/**
 * Opens a new event file `events.tfevents.SECONDS.SUFFIX` in a folder. Each start of a run writes a file of its own,
 * since a record that was cut off by a kill would hide everything after it.
 * @throws FilterBasisError `io`
 */
export function openEventFile(folder: string, { startedAt, suffix, resumedAt }: EventFileOptions): EventWriter {
  const path = join(folder, `events.tfevents.${String(Math.floor(startedAt / 1000)).padStart(10, "0")}.${suffix}`);
  const failed = (cause: unknown) =>
    new FilterBasisError(
      "io",
      `cannot write the event file: ${cause instanceof Error ? cause.message : String(cause)}`,
      {
        file: path,
        cause,
      },
    );
  const open = (): number => {
    try {
      return openSync(path, "ax");
    } catch (error) {
      throw failed(error);
    }
  };
  const file = open();
  const append = (message: Uint8Array) => {
    try {
      writeSync(file, record(message));
    } catch (error) {
      throw failed(error);
    }
  };
  append(event(startedAt, 0, bytesField(3, utf8.encode("brain.Event:2"))));
  // SessionLog { status: START }
  if (resumedAt !== undefined) append(event(startedAt, resumedAt, bytesField(7, varintField(1, 1))));
  let closed = false;
  return {
    path,
    scalars(step, values, wallTime) {
      const summary = concat(
        Object.entries(values).map(([tag, value]) =>
          bytesField(1, concat([bytesField(1, utf8.encode(tag)), floatField(2, value)])),
        ),
      );
      append(event(wallTime, step, bytesField(5, summary)));
    },
    close() {
      if (!closed) closeSync(file);
      closed = true;
    },
  };
}

/** TFRecord: length (uint64), masked CRC of the length, data, masked CRC of the data; all little-endian. */
export function record(data: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(16 + data.length);
  const view = new DataView(bytes.buffer);
  view.setBigUint64(0, BigInt(data.length), true);
  view.setUint32(8, maskedCrc32c(bytes.subarray(0, 8)), true);
  bytes.set(data, 12);
  view.setUint32(12 + data.length, maskedCrc32c(data), true);
  return bytes;
}

/**
 * CRC-32C (Castagnoli), rotated and shifted as TFRecord wants it, so that a CRC of data with CRCs inside stays
 * meaningful.
 */
export function maskedCrc32c(bytes: Uint8Array): number {
  const crc = crc32c(bytes);
  return (((crc >>> 15) | (crc << 17)) + 0xa282ead8) >>> 0;
}

/** CRC-32C (Castagnoli) of bytes. */
export function crc32c(bytes: Uint8Array): number {
  let crc = 0xffffffff;
  for (const byte of bytes) crc = (crc >>> 8) ^ table[(crc ^ byte) & 0xff]!;
  return ~crc >>> 0;
}

const table = Uint32Array.from({ length: 256 }, (_, index) => {
  let value = index;
  for (let bit = 0; bit < 8; bit++) value = value & 1 ? (value >>> 1) ^ 0x82f63b78 : value >>> 1; // the polynomial, bits reversed
  return value;
});

// Protocol buffers by hand: five fields of tensorflow.Event are not worth a schema.
const utf8 = new TextEncoder();

/** Event { wall_time = 1 (seconds), step = 2, `what` }. */
function event(milliseconds: number, step: number, what: Uint8Array): Uint8Array {
  const time = new Uint8Array(9);
  time[0] = (1 << 3) | 1;
  new DataView(time.buffer).setFloat64(1, milliseconds / 1000, true);
  return concat([time, varintField(2, step), what]);
}

function varint(value: number): number[] {
  const bytes: number[] = [];
  let rest = value;
  for (; rest >= 128; rest = Math.floor(rest / 128)) bytes.push((rest % 128) | 128);
  return [...bytes, rest];
}

const varintField = (field: number, value: number): Uint8Array => Uint8Array.from([(field << 3) | 0, ...varint(value)]);

const bytesField = (field: number, bytes: Uint8Array): Uint8Array =>
  concat([Uint8Array.from([(field << 3) | 2, ...varint(bytes.length)]), bytes]);

function floatField(field: number, value: number): Uint8Array {
  const bytes = new Uint8Array(5);
  bytes[0] = (field << 3) | 5;
  new DataView(bytes.buffer).setFloat32(1, value, true);
  return bytes;
}

function concat(parts: readonly Uint8Array[]): Uint8Array {
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

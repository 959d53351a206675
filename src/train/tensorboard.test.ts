import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { isError } from "../errors/error.js";
import { crc32c, maskedCrc32c, openEventFile } from "./tensorboard.js";

const folder = mkdtempSync(join(tmpdir(), "filterbasis-events-"));
afterAll(() => rmSync(folder, { recursive: true }));

/** Reads a protobuf message into [field, wire type, value] triples: an independent reader of what the writer wrote. */
function fields(bytes: Uint8Array): [number, number, number | Uint8Array][] {
  const found: [number, number, number | Uint8Array][] = [];
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let at = 0;
  const varint = () => {
    let value = 0n;
    for (let shift = 0n; ; shift += 7n) {
      const byte = bytes[at++]!;
      value |= BigInt(byte & 127) << shift;
      if (byte < 128) return Number(value);
    }
  };
  while (at < bytes.length) {
    const key = varint();
    const [field, wire] = [key >> 3, key & 7];
    if (wire === 0) found.push([field, wire, varint()]);
    else if (wire === 1) found.push([field, wire, view.getFloat64((at += 8) - 8, true)]);
    else if (wire === 5) found.push([field, wire, view.getFloat32((at += 4) - 4, true)]);
    else if (wire === 2) {
      const length = varint();
      found.push([field, wire, bytes.subarray(at, (at += length))]);
    } else throw new Error(`wire type ${wire}`);
  }
  return found;
}

/** The records of a TFRecord file, each CRC checked. */
function records(bytes: Uint8Array): Uint8Array[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const found: Uint8Array[] = [];
  for (let at = 0; at < bytes.length; ) {
    const length = Number(view.getBigUint64(at, true));
    expect(view.getUint32(at + 8, true)).toBe(maskedCrc32c(bytes.subarray(at, at + 8)));
    const data = bytes.subarray(at + 12, at + 12 + length);
    expect(view.getUint32(at + 12 + length, true)).toBe(maskedCrc32c(data));
    found.push(data);
    at += 16 + length;
  }
  return found;
}

describe("CRC-32C", () => {
  // RFC 3720, B.4
  test.each([
    [new Uint8Array(32), 0x8a9136aa],
    [new Uint8Array(32).fill(0xff), 0x62a8ab43],
    [Uint8Array.from({ length: 32 }, (_, i) => i), 0x46dd794e],
    [new TextEncoder().encode("123456789"), 0xe3069283],
  ])("is what the standard's examples say (%#)", (bytes, expected) => {
    expect(crc32c(bytes)).toBe(expected);
  });
});

describe("an event file", () => {
  test("begins with the version and holds each scalar with its tag, step and time", () => {
    const writer = openEventFile(folder, { startedAt: 1_700_000_000_500, suffix: "7" });
    writer.scalars(0, { "train/loss": 2.25 }, 1_700_000_001_000);
    writer.scalars(5_000_000_000, { "train/loss": Number.NaN, "test/error ü": 9.5 }, 1_700_000_002_250);
    writer.close();
    writer.close();
    expect(writer.path).toBe(join(folder, "events.tfevents.1700000000.7"));

    const [first, second, third, ...rest] = records(readFileSync(writer.path)).map(fields);
    expect(rest).toEqual([]);
    expect(first!.map(([field]) => field)).toEqual([1, 2, 3]);
    expect(first![0]![2]).toBe(1_700_000_000.5);
    expect(Buffer.from(first![2]![2] as Uint8Array).toString()).toBe("brain.Event:2");

    const values = (event: typeof second) =>
      fields(event![2]![2] as Uint8Array).map(([field, , value]) => [field, ...fields(value as Uint8Array)]);
    expect(second!.slice(0, 2)).toEqual([
      [1, 1, 1_700_000_001],
      [2, 0, 0],
    ]);
    expect(second![2]![0]).toBe(5);
    expect(values(second)).toMatchObject([[1, [1, 2, Buffer.from("train/loss")], [2, 5, 2.25]]]);
    expect(third!.slice(0, 2)).toEqual([
      [1, 1, 1_700_000_002.25],
      [2, 0, 5_000_000_000],
    ]);
    expect(values(third)).toMatchObject([
      [1, [1, 2, Buffer.from("train/loss")], [2, 5, Number.NaN]],
      [1, [1, 2, Buffer.from("test/error ü")], [2, 5, 9.5]],
    ]);
  });

  test("of a resumed run says from which step it continues", () => {
    const writer = openEventFile(folder, { startedAt: 1_700_000_100_000, suffix: "8", resumedAt: 300 });
    writer.close();
    const [, start] = records(readFileSync(writer.path)).map(fields);
    expect(start![1]).toEqual([2, 0, 300]);
    expect(start![2]![0]).toBe(7);
    expect(fields(start![2]![2] as Uint8Array)).toEqual([[1, 0, 1]]);
  });

  test("never overwrites another and says where it could not be written", () => {
    const options = { startedAt: 1_700_000_200_000, suffix: "9" };
    openEventFile(folder, options).close();
    for (const where of [folder, join(folder, "missing")]) {
      expect(() => openEventFile(where, options)).toThrowError(expect.toSatisfy((error) => isError(error, "io")));
    }
  });
});

import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { isError } from "../errors/error.js";
import { float32Tensor, int64Tensor } from "../graph/attributes.js";
import { readSafetensors, writeSafetensors } from "./safetensors.js";

const join = (chunks: readonly Uint8Array[]): Uint8Array => Uint8Array.from(chunks.flatMap((chunk) => [...chunk]));
const tensors = new Map([
  ["weight", float32Tensor([2, 3], Float32Array.of(1, 2, 3, 4, 5, 6))],
  ["steps", int64Tensor([], [7])],
  ["none", float32Tensor([0, 4], new Float32Array(0))],
]);
const bytes = join(writeSafetensors(tensors, new Map([["note", "é"]])));

const withHeader = (header: unknown, data = new Uint8Array(0)): Uint8Array => {
  const text = new TextEncoder().encode(JSON.stringify(header));
  const length = new Uint8Array(8);
  new DataView(length.buffer).setBigUint64(0, BigInt(text.length), true);
  return join([length, text, data]);
};

describe("safetensors", () => {
  it("gives back what was written", () => {
    const { tensors: read, metadata } = readSafetensors(bytes);
    expect([...read]).toEqual([...tensors]);
    expect([...metadata]).toEqual([["note", "é"]]);
  });
  it.each([
    ["an empty file", new Uint8Array(0)],
    ["a header beyond the file", bytes.subarray(0, 20)],
    ["a truncated tensor", bytes.subarray(0, bytes.length - 1)],
    ["bytes behind the end", join([bytes, new Uint8Array(1)])],
    ["a header that is a list", withHeader([])],
    ["an unknown type", withHeader({ a: { dtype: "F12", shape: [], data_offsets: [0, 0] } })],
    ["a negative size", withHeader({ a: { dtype: "F32", shape: [-1], data_offsets: [0, 4] } }, new Uint8Array(4))],
    [
      "a size beyond all numbers",
      withHeader({ a: { dtype: "F32", shape: [2 ** 40, 2 ** 40], data_offsets: [0, 4] } }, new Uint8Array(4)),
    ],
    [
      "overlapping tensors",
      withHeader(
        { a: { dtype: "U8", shape: [4], data_offsets: [0, 4] }, b: { dtype: "U8", shape: [4], data_offsets: [2, 6] } },
        new Uint8Array(6),
      ),
    ],
    ["a gap", withHeader({ a: { dtype: "U8", shape: [4], data_offsets: [2, 6] } }, new Uint8Array(6))],
    ["metadata that is a number", withHeader({ __metadata__: { a: 1 } })],
  ])("refuses %s", (_, wrong) => {
    let error: unknown;
    try {
      readSafetensors(wrong, { file: "x.safetensors" });
    } catch (thrown) {
      error = thrown;
    }
    expect(isError(error, "malformed")).toBe(true);
    expect(String(error)).toContain("x.safetensors");
  });
  it("answers every mutation with tensors or a typed error", () => {
    fc.assert(
      fc.property(fc.nat(bytes.length - 1), fc.nat(255), (at, value) => {
        const mutated = bytes.slice();
        mutated[at] = value;
        try {
          readSafetensors(mutated);
        } catch (error) {
          if (!isError(error)) throw error;
        }
      }),
      { seed: 1, numRuns: 500 },
    );
  });
});

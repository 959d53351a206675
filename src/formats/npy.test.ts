// NumPy's files are read exactly, in every order of bytes and axes; what is damaged or no plain array gives typed
// errors.
import { describe, expect, it } from "vitest";
import { npy, npyOf, npz } from "../../test/arrays.js";
import { FilterBasisError } from "../errors/error.js";
import { numbers } from "../graph/values.js";
import { Random } from "../linalg/random.js";
import { readNpy, readNpz } from "./npy.js";

const codeOf = (run: () => unknown): string => {
  try {
    run();
  } catch (error) {
    expect(error).toBeInstanceOf(FilterBasisError);
    return (error as FilterBasisError).code;
  }
  return "nothing was thrown";
};
const six = [1, 2, 3, 4, 5, 6];

describe("readNpy", () => {
  it.each([
    ["<f4", "float32", Float32Array],
    ["<f8", "float64", Float64Array],
    ["|i1", "int8", Int8Array],
    ["<i2", "int16", Int16Array],
    ["<i4", "int32", Int32Array],
    ["|u1", "uint8", Uint8Array],
    ["<u2", "uint16", Uint16Array],
    ["=u4", "uint32", Uint32Array],
  ])("reads %s as %s", (descr, type, array) => {
    const tensor = readNpy(npy(descr, [2, 3], array.from(six)));
    expect([tensor.type, tensor.dims, [...numbers(tensor)]]).toEqual([type, [2, 3], six]);
  });

  it("reads integers of 64 bits, halves and booleans", () => {
    expect([...numbers(readNpy(npy("<i8", [2], BigInt64Array.of(-1n, 7n))))]).toEqual([-1, 7]);
    expect([...numbers(readNpy(npy("<f2", [2], Uint16Array.of(0x3c00, 0xc000))))]).toEqual([1, -2]);
    expect(readNpy(npy("|b1", [2], Uint8Array.of(1, 0)))).toMatchObject({ type: "bool", dims: [2] });
  });

  it("reads no dimensions, no elements, and the second version of the header", () => {
    expect(readNpy(npy("<f4", [], Float32Array.of(5))).dims).toEqual([]);
    expect(readNpy(npy("<f4", [0, 3], new Float32Array(0))).dims).toEqual([0, 3]);
    expect([...numbers(readNpy(npy("<f4", [6], Float32Array.from(six), { version: 2 })))]).toEqual(six);
  });

  it("brings big-endian elements and column-major arrays into our order", () => {
    const bytes = Buffer.alloc(24);
    for (const [i, value] of six.entries()) bytes.writeFloatBE(value, 4 * i);
    expect([...numbers(readNpy(npy(">f4", [2, 3], bytes)))]).toEqual(six);
    const columns = npy("<f4", [2, 3], Float32Array.of(1, 4, 2, 5, 3, 6), { fortran: true });
    expect([...numbers(readNpy(columns))]).toEqual(six);
    const deep = Float32Array.from({ length: 24 }, (_, i) => i);
    const tensor = numbers(readNpy(npy("<f4", [2, 3, 4], deep, { fortran: true })));
    for (let a = 0, at = 0; a < 2; a++)
      for (let b = 0; b < 3; b++) for (let c = 0; c < 4; c++, at++) expect(tensor[at]).toBe(a + 2 * b + 6 * c);
  });

  it.each(["|O", "<U5", "|S3", "<c8", "<M8[ns]", "<f16", "<f4x"])("refuses elements of type %s by name", (descr) => {
    expect(codeOf(() => readNpy(npy(descr, [1], new Uint8Array(16))))).toBe("unsupported");
  });

  it.each([
    ["a record type", "{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (1,), }", "unsupported"],
    ["a header without a shape", "{'descr': '<f4', 'fortran_order': False, }", "malformed"],
    ["a key twice", "{'descr': '<f4', 'descr': '<f4', 'fortran_order': False, 'shape': (1,), }", "malformed"],
    ["a fourth key", "{'descr': '<f4', 'fortran_order': False, 'shape': (1,), 'x': 'y'}", "malformed"],
    ["code instead of a shape", "{'descr': '<f4', 'fortran_order': False, 'shape': eval('1'), }", "malformed"],
    ["a negative size", "{'descr': '<f4', 'fortran_order': False, 'shape': (-1,), }", "malformed"],
    [
      "a size beyond all numbers",
      "{'descr': '<f4', 'fortran_order': False, 'shape': (99999999999999999999,), }",
      "malformed",
    ],
    [
      "sizes whose product overflows",
      "{'descr': '<f4', 'fortran_order': False, 'shape': (999999999, 999999999), }",
      "malformed",
    ],
    ["an order that is neither", "{'descr': '<f4', 'fortran_order': 0, 'shape': (1,), }", "malformed"],
    ["no dictionary", "[1, 2]", "malformed"],
  ])("refuses %s", (_, header, code) => {
    expect(codeOf(() => readNpy(npyOf(header, new Uint8Array(4))))).toBe(code);
  });

  it("refuses a header that claims more than the file, and elements too few or too many", () => {
    const good = npy("<f4", [6], Float32Array.from(six));
    const long = Buffer.from(good);
    long.writeUInt16LE(65535, 8);
    expect(codeOf(() => readNpy(long))).toBe("malformed");
    expect(codeOf(() => readNpy(good.subarray(0, good.length - 1)))).toBe("malformed");
    expect(codeOf(() => readNpy(Buffer.concat([good, good])))).toBe("malformed");
  });

  it("names the file in its errors", () => {
    expect(() => readNpy(Uint8Array.of(1, 2), { file: "a.npy" })).toThrow(/a\.npy.*not an \.npy file/);
  });

  it("gives an array or a typed error for every truncation and 1,500 random damages", () => {
    const good = npy("<f4", [2, 3], Float32Array.from(six), { fortran: true });
    for (let length = 0; length < good.length; length++)
      expect(["malformed", "unsupported"]).toContain(codeOf(() => readNpy(good.subarray(0, length))));
    const random = new Random(23);
    for (let n = 0; n < 1500; n++) {
      const damaged = Uint8Array.from(good);
      for (let i = 0; i <= random.int(3); i++) damaged[random.int(damaged.length)] = random.int(256);
      try {
        expect(readNpy(damaged).data.length).toBeLessThanOrEqual(good.length);
      } catch (error) {
        if (!(error instanceof FilterBasisError)) throw error;
      }
    }
  });
});

describe("readNpz", () => {
  const good = npz({
    x: npy("<f4", [2, 3], Float32Array.from(six)),
    y: npy("<i8", [2], BigInt64Array.of(0n, 1n)),
  });

  it("reads stored and deflated arrays by name", async () => {
    const arrays = await readNpz(good);
    expect([...arrays].map(([name, { type, dims }]) => [name, type, dims])).toEqual([
      ["x", "float32", [2, 3]],
      ["y", "int64", [2]],
    ]);
    expect([...numbers(arrays.get("x")!)]).toEqual(six);
  });

  it("names the file and the array that is wrong", async () => {
    const bad = npz({ x: npy("|O", [1], new Uint8Array(8)) });
    await expect(readNpz(bad, { file: "a.npz" })).rejects.toMatchObject({
      code: "unsupported",
      place: { file: "a.npz", tensor: "x" },
    });
    await expect(readNpz(Buffer.from("no zip"))).rejects.toMatchObject({ code: "malformed" });
  });

  it("gives the same arrays or a typed error for every damage", async () => {
    for (let at = 0; at < good.length; at += 3) {
      const damaged = Buffer.from(good);
      damaged[at] = damaged[at]! ^ 0x55;
      const found = await readNpz(damaged).catch((error: unknown) => {
        expect(error).toBeInstanceOf(FilterBasisError);
        return undefined;
      });
      // What no CRC covers are names and time stamps.
      for (const array of found?.values() ?? []) expect([six, [0, 1]]).toContainEqual([...numbers(array)]);
    }
  });
});

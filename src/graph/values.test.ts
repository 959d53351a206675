import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { floats, floatToHalf, halfToFloat, ints, numbers, tensorOf } from "./values.js";

describe("half precision", () => {
  it("survives the way to float and back, for all 65,536 patterns but the payloads of NaN", () => {
    for (let half = 0; half < 65536; half++) {
      const value = halfToFloat(half);
      if (Number.isNaN(value)) expect(floatToHalf(value) & 0x7c00).toBe(0x7c00);
      else if (floatToHalf(value) !== half) expect([half, floatToHalf(value)]).toEqual([half, half]);
    }
  });

  it("rounds to the nearest value, and between two to the even one", () => {
    fc.assert(
      // parts of 1/1024 stay float32, others do not: two ways of rounding
      fc.property(
        fc.integer({ min: 0, max: 0x7bfe }),
        fc.oneof(
          fc.double({ min: 0, max: 1, noNaN: true }),
          fc.integer({ min: 0, max: 1024 }).map((k) => k / 1024),
        ),
        (half, part) => {
          const [low, high] = [halfToFloat(half), halfToFloat(half + 1)];
          const rounded = floatToHalf(low + (high - low) * part);
          if (part === 0.5) return rounded % 2 === 0;
          return rounded === (part < 0.5 ? half : half + 1);
        },
      ),
      {
        examples: [
          [0, 0.5],
          [1023, 0.5],
          [0x7bfe, 0.5],
        ],
      },
    );
    expect(halfToFloat(floatToHalf(65519))).toBe(65504);
    expect(halfToFloat(floatToHalf(65520))).toBe(Number.POSITIVE_INFINITY);
    expect(halfToFloat(floatToHalf(2 ** -25))).toBe(0);
    expect(Object.is(halfToFloat(floatToHalf(-0)), -0)).toBe(true);
  });
});

describe("constant tensors", () => {
  const cases = {
    float32: [1.5, -0.25, 2 ** 127],
    float64: [Math.PI, -1e300, 0],
    float16: [1.5, -0.25, 65504],
    bfloat16: [1.5, -0.25, 3.3895313892515355e38],
    int64: [-(2 ** 53), 2 ** 53, 7],
    uint64: [0, 2 ** 53, 7],
    int32: [-(2 ** 31), 2 ** 31 - 1, 0],
    uint32: [0, 2 ** 32 - 1, 5],
    int16: [-32768, 32767, 0],
    uint16: [0, 65535, 1],
    int8: [-128, 127, 0],
    uint8: [0, 255, 1],
    bool: [0, 1, 1],
  } as const;
  for (const [type, values] of Object.entries(cases) as [keyof typeof cases, readonly number[]][]) {
    it(`of type ${type} give back their numbers, at any offset in a file's bytes`, () => {
      const made = tensorOf(type, [3], values);
      expect([...numbers(made)]).toEqual(values);
      const shifted = new Uint8Array(made.data.length + 1);
      shifted.set(made.data, 1);
      expect([...numbers({ ...made, data: shifted.subarray(1) })]).toEqual(values);
      expect([...floats({ ...made, data: shifted.subarray(1) })]).toEqual(values.map(Math.fround));
    });
  }

  it("are views where that costs nothing", () => {
    const values = new Float32Array([1, 2]);
    expect(floats({ type: "float32", dims: [2], data: new Uint8Array(values.buffer) }).buffer).toBe(values.buffer);
  });

  it("refuse what they are not", () => {
    expect(() => ints(tensorOf("float32", [1], [1]))).toThrow(/integers/);
    expect(() => numbers({ type: "string", dims: [1], data: new Uint8Array(0) })).toThrow(/cannot be read/);
    expect(() => numbers({ type: "float32", dims: [2], data: new Uint8Array(4) })).toThrow(/do not fill its shape/);
    expect(() => tensorOf("float32", [2], [1])).toThrow(/do not fill the shape/);
  });
});

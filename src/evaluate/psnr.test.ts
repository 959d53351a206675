// PSNR, rounding and SSIM against recorded results of the authors' code and against their definitions.
import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { noShared, shared } from "../../test/shared.js";
import type { Image } from "../data/image.js";
import { readSafetensors } from "../formats/safetensors.js";
import { floats } from "../graph/values.js";
import { psnr, quantize } from "./psnr.js";
import { ssim } from "./ssim.js";

interface Case {
  readonly sr: string;
  readonly hr: string;
  readonly scale: number;
  readonly div2k: boolean;
  readonly psnr: number;
}
type Fixture = {
  readonly kind: string;
  readonly cases: readonly Case[];
  readonly input: readonly number[];
  readonly output: readonly number[];
};

const index = shared("fixtures/index.json");
describe.skipIf(index === undefined)(`recorded results${index ? "" : `: ${noShared}`}`, () => {
  const { fixtures } = index
    ? (JSON.parse(readFileSync(index, "utf8")) as { fixtures: readonly Fixture[] })
    : { fixtures: [] };
  const of = (kind: string) => fixtures.find((fixture) => fixture.kind === kind)!;

  test("PSNR is the authors' to 1e-6 dB", () => {
    const { tensors } = readSafetensors(readFileSync(shared("fixtures/psnr.safetensors")!));
    const { cases } = of("psnr");
    expect(cases.length).toBeGreaterThan(20);
    for (const { sr, hr, scale, div2k, psnr: expected } of cases) {
      const image = (name: string): Image => {
        const tensor = tensors.get(name)!;
        const [channels, height, width] = tensor.dims as [1 | 3, number, number];
        return { channels, height, width, data: quantize(floats(tensor)) };
      };
      const got = psnr(image(sr), image(hr), div2k ? scale + 6 : scale, div2k ? "rgb" : "luma");
      expect(Math.abs(got - expected), `${sr} x${scale} ${div2k ? "RGB" : "luma"}`).toBeLessThan(1e-6);
    }
  });

  test("rounding is the authors'", () => {
    const { input, output } = of("quantize");
    expect([...quantize(Float32Array.from(input))]).toEqual(output);
  });
});

test("equal images have infinite PSNR, and sizes must agree", () => {
  const one: Image = { width: 12, height: 12, channels: 3, data: new Uint8Array(432).fill(7) };
  expect(psnr(one, one, 2)).toBe(Number.POSITIVE_INFINITY);
  expect(() => psnr(one, { ...one, width: 6, height: 24 }, 2)).toThrow(/different sizes/);
  expect(() => psnr(one, one, 6)).toThrow(/nothing of the image/);
  expect(() => quantize(Float32Array.of(Number.NaN))).toThrow(/NaN/);
});

test("a difference of 1 everywhere in RGB is 48.13 dB", () => {
  const one: Image = { width: 4, height: 4, channels: 3, data: new Uint8Array(48).fill(7) };
  expect(psnr(one, { ...one, data: new Uint8Array(48).fill(8) }, 0, "rgb")).toBeCloseTo(20 * Math.log10(255), 5);
});

describe("ssim", () => {
  const [w, h] = [20, 17];
  const a = Float64Array.from({ length: w * h }, (_, i) => (i * 7919) % 256);
  const b = a.map((value, i) => (value + (i % 5) * 9) % 256);

  test("is 1 for equal planes, symmetric, and below 1 otherwise", () => {
    expect(ssim(a, a, w, h)).toBeCloseTo(1, 12);
    expect(ssim(a, b, w, h)).toBeCloseTo(ssim(b, a, w, h), 12);
    expect(ssim(a, b, w, h)).toBeLessThan(1);
  });

  test("equals its definition, window by window", () => {
    const weights = Array.from({ length: 121 }, (_, i) =>
      Math.exp(-((Math.floor(i / 11) - 5) ** 2 + ((i % 11) - 5) ** 2) / 4.5),
    );
    const total = weights.reduce((sum, value) => sum + value, 0);
    const places = [];
    for (let y = 1; y + 11 <= h - 1; y++) for (let x = 1; x + 11 <= w - 1; x++) places.push([y, x] as const);
    const values = places.map(([y, x]) => {
      const mean = (f: (at: number) => number) =>
        weights.reduce((sum, weight, i) => sum + (weight / total) * f((y + Math.floor(i / 11)) * w + x + (i % 11)), 0);
      const [ma, mb] = [mean((at) => a[at]!), mean((at) => b[at]!)];
      const va = mean((at) => (a[at]! - ma) ** 2);
      const vb = mean((at) => (b[at]! - mb) ** 2);
      const cov = mean((at) => (a[at]! - ma) * (b[at]! - mb));
      return ((2 * ma * mb + 6.5025) * (2 * cov + 58.5225)) / ((ma * ma + mb * mb + 6.5025) * (va + vb + 58.5225));
    });
    expect(ssim(a, b, w, h, 1)).toBeCloseTo(values.reduce((sum, value) => sum + value, 0) / values.length, 10);
  });
});

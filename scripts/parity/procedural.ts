// Weights that are computed instead of stored, so that networks of full size can be compared: splitmix64 over a seed
// made of the name.

import { FilterBasisError } from "../../src/errors/error.js";
import { elements, float32Tensor } from "../../src/graph/attributes.js";
import type { TensorData } from "../../src/graph/types.js";
import { need, type Tensors } from "./entry.js";

const mask = (1n << 64n) - 1n;

/** FNV-1a, 64 bits, of the UTF-8 name. */
function seedOf(name: string): bigint {
  let value = 0xcbf29ce484222325n;
  for (const byte of new TextEncoder().encode(name)) value = ((value ^ BigInt(byte)) * 0x100000001b3n) & mask;
  return value;
}

/**
 * The top 24 bits of splitmix64's outputs 1 .. count, over 2^24. The 64-bit arithmetic is done in 16-bit limbs: BigInt
 * would take a minute for EDSR's 43 million numbers.
 */
function uniforms(name: string, count: number): Float64Array {
  const seed = seedOf(name);
  const out = new Float64Array(count);
  let [high, low] = [Number(seed >> 32n) >>> 0, Number(seed & 0xffffffffn) >>> 0];
  for (let i = 0; i < count; i++) {
    const sum = low + 0x7f4a7c15;
    low = sum >>> 0;
    high = (high + 0x9e3779b9 + (sum > 0xffffffff ? 1 : 0)) >>> 0;
    let [h, l] = [high, low];
    [h, l] = [(h ^ (h >>> 30)) >>> 0, (l ^ ((l >>> 30) | (h << 2))) >>> 0];
    [h, l] = multiply(h, l, 0xbf58476d, 0x1ce4e5b9);
    [h, l] = [(h ^ (h >>> 27)) >>> 0, (l ^ ((l >>> 27) | (h << 5))) >>> 0];
    [h, l] = multiply(h, l, 0x94d049bb, 0x133111eb);
    h = (h ^ (h >>> 31)) >>> 0;
    out[i] = (h >>> 8) / 0x1000000; // z >> 40 is the top 24 bits; the last shift of z leaves of them only h ^ (h >>> 31)
  }
  return out;
}

/** The low 64 bits of a product of two 64-bit numbers, each as two words. */
function multiply(ah: number, al: number, bh: number, bl: number): [number, number] {
  const [a0, a1, b0, b1] = [al & 0xffff, al >>> 16, bl & 0xffff, bl >>> 16];
  const low = a0 * b0;
  const middle = a1 * b0 + (low >>> 16);
  const cross = a0 * b1 + (middle % 0x10000);
  const carry = a1 * b1 + Math.floor(middle / 0x10000) + Math.floor(cross / 0x10000);
  const high = (carry + Math.imul(ah, bl) + Math.imul(al, bh)) >>> 0;
  return [high, ((cross % 0x10000) * 0x10000 + (low & 0xffff)) >>> 0];
}

const mean = [0.4488, 0.4371, 0.404] as const;

/** One tensor by its rule; `buffers` are the tensors stored beside. */
export function proceduralTensor(
  name: string,
  dims: readonly number[],
  rule: string,
  gain: number,
  buffers: Tensors,
): TensorData {
  if (rule === "buf") return need(buffers, `buf.${name}`);
  const count = elements(dims);
  const fill = (map: (u: number) => number) => float32Tensor(dims, Float32Array.from(uniforms(name, count), map));
  const bound = Math.sqrt(6 / (count / (dims[0] ?? 1))) * gain;
  switch (rule) {
    case "W":
      return fill((u) => (2 * u - 1) * bound);
    case "W*0.01":
      return fill((u) => (2 * u - 1) * bound * 0.01);
    case "S":
      return fill((u) => 0.75 + 0.5 * u);
    case "B":
      return fill((u) => (u - 0.5) * 0.2);
    case "P":
      return fill((u) => 0.1 + 0.2 * u);
    case "C":
      return fill((u) => (2 * u - 1) * 0.05);
    case "fixed": {
      if (dims.length === 4)
        return float32Tensor(
          dims,
          Float32Array.from({ length: count }, (_, i) => (i % 4 === 0 ? 1 : 0)),
        );
      const sign = name.startsWith("sub") ? -1 : 1;
      return float32Tensor(
        dims,
        Float32Array.from(mean, (value) => sign * 255 * value),
      );
    }
    default:
      throw new FilterBasisError("unsupported", "unknown rule for weights", { tensor: name, got: rule });
  }
}

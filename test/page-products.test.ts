// The page's own products of samples are those of TypeScript but for single precision.
import { expect, test } from "vitest";
import { pureProducts } from "../src/calibrate/ort-engine.js";
import { Random } from "../src/linalg/random.js";
import { fastProducts } from "../web/host/gram.js";

test.each([
  [1, 1],
  [3, 5],
  [300, 7],
  [2049, 64],
  [5000, 27],
])("x^T x of %i samples of %i values is added to what is there", (rows, cols) => {
  const random = new Random(7);
  const x = Float32Array.from({ length: rows * cols }, () => random.next() - 0.4);
  const [expected, got] = [new Float64Array(cols * cols).fill(2), new Float64Array(cols * cols).fill(2)];
  pureProducts.addGram(expected, x.slice(), rows, cols);
  fastProducts.addGram(got, x.slice(), rows, cols);
  for (let i = 0; i < cols; i++)
    for (let j = 0; j <= i; j++)
      expect(Math.abs(got[i * cols + j]! - expected[i * cols + j]!) / rows).toBeLessThan(1e-6); // 256 sums in 24 bits
});

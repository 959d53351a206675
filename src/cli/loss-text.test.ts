import { expect, test } from "vitest";
import type { Loss } from "../evaluate/compare-on-data.js";
import { compareOutput } from "../evaluate/loss.js";
import { float32Tensor } from "../graph/attributes.js";
import { lossLines, warning } from "./loss-text.js";

const loss = (kind: Loss["kind"], mean: number): Loss => ({ output: "y", kind, mean, interval: 0, constant: false });

test.each([
  ["mask", 0.06, "y lost 0.0600 (1 - IoU): too much for most uses (--max-loss 0.05 writes nothing that loses more)"],
  [
    "classes",
    0.2,
    "y lost 0.200 (share of classes that changed): too much for most uses (--max-loss 0.05 writes nothing that loses more)",
  ],
  [
    "relative",
    0.051,
    "y lost 0.0510 (relative error): too much for most uses (--max-loss 0.05 writes nothing that loses more)",
  ],
  ["decibels", 0.61, "y lost 0.61 dB: too much for most uses (--max-loss 0.5 writes nothing that loses more)"],
] as const)("a loss of %s of %d is warned of", (kind, mean, line) => {
  expect(warning(loss(kind, mean))[0]).toBe(line);
});

test.each([
  ["mask", 0.05],
  ["decibels", 0.5],
  ["relative", 0],
] as const)("a loss of %s of %d is not", (kind, mean) => expect(warning(loss(kind, mean))).toEqual([]));

test("labels and true images get a line of their own", () => {
  const comparison = compareOutput("y");
  const scores = float32Tensor([2, 2], Float32Array.from([1, 0, 0, 1]));
  comparison.add(scores, scores, [
    { kind: "class", label: 0, classes: 2 },
    { kind: "class", label: 0, classes: 2 },
  ]);
  const output = comparison.result();
  const lines = lossLines({
    inputs: 2,
    outputs: [output],
    loss: { output: "y", kind: "classes", constant: false, ...output.loss },
  });
  expect(lines[1]).toBe("y by the labels: top-1 error 50.00 -> 50.00 %");
});

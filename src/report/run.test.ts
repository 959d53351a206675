import { describe, expect, test } from "vitest";
import { isError } from "../errors/error.js";
import { bitmapUrl, mosaic } from "./bitmap.js";
import { parseMetrics, thin } from "./run.js";

describe("the metrics file", () => {
  test("gives steps and epochs with the metrics that were measured", () => {
    const text = [
      { kind: "step", globalStep: 1, loss: 2.5, task: 2, approximation: 0.5, rate: 0.1 },
      { kind: "step", globalStep: 2, loss: 2, task: 2, approximation: null, rate: 0.1 },
      { kind: "epoch", epoch: 1, globalStep: 2, trainLoss: 2.25, metrics: { top1Error: 50 }, seconds: 9 },
    ];
    expect(parseMetrics(text.map((line) => JSON.stringify(line)).join("\n") + "\n")).toEqual({
      steps: [
        { step: 1, loss: 2.5, task: 2, approximation: 0.5, rate: 0.1 },
        { step: 2, loss: 2, task: 2, rate: 0.1 },
      ],
      epochs: [{ epoch: 1, step: 2, trainLoss: 2.25, metrics: { top1Error: 50 }, seconds: 9 }],
    });
  });

  test("may end in the middle of a line, as a kill leaves it", () => {
    expect(parseMetrics('{"kind":"step","globalStep":1,"loss":1}\n{"kind":"st').steps).toHaveLength(1);
  });

  test("is refused when a line within is broken, naming the line", () => {
    for (const broken of ["{", "[1]", "3"]) {
      expect(() => parseMetrics(`{"kind":"step","loss":1}\n${broken}\n{"kind":"step","loss":1}\n`)).toThrowError(
        expect.toSatisfy((error) => isError(error, "malformed") && error.message.includes("line 2")),
      );
    }
  });
});

test("a long series is averaged in groups, none of it left out; a short one stays as it is", () => {
  const points = Array.from({ length: 1000 }, (_, x) => ({ x, y: 2 * x }));
  const thinned = thin(points, 100);
  expect(thinned).toHaveLength(100);
  expect(thinned[0]).toEqual({ x: 4.5, y: 9 });
  expect(thinned.at(-1)).toEqual({ x: 994.5, y: 1989 });
  expect(thin(points, 1000)).toBe(points);
});

test("a mosaic is a bitmap whose pixels are the values, zero being white", () => {
  const picture = mosaic([1, 0, -1, 0.5], [1, 1, 2, 2], 1);
  expect(picture).toMatchObject({ width: 4, height: 4 });
  const inside = [5, 6, 9, 10].map((at) => picture.pixels[at]);
  expect(inside).toEqual([254, 127, 0, 191]);
  const bytes = Uint8Array.from(atob(bitmapUrl(picture).split(",")[1]!), (character) => character.charCodeAt(0));
  const view = new DataView(bytes.buffer);
  expect([view.getUint16(0, false), view.getUint32(2, true), view.getInt32(18, true), view.getInt32(22, true)]).toEqual(
    [0x424d, bytes.length, 4, 4],
  );
  const start = view.getUint32(10, true);
  expect([...bytes.subarray(start + 4, start + 8)]).toEqual([255, 0, 191, 255]); // second row from below
  const palette = (index: number) => [...bytes.subarray(54 + 4 * index, 57 + 4 * index)].reverse();
  expect([palette(254), palette(127), palette(0)]).toEqual([
    [178, 24, 43],
    [250, 250, 250],
    [33, 102, 172],
  ]); // red, white, blue
});

// At how many places a layer is looked at.
import { expect, test } from "vitest";
import { pureLinearAlgebra } from "../linalg/pure.js";
import { samplingFor, samplingOf } from "./engine.js";

test("few images show more places each; the widest patches, and wide ones without libtorch, fewer", () => {
  const images = { count: 16, feeds: () => ({}) };
  const sampling = samplingOf(images);
  expect(sampling.places).toBe(1024);
  const [slow, fast] = [
    { algebra: pureLinearAlgebra },
    { algebra: { ...pureLinearAlgebra, name: "by-size" as const } },
  ];
  const places = (patch: number, engine: typeof slow | typeof fast) =>
    samplingFor(patch, sampling, images, engine).places;
  expect([576, 4096, 4608].map((patch) => places(patch, fast))).toEqual([1024, 1024, 512]);
  expect([576, 1200, 4608].map((patch) => places(patch, slow))).toEqual([1024, 1024, 64]);
  const stated = samplingOf(images, { places: 10 });
  expect(samplingFor(4608, stated, images, slow).places).toBe(10);
});

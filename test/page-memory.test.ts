// What the page says that a network takes, before it begins.
import { expect, test } from "vitest";
import { findCalibratedLayers } from "../src/calibrate/layers.js";
import { edsr } from "../src/nets/edsr.js";
import { vgg16 } from "../src/nets/vgg.js";
import { inferShapes } from "../src/ops/infer.js";
import { memoryOf } from "../web/worker/memory.js";

const memoryAt = (graph: ReturnType<typeof edsr>, dims: readonly number[], bytes = 1e6) => {
  const shapes = inferShapes(graph, new Map([[graph.inputs[0]!.name, dims]]));
  return memoryOf(bytes, graph, shapes, findCalibratedLayers(graph).layers);
};

test("counts weights several times, what is alive while networks run, and the widest layer's matrices", () => {
  const narrow = edsr({ blocks: 1, width: 8, scale: 2 });
  const small = memoryAt(narrow, [1, 3, 32, 32]);
  const heavy = memoryAt(narrow, [1, 3, 32, 32], 1e8);
  expect(heavy.runtime - small.runtime).toBeGreaterThanOrEqual(2 * 9.9e7);
  expect(heavy.all).toBeGreaterThan(heavy.runtime);
  const large = memoryAt(narrow, [1, 3, 1024, 1024]);
  expect(large.runtime).toBeGreaterThan(2 * 4 * 3 * 2048 * 2048);
  const wide = memoryAt(vgg16(), [1, 3, 32, 32]);
  expect(wide.all - small.all).toBeGreaterThan(4 * 8 * 4608 ** 2);
  expect(wide.runtime).toBeLessThan(wide.all - 4 * 8 * 4608 ** 2);
});

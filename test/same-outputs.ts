// How far a graph is from a model file in ONNX Runtime, for tests of changes that must be exact.
import { writeModel } from "../src/formats/onnx/index.js";
import type { Graph } from "../src/graph/types.js";
import { compareOutputs, sampleFeeds } from "../src/runtime/index.js";
import { openOrtSession } from "../src/runtime/session.js";

/**
 * The largest difference of any output on seeded inputs in -1..1: absolute, and relative to the largest value of that
 * output.
 */
export async function outputsDiffer(
  model: Uint8Array | string,
  graph: Graph,
): Promise<{ readonly absolute: number; readonly relative: number }> {
  const before = await openOrtSession(model, { threads: 1 });
  const after = await openOrtSession(writeModel(graph), { threads: 1 });
  try {
    const feeds = sampleFeeds(before.inputs, { range: [-1, 1] });
    return compareOutputs(await after.run(feeds), await before.run(feeds));
  } finally {
    await before.release();
    await after.release();
  }
}

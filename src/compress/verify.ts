// What was written is run against what it should compute (the network with its filters rebuilt), and against the original.
import type { Graph } from "../graph/types.js";
import { expand } from "../methods/expand.js";
import { readRecord } from "../methods/record.js";
import { openSession, referenceOf, sampleFeeds, type Verification, verifyModel } from "../runtime/index.js";
import type { Place } from "./job.js";

export interface Verified extends Verification {}

/** How far the written model may be from what it should compute, relative to the largest output: float32 sums in another order. */
const tolerance = 1e-4;
/** The same for models that compute in half precision. */
const halfTolerance = 2e-2;

export async function verifyWritten(
  _original: Graph,
  graph: Graph,
  file: string,
  { inputs, ...options }: Place,
): Promise<Verified> {
  const against = readRecord(graph) ? expand(graph).graph : graph;
  const session = await openSession(against, options);
  const feeds = sampleFeeds(session.inputs, inputs);
  await session.release();
  const half = [...graph.initializers.values()].some(({ type }) => type === "float16" || type === "bfloat16");
  const limit = half ? halfTolerance : tolerance;
  const expected = await referenceOf(against, [feeds], options);
  return await verifyModel(file, expected, limit, options);
}

/** The same function as the original's, but for the order of its sums. @throws FilterBasisError `verification-failed` */
export async function verifyExact(original: Graph, file: string, { inputs, ...options }: Place): Promise<Verified> {
  const session = await openSession(original, options);
  const feeds = [1, 2].map((seed) => sampleFeeds(session.inputs, { ...inputs, seed }));
  await session.release();
  return await verifyModel(file, await referenceOf(original, feeds, options), tolerance, options);
}

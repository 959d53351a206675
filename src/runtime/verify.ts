// Nothing leaves unverified: what was written is opened again, checked, and run in ONNX Runtime against what it should
// compute.
import { FilterBasisError } from "../errors/error.js";
import type { Graph, TensorData } from "../graph/types.js";
import { compareOutputs, type Difference } from "./compare.js";
import { openSession } from "./open.js";
import type { Feeds, SessionOptions } from "./session.js";

/** Inputs, and the outputs that some other computation made of them. */
export interface Reference {
  readonly feeds: Feeds;
  readonly outputs: Readonly<Record<string, TensorData>>;
}

export interface Verification {
  /** The largest difference over all references, relative to the largest value of the output that it is of. */
  readonly maxDifference: number;
  readonly absolute: number;
  readonly output: string;
}

/**
 * Runs a model (a graph, a file's bytes or a path) on each reference's inputs and compares. `tolerance` is relative to
 * the largest value of an output.
 * @throws FilterBasisError `verification-failed`, and what opening and running throw
 * @example
 * ```ts
 * import { findInputs, foldBatchNorm, loadModel, openSession, referenceOf, sampleFeeds, verifyModel } from "filterbasis";
 *
 * const graph = await loadModel("model.onnx");
 * const session = await openSession(graph);
 * const feeds = [sampleFeeds(session.inputs, await findInputs(graph))];
 * await session.release();
 * const references = await referenceOf(graph, feeds);
 * console.log(await verifyModel(foldBatchNorm(graph).graph, references, 1e-4));
 * ```
 */
export async function verifyModel(
  model: Graph | Uint8Array | string,
  references: readonly Reference[],
  tolerance: number,
  options: SessionOptions = {},
): Promise<Verification> {
  if (references.length === 0)
    throw new FilterBasisError("usage", "a model is verified against at least one reference");
  const session = await openSession(model, options);
  try {
    let worst: Difference = { relative: 0, absolute: 0, output: session.outputs[0]?.name ?? "" };
    for (const { feeds, outputs } of references) {
      const difference = compareOutputs(await session.run(feeds), outputs);
      if (difference.relative > worst.relative) worst = difference;
    }
    const { relative: maxDifference, absolute, output } = worst;
    if (maxDifference > tolerance) {
      throw new FilterBasisError("verification-failed", "the model does not compute what it should", {
        ...(typeof model === "string" ? { file: model } : {}),
        tensor: output,
        expected: `within ${tolerance} of the largest value`,
        got: maxDifference.toPrecision(3),
      });
    }
    return { maxDifference, absolute, output };
  } finally {
    await session.release();
  }
}

/** What another model makes of the given inputs: a reference for `verifyModel`. */
export async function referenceOf(
  model: Graph | Uint8Array | string,
  feeds: readonly Feeds[],
  options: SessionOptions = {},
): Promise<Reference[]> {
  const session = await openSession(model, options);
  try {
    const references: Reference[] = [];
    for (const one of feeds) references.push({ feeds: one, outputs: await session.run(one) });
    return references;
  } finally {
    await session.release();
  }
}

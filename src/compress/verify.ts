// What was written is run against the original: steps that change nothing must agree within the original's own rounding
// noise, the compression itself is told as its difference. That the file computes what the compressed network should is
// checked beside it.
import type { Graph } from "../graph/types.js";
import { expandBases } from "../methods/expand-bases.js";
import { readRecord } from "../methods/record.js";
import { type Agreement, compareWithOriginal, requireAgreement, worstOutput } from "../runtime/agreement.js";
import { allowingNoiseOf } from "../runtime/allow-noise.js";
import { prepareReference, type ReferenceSet } from "../runtime/reference.js";
import type { Place } from "./job.js";

export interface Verified {
  /** Of the written file with the original: how far its outputs are from it. */
  readonly original: Agreement;
  /** Of the written file with the compressed network's filters rebuilt: within rounding. */
  readonly rebuilt: Agreement;
  /**
   * The largest difference from the rebuilt network, relative to the largest value of the output that it is of; 0 where
   * nothing moved.
   */
  readonly maxDifference: number;
}

/** The original's outputs, and what is noise in them. */
export function referenceOf(original: Graph | string, { inputs, ...options }: Place): Promise<ReferenceSet> {
  return prepareReference(original, { ...options, shapes: inputs.shapes, values: inputs.values });
}

/**
 * @throws FilterBasisError `verification-failed` where the passes before the plan changed what the original computes
 */
export async function verifyPrepared(prepared: Graph, reference: ReferenceSet): Promise<void> {
  requireAgreement(await compareWithOriginal(prepared, reference, { kind: "exact" }));
}

/** @throws FilterBasisError `verification-failed` where the file does not compute what the compressed network should */
export async function verifyWritten(graph: Graph, file: string, reference: ReferenceSet): Promise<Verified> {
  const against = readRecord(graph) ? expandBases(graph, "computed").graph : graph;
  return verifyAgainst(against, graph, file, reference);
}

/**
 * The same beside a network that the file must compute but for rounding.
 * @throws FilterBasisError `verification-failed`
 */
export async function verifyAgainst(
  against: Graph,
  graph: Graph,
  file: string,
  reference: ReferenceSet,
): Promise<Verified> {
  const { feeds, options } = reference;
  const own = await allowingHalf(await prepareReference(against, { ...options, feeds }), graph);
  const rebuilt = requireAgreement(await compareWithOriginal(file, own, { kind: "exact" }), file);
  const original = await compareWithOriginal(file, reference, { kind: "approximate" });
  return { original, rebuilt, maxDifference: worstOutput(rebuilt)?.relativeMax ?? 0 };
}

/**
 * The same of a graph that is not written yet.
 * @throws FilterBasisError `verification-failed`
 */
export async function verifyExactGraph(graph: Graph, reference: ReferenceSet): Promise<void> {
  requireAgreement(await compareWithOriginal(graph, await allowingHalf(reference, graph), { kind: "exact" }));
}

/**
 * The same function as the reference's, but for rounding.
 * @throws FilterBasisError `verification-failed`
 */
export async function verifyExact(file: string, reference: ReferenceSet): Promise<Agreement> {
  return requireAgreement(await compareWithOriginal(file, reference, { kind: "exact" }), file);
}

/**
 * Where a network computes in half precision, layers written in two convolutions round in between: what that makes is
 * allowed too.
 */
export async function allowingHalf(reference: ReferenceSet, written: Graph): Promise<ReferenceSet> {
  const half = [...written.initializers.values()].some(({ type }) => type === "float16" || type === "bfloat16");
  const { feeds, options } = reference;
  return half ? allowingNoiseOf(reference, await prepareReference(written, { ...options, feeds })) : reference;
}

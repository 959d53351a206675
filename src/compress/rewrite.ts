// Steps that change how a model is written but not what it computes: undoing a compression, folding, half precision.
// The written file is run against the file that was given, before it takes its place.
import { FilterBasisError } from "../errors/error.js";
import type { Graph, Outcome } from "../graph/types.js";
import { compressedLayers } from "../methods/compressed-layers.js";
import { expandAs } from "../methods/expand.js";
import { inFloats, readPrecision } from "../methods/precision-record.js";
import { type Cost, cost } from "../ops/cost/cost.js";
import { type Agreement, compareWithOriginal } from "../runtime/agreement.js";
import { modelBytes } from "../runtime/model-bytes.js";
import { prepareReference } from "../runtime/reference.js";
import { saveVerified } from "../runtime/save-verified.js";
import type { Given, JobHooks, Place } from "./job.js";
import { type Times, timeNetworks } from "./time.js";
import { allowingHalf, referenceOf, verifyExact, verifyExactGraph } from "./verify.js";

export interface Rewritten {
  readonly graph: Graph;
  readonly outcomes: readonly Outcome[];
  readonly before: Cost;
  readonly after: Cost;
  readonly bytes: { readonly original: number | undefined; readonly written: number };
  /** With the file that was given, or with the network that it must be but for rounding. */
  readonly agreement: Agreement;
  /** How far from the file that was given, where the step may change it (half precision). */
  readonly change?: Agreement;
  /** Of the original file and of the written file, in turns. */
  readonly milliseconds: Times;
}

/**
 * Writes a graph that must compute what the given model computes; or what `rounded` computes, which may differ from it.
 * @throws FilterBasisError `verification-failed`
 */
export async function writeRewritten(
  given: Given,
  graph: Graph,
  outcomes: readonly Outcome[],
  output: string,
  place: Place,
  hooks: JobHooks = {},
  rounded?: Graph,
): Promise<Rewritten> {
  const reference = await referenceOf(given.file ?? given.graph, place);
  const { feeds, options } = reference;
  const exact =
    rounded === undefined
      ? await allowingHalf(reference, graph)
      : await prepareReference(rounded, { ...options, feeds });
  const before = cost(given.graph, place.inputs.shapes);
  const original = given.file === undefined ? undefined : await modelBytes(given.file);
  const saved = await saveVerified(graph, output, async (file) => {
    const agreement = await verifyExact(file, exact);
    const change = rounded && { change: await compareWithOriginal(file, reference, { kind: "approximate" }) };
    const times = await timeNetworks(given.file ?? given.graph, file, place, hooks);
    return { agreement, ...change, written: await modelBytes(file), times };
  });
  return {
    graph,
    outcomes,
    before,
    after: cost(graph, place.inputs.shapes),
    bytes: { original, written: saved.written },
    agreement: saved.agreement,
    ...(saved.change ? { change: saved.change } : {}),
    milliseconds: saved.times,
  };
}

/**
 * Gives every compressed layer its dense filters back.
 * @throws FilterBasisError `not-found` (no record), `unsupported` (nothing can be expanded)
 * @example
 * ```ts
 * import { basis, findInputs, loadModel, undoModel } from "filterbasis";
 *
 * const { graph } = basis({ keepParams: 0.5 })(await loadModel("model.onnx"));
 * const { after } = await undoModel({ graph }, "dense.onnx", { inputs: await findInputs(graph) });
 * console.log(after.weights);
 * ```
 */
export async function undoModel(given: Given, output: string, place: Place, hooks: JobHooks = {}): Promise<Rewritten> {
  const source = inFloats(given.graph);
  if (source !== given.graph) return undoInEightBits(given, source, output, place, hooks);
  const { graph, outcomes } = expandAs(given.graph, "computed");
  const [first] = outcomes;
  if (outcomes.every(({ applied }) => !applied))
    throw new FilterBasisError("unsupported", `nothing can be expanded (${first?.layer}: ${first?.reason})`);
  const stored = expandAs(given.graph, "stored").graph;
  if (weightBytes(stored) >= weightBytes(graph)) return writeRewritten(given, graph, outcomes, output, place, hooks);
  // Filters that are stored in half precision are rounded once more, as the file that was compressed had them. Before
  // that they must be the same function; what the rounding changes is told.
  await verifyExactGraph(graph, await referenceOf(given.file ?? given.graph, place));
  return writeRewritten(given, stored, outcomes, output, place, hooks, stored);
}

/** Of a file in eight bits: its float network, expanded. What rounding had changed stays changed. */
async function undoInEightBits(given: Given, source: Graph, output: string, place: Place, hooks: JobHooks) {
  const lost = (readPrecision(given.graph)?.lost ?? []).map(
    ({ name, reason }): Outcome => ({ pass: "undo", layer: name, applied: false, reason }),
  );
  const { graph, outcomes } = compressedLayers(source).length > 0 ? expandAs(source, "computed") : nothing(source);
  const all = [...outcomes, ...lost];
  if (all.every(({ applied }) => !applied))
    throw new FilterBasisError("unsupported", "nothing can be expanded: the model is in eight bits", {
      got: all.map(({ layer, reason }) => `${layer}: ${reason}`).join("; ") || "it has no record of a compression",
      cures: ["the float model that it was made from"],
    });
  return writeRewritten(given, graph, all, output, place, hooks, source);
}

const nothing = (graph: Graph) => ({ graph, outcomes: [] as readonly Outcome[] });

const weightBytes = ({ initializers }: Graph): number =>
  [...initializers.values()].reduce((sum, { data }) => sum + data.length, 0);

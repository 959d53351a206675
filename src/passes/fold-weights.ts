// Storing weights as layers read them: exporters leave a weight behind Transpose, Reshape, Mul, Add and the like of
// constants, where neither a compression nor the folding of a batch norm finds it.
import { nodeName } from "../graph/attributes.js";
import type { Graph, Node, Outcome, Pass, TensorData } from "../graph/types.js";
import { bytesChanged } from "./constant/growth.js";
import { layerConstants, weightAnalysis } from "./constant/weights.js";
import { dropUnread } from "./remove-unread.js";

const name = "fold-weights";

export interface FoldWeightsOptions {
  /**
   * Initializers that must stay what they are: bases and coefficients of layers that are compressed already. What is
   * computed from them stays too.
   */
  readonly keep?: ReadonlySet<string>;
  /** Whether they are stored though the model grows by it: what follows makes them smaller again. */
  readonly grow?: boolean;
}

/**
 * Computes the weights, biases and statistics of Conv, ConvTranspose, Gemm, MatMul and BatchNormalization that are made
 * from constants alone, and stores them under the names that the layers read, wherever the model does not grow by it
 * (with `grow`: everywhere). A quantised weight stays quantised, without `grow` a small constant that is repeated stays
 * small; outcomes say so.
 */
export function foldWeights({ keep = new Set(), grow = false }: FoldWeightsOptions = {}): Pass {
  return (graph) => {
    const wanted = layerConstants(graph).filter(({ value }) => graph.initializers.get(value) === undefined);
    if (wanted.length === 0) return { graph, outcomes: [] };
    const analysis = weightAnalysis(graph, keep);
    const candidates = new Map<string, Candidate>();
    const outcomes: Outcome[] = [];
    const report = (layer: string, reason: string, applied: boolean) =>
      outcomes.push({ pass: name, layer, applied, reason });
    for (const { layer: node, value, what } of wanted) {
      const found = analysis(value);
      if (found === undefined) continue;
      const layer = nodeName(node);
      if ("reason" in found) report(layer, `its ${what} ${found.reason}`, false);
      else {
        const key = found.node.outputs[0]!;
        const known = candidates.get(key) ?? { ...found, uses: [] };
        known.uses.push({ layer, what });
        candidates.set(key, known);
      }
    }
    const folded: Candidate[] = [];
    for (const group of related([...candidates.values()])) {
      const fits = grow || bytesChanged(graph, tensorsOf(group)) <= 0;
      for (const candidate of fits ? group : payingAlone(graph, group)) folded.push(candidate);
    }
    const done = new Set(folded);
    for (const candidate of candidates.values())
      for (const { layer, what } of candidate.uses)
        report(layer, `its ${what} ${sentence(graph, candidate, done.has(candidate))}`, done.has(candidate));
    return { graph: done.size === 0 ? graph : stored(graph, folded), outcomes };
  };
}

/**
 * A function that says of a value at a weight's place, where it is computed from constants, how: a clause whose subject
 * is the weight. Undefined for stored values and for those that depend on the inputs.
 */
export function weightReason(
  graph: Graph,
  keep: ReadonlySet<string> = new Set(),
): (value: string) => string | undefined {
  const analysis = weightAnalysis(graph, keep);
  return (value) => {
    const found = analysis(value);
    return found === undefined || "reason" in found ? found?.reason : sentence(graph, { ...found, uses: [] }, false);
  };
}

/** A node whose results are to be stored in its place. */
interface Candidate {
  readonly node: Node;
  readonly made: readonly TensorData[];
  /** The stored constants underneath. */
  readonly roots: ReadonlySet<string>;
  readonly operators: readonly string[];
  readonly uses: { readonly layer: string; readonly what: string }[];
}

const tensorsOf = (candidates: readonly Candidate[]): ReadonlyMap<Node, readonly TensorData[]> =>
  new Map(candidates.map(({ node, made }) => [node, made]));

/** Candidates in groups that have constants in common: stored together they may free what each alone does not. */
function related(candidates: readonly Candidate[]): readonly (readonly Candidate[])[] {
  const groupOf = new Map<string, Candidate[]>();
  const groups = new Set<Candidate[]>();
  for (const candidate of candidates) {
    const joined: Candidate[] = [];
    for (const root of candidate.roots) {
      const group = groupOf.get(root);
      if (group !== undefined && groups.delete(group)) joined.push(...group);
    }
    joined.push(candidate);
    groups.add(joined);
    for (const member of joined) for (const root of member.roots) groupOf.set(root, joined);
  }
  return [...groups];
}

/** Those of a group that make the model no larger, one after the other. */
function payingAlone(graph: Graph, group: readonly Candidate[]): readonly Candidate[] {
  const taken: Candidate[] = [];
  let bytes = 0;
  for (const candidate of group) {
    const changed = bytesChanged(graph, tensorsOf([...taken, candidate]));
    if (changed > bytes) continue;
    taken.push(candidate);
    bytes = changed;
  }
  return taken;
}

function sentence(graph: Graph, candidate: Candidate, applied: boolean): string {
  const operators = candidate.operators.join(", ");
  if (applied) return `was made from constants by ${operators} and is stored as it is read`;
  const grows = bytesChanged(graph, tensorsOf([candidate]));
  const made = `is made from constants by ${operators} at load`;
  return grows > 0
    ? `${made}: stored, it would make the file ${grows} bytes larger`
    : `${made}, and not stored (see foldWeights)`;
}

function stored(graph: Graph, folded: readonly Candidate[]): Graph {
  const gone = new Set(folded.map(({ node }) => node));
  const made = folded.flatMap(({ node, made: tensors }) =>
    tensors.map((tensor, at) => [node.outputs[at]!, tensor] as const),
  );
  const initializers = new Map([...graph.initializers, ...made]);
  const values = new Map(
    [...graph.values].filter(([value]) => !initializers.has(value) || graph.initializers.has(value)),
  );
  const nodes = graph.nodes.filter((node) => !gone.has(node));
  return dropUnread({ ...graph, nodes, values, initializers }, [
    ...folded.flatMap(({ node }) => [...node.inputs, ...node.outputs]),
  ]);
}

// A network made ready for eight bits: what it was quantised with before goes, layers are nodes with stored weights,
// and the operators' version has scales for each channel.
import { FilterBasisError } from "../errors/error.js";
import { nodeName } from "../graph/attributes.js";
import { withMetadata } from "../graph/edit.js";
import type { Graph, Outcome } from "../graph/types.js";
import { basesAsChains } from "../methods/basis-chains.js";
import { type ChainRecord, chainKey, readChains } from "../methods/chain-record.js";
import { expandBases } from "../methods/expand-bases.js";
import { chainsFault } from "../methods/find-chains.js";
import { chooseLayouts } from "../methods/layout.js";
import { inFloats, type LostLayer } from "../methods/precision-record.js";
import { prepareForRounding } from "../methods/prepare.js";
import { readRecord } from "../methods/record.js";
import { recordKey } from "../passes/compression-record.js";
import { quantisedCure } from "../passes/constant/weights.js";
import { foldBatchNorm } from "../passes/fold-batch-norm.js";
import { lowerBasisConv } from "../passes/lower-basis-conv.js";
import { joinMatrixBias } from "../passes/quantize/matrix-bias.js";
import { leastOpset } from "../passes/quantize/quantize.js";
import { stripQuantization } from "../passes/quantize/strip.js";
import { raiseOpset } from "../passes/raise-opset.js";
import { sequence } from "../passes/sequence.js";

/** Layers whose floats are no longer there. */
const inIntegers = new Set(["QLinearConv", "ConvInteger", "QLinearMatMul", "MatMulInteger"]);

/** A float network that can be quantised, and what it knows of the compression before. */
export interface FloatForm {
  readonly graph: Graph;
  readonly outcomes: readonly Outcome[];
  /** Compressed layers that are chains of the graph's nodes; its own metadata has no record of them. */
  readonly chains: readonly ChainRecord[];
  /** Others, with the reason why nothing is left of how they were compressed. */
  readonly lost: readonly LostLayer[];
}

/**
 * The float network that is quantised. It computes what the given one computes but for the rounding of pairs that it
 * had.
 * @throws FilterBasisError `unsupported` where its opset cannot be raised, or layers are in integers already
 */
export function floatForm(graph: Graph): FloatForm {
  const integer = graph.nodes.find(({ op, domain }) => domain === "" && inIntegers.has(op));
  if (integer !== undefined)
    throw new FilterBasisError("unsupported", "the model computes in integers already", {
      node: nodeName(integer),
      op: integer.op,
      cures: [quantisedCure],
    });
  const floats = stripQuantization(inFloats(graph)).graph;
  const writable = inWritableLayouts(floats);
  const lowered = lowerBasisConv(writable);
  // Layers are no longer what records say of them.
  const bare = withMetadata(lowered, { [recordKey]: undefined, [chainKey]: undefined });
  const prepared = sequence(prepareForRounding, foldBatchNorm)(bare);
  const { graph: raised, outcomes } = raiseOpset(prepared.graph);
  if ((raised.opsets.get("") ?? 1) < leastOpset) {
    const [why] = outcomes;
    throw new FilterBasisError("unsupported", "the model cannot compute in eight bits", {
      expected: `opset ${leastOpset}`,
      got: `opset ${graph.opsets.get("") ?? 1}; ${why?.layer ?? "model"}: ${why?.reason ?? "cannot be raised"}`,
      cures: [`export the model for opset ${leastOpset} or later`],
    });
  }
  const over = basesAsChains(floats, writable);
  const chains = [...(chainsFault(floats) === undefined ? readChains(floats) : []), ...over.chains];
  return { graph: joinMatrixBias(raised).graph, outcomes: prepared.outcomes, chains, lost: over.lost };
}

/** Filters that are rebuilt at load become stored ones; a grouped basis, repeated at load, one that is folded. */
function inWritableLayouts(graph: Graph): Graph {
  const layers = readRecord(graph)?.layers ?? [];
  if (layers.length === 0) return graph;
  if (layers.every(({ layout }) => layout === "dense")) return expandBases(graph, "computed").graph;
  return chooseLayouts(({ layout }) => (layout === "grouped" ? "batch-folded" : layout))(graph).graph;
}

// What was done to a model, layer by layer: one reader for every kind of layer that compression leaves in a graph. A
// kind says where its layers are, in words what they are, and how they are undone; nothing else tells kinds apart.
import type { SkippedLayer } from "../basis/convolution.js";
import { type BasisConv, basisConvs, layerName } from "../graph/basis-conv.js";
import { indexOf } from "../graph/graph-index.js";
import type { Graph, Node, PassResult } from "../graph/types.js";
import { type ChainRecord, describeChain } from "./chain-record.js";
import type { CodeRecord } from "./code-record.js";
import { codesFault, expandCodes, findCodes } from "./codes.js";
import { expandBases } from "./expand-bases.js";
import { expandChains } from "./expand-chains.js";
import { chainsFault, findChains } from "./find-chains.js";
import { basisOnlyReason } from "./layout.js";
import type { Precision } from "./store.js";

interface Common {
  readonly name: string;
  /** W [n, c, h, w]; of a fully connected layer [n, c]. */
  readonly filters: readonly number[];
  /** What stands in the layer's place, in a few words. */
  readonly description: string;
  /** Of the filters (a basis), or of the outputs on the calibration images (a chain); null where it is not known. */
  readonly error: number | null;
  /** Initializers of its factors, and of a bias within them. */
  readonly parameters: readonly string[];
  /** The nodes in its place; the last one stands for the layer. Empty where they are not what the record says. */
  readonly nodes: readonly Node[];
  /** Why it cannot become dense again, where that is known. */
  readonly reason?: string;
}

/**
 * A layer over a basis, as one node; a chain of ordinary nodes that the metadata tells of; or a convolution whose
 * filters are looked up in a codebook.
 */
export type CompressedLayer = Common &
  (
    | { readonly kind: "basis"; readonly layer: BasisConv }
    | { readonly kind: "chain"; readonly chain: ChainRecord }
    | { readonly kind: "code"; readonly code: CodeRecord }
  );

interface Kind {
  readonly read: (graph: Graph) => readonly CompressedLayer[];
  readonly expand: (graph: Graph, precision: Precision) => PassResult;
}

/** Everything that is known of a kind. */
export const kinds = {
  basis: { read: layersOverBases, expand: expandBases },
  chain: { read: chains, expand: expandChains },
  code: { read: codes, expand: expandCodes },
} as const satisfies Readonly<Record<CompressedLayer["kind"], Kind>>;

/**
 * All compressed layers of a graph. A record of chains that cannot be used has none: see `chainsFault`.
 * @example
 * ```ts
 * import { basis, chooseLayout, chooseLayouts, compressedLayers, expand, loadModel, readRecord } from "filterbasis";
 *
 * const { graph } = basis({ keepParams: 0.5 })(await loadModel("model.onnx"));
 * for (const layer of compressedLayers(graph)) console.log(layer);
 * const [first] = readRecord(graph).layers;
 * const grouped = chooseLayout(graph, first.name, "grouped"); // one layer
 * const dense = chooseLayouts(() => "dense")(grouped).graph; // all of them
 * console.log(expand(dense).graph.nodes.length); // without a trace of the compression
 * ```
 */
export function compressedLayers(graph: Graph): readonly CompressedLayer[] {
  return Object.values(kinds).flatMap(({ read }: Kind) => read(graph));
}

function layersOverBases(graph: Graph): readonly CompressedLayer[] {
  const found = basisConvs(graph.nodes);
  if (found.length === 0) return [];
  const { root } = indexOf(graph);
  // A basis part belongs to the convolution with its coefficients, which stands for the layer.
  const ends = new Map<string, Node>();
  if (found.some(({ layer }) => layer.provenance.partOf !== undefined))
    for (const node of graph.nodes)
      if (node.op === "Conv" && node.domain === "") ends.set(root(node.inputs[1] ?? ""), node);
  return found.map(({ node, layer }) => {
    const { outChannels, inChannels, kernel, provenance, splits, basisSize, basis, basisBias, coefficients } = layer;
    const { method, shared, error, partOf } = provenance;
    const end = partOf && ends.get(partOf.coefficients);
    const parts = `${splits} ${splits === 1 ? "split" : "splits"} x ${basisSize} basis filters`;
    return {
      ...{ kind: "basis", layer, name: layerName(layer), filters: [outChannels, inChannels, ...kernel], error },
      description: `method ${method}, ${parts}${shared === undefined ? "" : ` shared as ${shared}`}`,
      parameters: [basis, partOf?.coefficients ?? coefficients, basisBias].filter((value) => value !== "").map(root),
      nodes: end === undefined ? [node] : [node, end],
      ...(partOf ? { reason: basisOnlyReason } : {}),
    };
  });
}

function chains(graph: Graph): readonly CompressedLayer[] {
  if (chainsFault(graph) !== undefined) return [];
  return findChains(graph).map((found) => {
    const { chain } = found;
    const { n, c, kernel } = chain.shape;
    return {
      ...{ kind: "chain", chain, name: chain.name || chain.output, error: chain.error, parameters: chain.weights },
      filters: chain.kind === "conv" ? [n, c, ...kernel.slice(2 - chain.axes)] : [n, c],
      description: describeChain(chain),
      ...("reason" in found ? { nodes: [], reason: found.reason } : { nodes: found.nodes }),
    };
  });
}

function codes(graph: Graph): readonly CompressedLayer[] {
  if (codesFault(graph) !== undefined) return [];
  return findCodes(graph).map((found) => {
    const { code } = found;
    const { filters, description, error, parameters } = code;
    return {
      ...{ kind: "code", code, name: code.name || code.output, filters, description, error, parameters },
      ...("reason" in found ? { nodes: [], reason: found.reason } : { nodes: found.nodes }),
    };
  });
}

/** The nodes of compressed layers; for those that stand for their layer, its name and what was done to it. */
export function compressedNodes(graph: Graph): ReadonlyMap<Node, SkippedLayer | undefined> {
  const nodes = new Map<Node, SkippedLayer | undefined>();
  for (const { name, description, nodes: own, reason } of compressedLayers(graph)) {
    const dense = reason === undefined ? "; --undo gives its dense form back" : "";
    for (const node of own)
      nodes.set(
        node,
        node === own.at(-1) ? { name, reason: `it is compressed already (${description})${dense}` } : undefined,
      );
  }
  return nodes;
}

/** What was done to a model, in a sentence; undefined where nothing was. */
export function describeCompression(graph: Graph): string | undefined {
  const fault = chainsFault(graph) ?? codesFault(graph);
  const layers = compressedLayers(graph).map(({ name, description }) => `${name}: ${description}`);
  if (layers.length === 0) return fault;
  const shown =
    layers.length <= 4 ? layers.join("; ") : `${layers.slice(0, 3).join("; ")}; and ${layers.length - 3} more`;
  const told = `${layers.length} ${layers.length === 1 ? "layer is" : "layers are"} compressed already (${shown})`;
  return fault === undefined ? told : `${told}; ${fault}`;
}

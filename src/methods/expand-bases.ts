// Undoing layers over a basis: each becomes the one convolution that it stands for again, with the filters that
// basis and coefficients make together (the original's, less what was truncated, plus what was learned).
import { reconstruct } from "../basis/initialise.js";
import { makeNode } from "../graph/attributes.js";
import { type BasisConv, basisConvs, layerName } from "../graph/basis-conv.js";
import { type GraphIndex, indexOf, type Stored } from "../graph/graph-index.js";
import type { Graph, Node, Outcome, PassResult, TensorData } from "../graph/types.js";
import { numbers } from "../graph/values.js";
import type { CompressedLayer } from "./compressed-layers.js";
import { basisOnlyReason } from "./layout.js";
import type { Reconstructed } from "./method.js";
import { type Store, type StoredAs, storeFor } from "./store.js";

/**
 * The pass: every layer over a basis becomes one convolution. A layer with something between basis and coefficients,
 * or whose parts are not constant, is skipped and stays as it is.
 * @param precision the type that the coefficients are stored in, or the one that the model computes in: float16
 * behind a Cast to float32 takes half of the bytes, and rounds filters that the compressed layer never rounds
 */
export function expandBases(graph: Graph, precision: "stored" | "computed" = "stored"): PassResult {
  const constant = indexOf(graph).stored;
  const store = storeFor(graph);
  const filters = filterStore(store, precision);
  const replacements = new Map<Node, readonly Node[]>();
  const outcomes: Outcome[] = [];
  for (const { node, layer } of basisConvs(graph.nodes)) {
    const parts = partsOf(layer, constant);
    const applied = !("reason" in parts);
    const { splits: s, basisSize: m, outChannels: n, inChannels: c, kernel } = layer;
    const reason = applied ? `${s} x ${m} -> dense ${[n, c, ...kernel].join("x")}` : parts.reason;
    outcomes.push({ pass: "expand", layer: layerName(layer), applied, reason });
    if (!applied) continue;
    const total = parts.bias;
    const bias = total === undefined ? layer.bias : store.put(`${layerName(layer)}.bias`, total, [n], total.values);
    const inputs = [layer.input, filters(layer, parts), ...(bias ? [bias] : [])];
    // Among them what the original stated of kernel and groups, so that undoing gives back what was there, and no more.
    const own = Object.fromEntries(layer.attributes);
    replacements.set(node, [makeNode("Conv", inputs, [layer.output], own, { name: layer.name })]);
  }
  return { graph: replacements.size === 0 ? graph : store.replace(graph, replacements), outcomes };
}

/** The filters that a layer's basis and coefficients amount to, or why there are none. */
export function filtersOverBasis(graph: Graph, compressed: CompressedLayer): Reconstructed {
  if (compressed.kind !== "basis") return { reason: "it is not a layer over a basis" };
  const parts = partsOf(compressed.layer, indexOf(graph).stored);
  return "reason" in parts ? parts : { values: filtersOf(compressed.layer, parts) };
}

const filtersOf = (layer: BasisConv, { basis, coefficients }: Parts): Float64Array =>
  reconstruct(slicedBasis(basis.tensor, layer), numbers(coefficients.tensor), layer.basisSize);

interface Parts {
  readonly basis: Stored;
  readonly coefficients: Stored;
  /** Where the basis has a bias of its own: the sum of both biases. */
  readonly bias?: StoredAs & { readonly values: Float64Array };
}

function partsOf(layer: BasisConv, constant: GraphIndex["stored"]): Parts | { readonly reason: string } {
  if (layer.coefficients === "") return { reason: basisOnlyReason };
  const [basis, coefficients] = [constant(layer.basis), constant(layer.coefficients)];
  if (!basis || !coefficients) return { reason: "its basis or its coefficients are computed while the model runs" };
  if (layer.basisBias === "") return { basis, coefficients };
  const [own, shift] = [constant(layer.bias), constant(layer.basisBias)];
  if (!shift || (layer.bias !== "" && !own)) return { reason: "its bias is computed while the model runs" };
  return { basis, coefficients, bias: totalBias(layer, coefficients, own, shift) };
}

/** b + sum_g A[:, g] b_basis */
function totalBias(
  layer: BasisConv,
  coefficients: Stored,
  own: Stored | undefined,
  shift: Stored,
): NonNullable<Parts["bias"]> {
  const { outChannels: n, splits: s, basisSize: m } = layer;
  const [a, b] = [numbers(coefficients.tensor), numbers(shift.tensor)];
  const values = own ? Float64Array.from(numbers(own.tensor)) : new Float64Array(n);
  for (let o = 0; o < n; o++) for (let k = 0; k < s * m; k++) values[o] = values[o]! + a[o * s * m + k]! * b[k % m]!;
  return { ...typesOf(own ?? coefficients), values };
}

const typesOf = ({ tensor, type }: Stored): StoredAs => ({ stored: tensor.type, read: type });

/**
 * Stores filters, each once and as its coefficients are; layers that read the same basis and coefficients share
 * them.
 */
function filterStore(store: Store, precision: "stored" | "computed") {
  const known = new Map<string, string>();
  return (layer: BasisConv, parts: Parts): string => {
    const key = JSON.stringify([layer.basis, layer.coefficients, layer.slice]);
    const { stored, read } = typesOf(parts.coefficients);
    const types = { stored: precision === "stored" ? stored : read, read };
    const stem = layer.provenance.weight || `${layerName(layer)}.weight`;
    const shape = [layer.outChannels, layer.inChannels, ...layer.kernel];
    const value = known.get(key) ?? store.put(stem, types, shape, filtersOf(layer, parts));
    known.set(key, value);
    return value;
  };
}

/** The basis as a layer reads it, [m, p, h, w]. */
function slicedBasis(basis: TensorData, { slice }: BasisConv): Float64Array {
  const values = numbers(basis);
  if (!slice) return values;
  const [m, width, ...kernel] = basis.dims as [number, number, ...number[]];
  const kernelElements = kernel.reduce((product, size) => product * size, 1);
  const [from, to] = slice;
  const out = new Float64Array(m * (to - from) * kernelElements);
  for (let j = 0; j < m; j++)
    out.set(
      values.subarray((j * width + from) * kernelElements, (j * width + to) * kernelElements),
      j * (to - from) * kernelElements,
    );
  return out;
}

// Undoing a compression: every layer becomes the one convolution that it stands for again, with the filters that basis and
// coefficients make together (the original's, less what was truncated, plus what was learned).

import { reconstruct } from "../basis/initialise.js";
import { FilterBasisError } from "../errors/error.js";
import { int, makeNode } from "../graph/attributes.js";
import { type BasisConv, basisConvs, layerName } from "../graph/basis-conv.js";
import { freshNames, replaceNodes } from "../graph/edit.js";
import { indexOf, type Stored } from "../graph/graph-index.js";
import type { Graph, Node, Outcome, Pass, PassResult, TensorData } from "../graph/types.js";
import { dataTypes } from "../graph/types.js";
import { numbers, tensorOf } from "../graph/values.js";
import { dropUnread } from "../passes/remove-unread.js";
import { basisOnlyReason } from "./layout.js";
import { recordKey } from "./record.js";

/** The pass. A layer with something between basis and coefficients, or whose parts are not constant, is skipped and stays as it is. */
export const expand: Pass = (graph) => expandAs(graph, "stored");

/**
 * The same with filters in the type that the coefficients are stored in, or in the one that the model computes in: float16 behind a
 * Cast to float32 takes half of the bytes, and rounds filters that the compressed layer never rounds.
 */
export function expandAs(graph: Graph, precision: "stored" | "computed"): PassResult {
  const found = basisConvs(graph.nodes);
  if (found.length === 0) throw nothingToUndo(graph);
  const constant = indexOf(graph).stored;
  const store = storeFilters(graph, constant, precision);
  const replacements = new Map<Node, readonly Node[]>();
  const outcomes: Outcome[] = [];
  for (const { node, layer: site } of found) {
    const parts = partsOf(site, constant);
    const applied = !("reason" in parts);
    const { splits: s, basisSize: m, outChannels: n, inChannels: c, kernel } = site;
    const reason = applied ? `${s} x ${m} -> dense ${[n, c, ...kernel].join("x")}` : parts.reason;
    outcomes.push({ pass: "expand", layer: layerName(site), applied, reason });
    if (!applied) continue;
    const bias = parts.bias === undefined ? site.bias : store.bias(`${layerName(site)}.bias`, parts.bias);
    const inputs = [site.input, store.filters(site, parts), ...(bias ? [bias] : [])];
    // Among them what the original stated of kernel and groups, so that undoing gives back what was there, and no more.
    const own = Object.fromEntries(site.attributes);
    replacements.set(node, [makeNode("Conv", inputs, [site.output], own, { name: site.name })]);
  }
  const replaced = replaceNodes(graph, replacements, store.initializers);
  const withCasts = { ...replaced, nodes: [...store.casts, ...replaced.nodes] };
  const read = [...replacements.keys()].flatMap(({ inputs }) => inputs.slice(1));
  return { graph: dropUnread(withCasts, read), outcomes };
}

function nothingToUndo(graph: Graph): FilterBasisError {
  const field = `metadata.${recordKey}`;
  if (graph.metadata.has(recordKey))
    return new FilterBasisError("malformed", "the model does not fit its record of a compression", { field });
  return new FilterBasisError("not-found", "the model has no record of a compression: there is nothing to undo", { field });
}

interface Parts {
  readonly basis: Stored;
  readonly coefficients: Stored;
  /** Where the basis has a bias of its own: the sum of both biases. */
  readonly bias?: TensorData;
}

function partsOf(site: BasisConv, constant: (name: string) => Stored | undefined): Parts | { readonly reason: string } {
  if (site.coefficients === "") return { reason: basisOnlyReason };
  const [basis, coefficients] = [constant(site.basis), constant(site.coefficients)];
  if (!basis || !coefficients) return { reason: "its basis or its coefficients are computed while the model runs" };
  if (site.basisBias === "") return { basis, coefficients };
  const [own, shift] = [constant(site.bias)?.tensor, constant(site.basisBias)?.tensor];
  if (!shift || (site.bias !== "" && !own)) return { reason: "its bias is computed while the model runs" };
  return { basis, coefficients, bias: totalBias(site, coefficients.tensor, own, shift) };
}

/** b + sum_g A[:, g] b_basis */
function totalBias(site: BasisConv, coefficients: TensorData, own: TensorData | undefined, shift: TensorData): TensorData {
  const { outChannels: n, splits: s, basisSize: m } = site;
  const [a, b] = [numbers(coefficients), numbers(shift)];
  const values = own ? Float64Array.from(numbers(own)) : new Float64Array(n);
  for (let o = 0; o < n; o++) for (let k = 0; k < s * m; k++) values[o] = values[o]! + a[o * s * m + k]! * b[k % m]!;
  return tensorOf(own?.type ?? coefficients.type, [n], values);
}

/** Collects filters, each stored once and as its coefficients are; layers that read the same basis and coefficients share them. */
function storeFilters(graph: Graph, constant: (name: string) => Stored | undefined, precision: "stored" | "computed") {
  const fresh = freshNames(graph);
  const initializers = new Map<string, TensorData>();
  const casts: Node[] = [];
  const stored = new Map<string, string>();
  const filters = (site: BasisConv, { basis, coefficients }: Parts): string => {
    const key = JSON.stringify([site.basis, site.coefficients, site.slice]);
    const known = stored.get(key);
    if (known !== undefined) return known;
    const computed = constant(site.coefficients)?.type ?? coefficients.tensor.type;
    const type = precision === "stored" ? coefficients.tensor.type : computed;
    const name = fresh(site.provenance.weight || `${layerName(site)}.weight`);
    const shape = [site.outChannels, site.inChannels, ...site.kernel];
    const values = reconstruct(slicedBasis(basis.tensor, site), numbers(coefficients.tensor), site.basisSize);
    initializers.set(name, tensorOf(type, shape, values));
    const value = computed === type ? name : fresh(`${name}.cast`);
    if (value !== name) casts.push(makeNode("Cast", [name], [value], { to: int(dataTypes.indexOf(computed) + 1) }));
    stored.set(key, value);
    return value;
  };
  const bias = (stem: string, tensor: TensorData): string => {
    const name = fresh(stem);
    initializers.set(name, tensor);
    return name;
  };
  return { initializers, casts, filters, bias };
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

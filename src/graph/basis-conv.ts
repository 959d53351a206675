// A convolution over a split basis as one node, `filterbasis::BasisConv`:
//
//   inputs      X [N, c, ...], B [m, p, k...] (or wider, see `slice`), A [n, s m, 1...] or "", bias [n] or "", basis bias [m] or ""
//   output      [N, n, ...]; without A the basis part alone, [N, s m, ...]: channel g m + j is split g, basis filter j
//   attributes  splits s, basis_size m, shape [n, c, k...], slice, layout; strides, pads, dilations, auto_pad of the convolution that it stands
//               for; and where it comes from: method, error, shared, weight, and for a basis part the layer that it belongs to
//
// It lives in memory only. Files hold ordinary ONNX nodes in the node's layout, and a record of it
// (passes/lower-basis-conv.ts, passes/raise-basis-conv.ts). Its domain needs no import.
import { FilterBasisError } from "../errors/error.js";
import { int, ints, makeNode, nodeName, readInt, readInts, readString, string } from "./attributes.js";
import type { Attribute, Node } from "./types.js";

/** The layouts: how the node is written as ONNX, and at what speed it so runs (passes/basis-conv-nodes.ts). */
export const layouts = ["split", "batch-folded", "grouped", "dense"] as const;
export type Layout = (typeof layouts)[number];

/** A convolution over a basis, by the names of its values. */
export interface BasisConvolution {
  /**
   * Names of nodes and values inside begin with this where it is written as ONNX; the last node gets the name itself.
   */
  readonly name: string;
  /** [N, c, ...] */
  readonly input: string;
  /** [N, n, ...]; of a basis part [N, s m, ...]. */
  readonly output: string;
  /** B [m, p, h, w] (or wider, see `slice`). */
  readonly basis: string;
  /** A [n, s m, 1, 1]; "" for the basis part alone. */
  readonly coefficients: string;
  /** [n], or "" for none. */
  readonly bias: string;
  /** [m], the same for every split, or "" for none. */
  readonly basisBias: string;
  readonly splits: number;
  readonly basisSize: number;
  readonly outChannels: number;
  readonly inChannels: number;
  readonly kernel: readonly number[];
  /** Which channels of a wider basis are read: [from, to). */
  readonly slice: readonly [number, number] | null;
  /**
   * strides, pads, dilations, auto_pad of the original; and what it stated of kernel and groups, which says nothing
   * new.
   */
  readonly attributes: ReadonlyMap<string, Attribute>;
}

/** Where a node comes from. */
interface Provenance {
  readonly method: string;
  /** ||W - B A||_F / ||W||_F when it was compressed; null for a basis that was not made from weights. */
  readonly error: number | null;
  /** Name of the group that shares the basis. */
  readonly shared?: string;
  /** Name of the original filters. */
  readonly weight: string;
  /**
   * Of a basis part: the layer's name and output, and the initializer of its coefficients, which another convolution
   * reads.
   */
  readonly partOf?: { readonly name: string; readonly output: string; readonly coefficients: string };
}

/** The node as plain data. */
export interface BasisConv extends BasisConvolution {
  readonly layout: Layout;
  readonly provenance: Provenance;
}

export const basisConvDomain = "filterbasis";
const basisConvOp = "BasisConv";

/** The layout that is really written: with one split the first three are the same. */
export function canonicalLayout(layout: Layout, splits: number): Layout {
  return splits === 1 && layout !== "dense" ? "split" : layout;
}

/** Attributes of the node's own; all others are the convolution's. */
export const basisConvAttributes = {
  splits: "int",
  basis_size: "int",
  shape: "ints",
  slice: "ints",
  layout: "string",
  method: "string",
  error: "float",
  shared: "string",
  weight: "string",
  layer: "string",
  layer_output: "string",
  coefficients: "string",
} as const satisfies Readonly<Record<string, Attribute["kind"]>>;

export function makeBasisConv(layer: BasisConv): Node {
  const { splits, basisSize, outChannels, inChannels, kernel, slice, layout, attributes } = layer;
  const { method, error, shared, weight, partOf } = layer.provenance;
  const own: Record<string, Attribute> = {
    splits: int(splits),
    basis_size: int(basisSize),
    shape: ints([outChannels, inChannels, ...kernel]),
    ...(slice && { slice: ints(slice) }),
    layout: string(canonicalLayout(layout, splits)),
    method: string(method),
    ...(error !== null && { error: { kind: "float", value: error } as const }),
    ...(shared !== undefined && { shared: string(shared) }),
    weight: string(weight),
    ...(partOf && {
      layer: string(partOf.name),
      layer_output: string(partOf.output),
      coefficients: string(partOf.coefficients),
    }),
  };
  const inputs = [layer.input, layer.basis, layer.coefficients, layer.bias, layer.basisBias];
  while (inputs.at(-1) === "") inputs.pop();
  const all = { ...Object.fromEntries(foreignAttributes(attributes)), ...own };
  return makeNode(basisConvOp, inputs, [layer.output], all, { name: layer.name, domain: basisConvDomain });
}

function foreignAttributes(attributes: ReadonlyMap<string, Attribute>): ReadonlyMap<string, Attribute> {
  return new Map([...attributes].filter(([key]) => !Object.hasOwn(basisConvAttributes, key)));
}

/** What of a convolution's attributes matters for a layer over a basis: all but kernel and groups. */
export function windowAttributes(attributes: ReadonlyMap<string, Attribute>): ReadonlyMap<string, Attribute> {
  return new Map([...foreignAttributes(attributes)].filter(([key]) => key !== "group" && key !== "kernel_shape"));
}

/** A model may define an operator of this very name itself: that one lacks the attributes. */
export function isBasisConv(node: Node): boolean {
  const { domain, op, attributes } = node;
  return domain === basisConvDomain && op === basisConvOp && attributes.has("basis_size") && attributes.has("layout");
}

/**
 * Reads a node; undefined for any other operator.
 * @throws FilterBasisError `invalid-graph` for attributes that contradict each other
 */
export function readBasisConv(node: Node): BasisConv | undefined {
  if (!isBasisConv(node)) return undefined;
  const [input = "", basis = "", coefficients = "", bias = "", basisBias = ""] = node.inputs;
  const [outChannels = 0, inChannels = 0, ...kernel] = readInts(node, "shape", []);
  const slice = readInts(node, "slice", undefined);
  const error = node.attributes.get("error");
  const shared = readString(node, "shared", undefined);
  const partOf = readString(node, "layer", undefined);
  const layer: BasisConv = {
    ...{ name: node.name, input, output: node.outputs[0] ?? "", basis, coefficients, bias, basisBias },
    splits: readInt(node, "splits", 1),
    basisSize: readInt(node, "basis_size", 0),
    ...{ outChannels, inChannels, kernel },
    slice: slice === undefined ? null : [slice[0] ?? -1, slice[1] ?? -1],
    attributes: foreignAttributes(node.attributes),
    layout: readString(node, "layout", "dense") as Layout,
    provenance: {
      method: readString(node, "method", "basis"),
      error: error?.kind === "float" ? error.value : null,
      ...(shared !== undefined && { shared }),
      weight: readString(node, "weight", ""),
      ...(partOf !== undefined && {
        partOf: {
          name: partOf,
          output: readString(node, "layer_output", ""),
          coefficients: readString(node, "coefficients", ""),
        },
      }),
    },
  };
  const fault = contradiction(layer);
  if (fault === undefined) return layer;
  throw new FilterBasisError("invalid-graph", `a convolution over a basis ${fault}`, {
    node: nodeName(node),
    op: node.op,
  });
}

function contradiction(layer: BasisConv): string | undefined {
  const { outChannels: n, inChannels: c, kernel, splits: s, basisSize: m, slice, layout, coefficients } = layer;
  if ([n, c, s, m, ...kernel].some((size) => !Number.isSafeInteger(size) || size < 1) || kernel.length === 0)
    return "has sizes that are none";
  if (c % s !== 0) return `has ${s} splits, which do not divide ${c} channels`;
  if (slice && (slice[0] < 0 || slice[1] - slice[0] !== c / s)) return `reads a slice of other than ${c / s} channels`;
  if (!layouts.includes(layout)) return `has no layout ${JSON.stringify(layout)}`;
  return coefficients === "" && layout === "dense" ? "cannot be dense without its coefficients" : undefined;
}

/** All such nodes of a graph, with what they say. */
export function basisConvs(nodes: readonly Node[]): readonly { readonly node: Node; readonly layer: BasisConv }[] {
  return nodes.flatMap((node) => {
    const layer = readBasisConv(node);
    return layer === undefined ? [] : [{ node, layer }];
  });
}

/** How a layer is called: its name, or its output where it has none. */
export function layerName({ name, output, provenance: { partOf } }: BasisConv): string {
  return partOf === undefined ? name || output : partOf.name || partOf.output;
}

// How a convolution over a split basis is written as ONNX: four layouts that compute the same numbers at different
// speeds.
//
//   split         s convolutions that read one weight, concatenated, then 1 x 1         (the paper's layout)
//   batch-folded  [N, c, ...] -> [N s, p, ...], one convolution, -> [N, s m, ...], 1 x 1
//   grouped       one grouped convolution whose weight is the basis repeated s times at load, then 1 x 1
//   dense         the filters rebuilt from basis and coefficients at load, then the original convolution
//
// With s = 1 the first three are one and the same: a convolution, then 1 x 1. The convolution over the basis carries
// stride, padding and dilation; the 1 x 1 carries the bias. Every shape is written with 0 and -1, so that batch and
// image size stay free.
import { int, int64Tensor, ints, makeNode, tensor } from "../graph/attributes.js";
import { type BasisConvolution, canonicalLayout, type Layout } from "../graph/basis-conv.js";
import { type Attribute, type DataType, dataTypes, type Node } from "../graph/types.js";

/** What the writer needs beside the layer. */
export interface LayoutContext {
  /** Gives a name that is not taken yet. */
  readonly fresh: (stem: string) => string;
  /** Version of the standard operators: Split and Slice changed between versions. */
  readonly opset: number;
  /** The type that a value (the coefficients) has in the model; float32 where nothing is said. */
  readonly typeOf?: ((value: string) => DataType | undefined) | undefined;
}

/**
 * The nodes of a layer in the given layout, in order. Slices, shapes and repeats are Constant nodes and foldable at
 * load.
 */
export function layoutNodes(layer: BasisConvolution, layout: Layout, context: LayoutContext): readonly Node[] {
  const writer = new Writer(layer.name, context);
  const basis = slicedBasis(layer, writer);
  if (layout === "dense") return denseNodes(layer, basis, writer);
  const isPart = layer.coefficients === "";
  const middle = basisNodes(
    layer,
    basis,
    canonicalLayout(layout, layer.splits),
    writer,
    isPart ? layer.output : undefined,
  );
  if (!isPart) combineNode(layer, middle, writer);
  return writer.nodes;
}

/**
 * Longer names of layers give values and nodes inside only their end: with a dozen of them, some files would come out
 * larger.
 */
const longest = 40;

const stemOf = (layer: string): string =>
  layer.length <= longest ? layer : [...(layer.split(/[/;]/).at(-1) || layer)].slice(-longest).join("");

/** Collects nodes under fresh names. */
class Writer {
  readonly nodes: Node[] = [];
  readonly opset: number;
  readonly typeOf: (value: string) => DataType | undefined;
  readonly #stem: string;
  readonly #fresh: (stem: string) => string;

  constructor(layer: string, { fresh, opset, typeOf = () => undefined }: LayoutContext) {
    this.#stem = stemOf(layer);
    this.#fresh = fresh;
    this.opset = opset;
    this.typeOf = typeOf;
  }

  value(part: string): string {
    return this.#fresh(`${this.#stem}/${part}`);
  }

  add(
    op: string,
    inputs: readonly string[],
    part: string,
    attributes: Record<string, Attribute> = {},
    output?: string,
  ): string {
    // Names of nodes have to differ too: a value that is made here lends its own.
    const name = this.value(part);
    this.nodes.push(makeNode(op, inputs, [output ?? name], attributes, { name }));
    return output ?? name;
  }

  /** An int64 constant. */
  numbers(part: string, values: readonly number[]): string {
    return this.add("Constant", [], part, { value: tensor(int64Tensor([values.length], values)) });
  }

  cast(value: string, part: string, type: DataType): string {
    return this.add("Cast", [value], part, { to: int(dataTypes.indexOf(type) + 1) });
  }

  reshape(value: string, part: string, shape: readonly number[]): string {
    return this.add("Reshape", [value, this.numbers(`${part}.shape`, shape)], part);
  }

  /** The tensor `times` times, one after the other along its first axis. */
  repeat(value: string, part: string, times: number, rank: number): string {
    return this.add(
      "Tile",
      [value, this.numbers(`${part}.repeats`, [times, ...Array<number>(rank - 1).fill(1)])],
      part,
    );
  }
}

function slicedBasis({ basis, slice }: BasisConvolution, writer: Writer): string {
  if (!slice) return basis;
  const [from, to] = slice;
  if (writer.opset < 10)
    return writer.add("Slice", [basis], "slice", { axes: ints([1]), ends: ints([to]), starts: ints([from]) });
  const [start, end, axis] = [
    writer.numbers("slice.from", [from]),
    writer.numbers("slice.to", [to]),
    writer.numbers("slice.axis", [1]),
  ];
  return writer.add("Slice", [basis, start, end, axis], "slice");
}

function convolve(
  layer: BasisConvolution,
  writer: Writer,
  parts: { inputs: readonly string[]; part: string; groups: number; output?: string | undefined },
): string {
  const attributes = {
    ...Object.fromEntries(layer.attributes),
    group: int(parts.groups),
    kernel_shape: ints(layer.kernel),
  };
  const inputs = parts.inputs.at(-1) === "" ? parts.inputs.slice(0, -1) : parts.inputs;
  return writer.add("Conv", inputs, parts.part, attributes, parts.output);
}

function basisNodes(layer: BasisConvolution, basis: string, layout: Layout, writer: Writer, output?: string): string {
  const { input, basisBias, splits: s, basisSize: m, inChannels: c, kernel } = layer;
  const free = kernel.map(() => 0);
  if (s === 1) return convolve(layer, writer, { inputs: [input, basis, basisBias], part: "basis", groups: 1, output });
  if (layout === "grouped") {
    const weight = writer.repeat(basis, "repeated", s, kernel.length + 2); // [m, p, ...] -> [s m, p, ...]
    const bias = basisBias && writer.repeat(basisBias, "repeated.bias", s, 1);
    return convolve(layer, writer, { inputs: [input, weight, bias], part: "basis", groups: s, output });
  }
  if (layout === "batch-folded") {
    const folded = writer.reshape(input, "fold", [-1, c / s, ...free]); // [N, c, ...] -> [N s, p, ...]
    const made = convolve(layer, writer, { inputs: [folded, basis, basisBias], part: "basis", groups: 1 }); // [N s, m, ...]
    const shape = writer.numbers("unfold.shape", [-1, s * m, ...free]);
    return writer.add("Reshape", [made, shape], "unfold", {}, output);
  }
  const pieces = Array.from({ length: s }, (_, g) => writer.value(`split.${g}`));
  const sizes = Array<number>(s).fill(c / s);
  const splitInputs = writer.opset < 13 ? [input] : [input, writer.numbers("split.sizes", sizes)];
  const splitAttributes = { axis: int(1), ...(writer.opset < 13 ? { split: ints(sizes) } : {}) };
  writer.nodes.push(makeNode("Split", splitInputs, pieces, splitAttributes, { name: writer.value("split") }));
  const made = pieces.map((piece, g) =>
    convolve(layer, writer, { inputs: [piece, basis, basisBias], part: `basis.${g}`, groups: 1 }),
  );
  return writer.add("Concat", made, "concat", { axis: int(1) }, output);
}

/** The convolution with the coefficients, which ends every layout but dense. */
function combineNode(
  { name, coefficients, bias, kernel, output }: BasisConvolution,
  middle: string,
  writer: Writer,
): void {
  const inputs = [middle, coefficients, ...(bias ? [bias] : [])];
  writer.nodes.push(makeNode("Conv", inputs, [output], { kernel_shape: ints(kernel.map(() => 1)) }, { name }));
}

/**
 * W[o, g p + i, y, x] = sum_j A[o, g m + j] B[j, i, y, x]: [(n s) x m] [m x (p h w)], read as [n, c, h, w]. Half
 * precision is multiplied in float32 and rounded once: ONNX Runtime has no product of half matrices on a CPU, and would
 * leave it for every run.
 */
function denseNodes(layer: BasisConvolution, basis: string, writer: Writer): readonly Node[] {
  const { splits: s, basisSize: m, outChannels: n, inChannels: c, kernel } = layer;
  const type = writer.typeOf(layer.coefficients);
  const narrow = type === "float16" || type === "bfloat16" ? type : undefined;
  const widened = (value: string, part: string) => (narrow ? writer.cast(value, `${part}.float`, "float32") : value);
  const rounded = (value: string, part: string) => (narrow ? writer.cast(value, `${part}.half`, narrow) : value);
  const coefficients = widened(layer.coefficients, "coefficients");
  const rows = writer.reshape(coefficients, "coefficients.rows", [n * s, m]);
  const columns = writer.reshape(widened(basis, "basis"), "basis.rows", [m, -1]);
  const product = writer.add("MatMul", [rows, columns], "product");
  const weight = rounded(writer.reshape(product, "filters", [n, c, ...kernel]), "filters");
  let bias = layer.bias;
  if (layer.basisBias) {
    // Each split's basis adds its bias before the coefficients weigh it: sum_g A[:, g] b.
    const basisBias = widened(layer.basisBias, "basis.bias");
    const column = writer.reshape(writer.repeat(basisBias, "repeated.bias", s, 1), "repeated.column", [s * m, 1]);
    const wide = writer.reshape(coefficients, "coefficients.wide", [n, s * m]);
    const shift = rounded(
      writer.reshape(writer.add("MatMul", [wide, column], "bias.column"), "bias.basis", [n]),
      "bias.basis",
    );
    bias = bias ? writer.add("Add", [bias, shift], "bias") : shift;
  }
  const attributes = { ...Object.fromEntries(layer.attributes), group: int(1), kernel_shape: ints(kernel) };
  const inputs = [layer.input, weight, ...(bias ? [bias] : [])];
  writer.nodes.push(makeNode("Conv", inputs, [layer.output], attributes, { name: layer.name }));
  return writer.nodes;
}

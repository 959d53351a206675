// How far a network looks: which pixels of its input one pixel of its output can depend on, found from the graph.
import { readInt, readInts, readString, siteName } from "../graph/attributes.js";
import { isBasisConv } from "../graph/basis-conv.js";
import { trainingMode } from "../graph/batch-norm.js";
import type { Graph, Node } from "../graph/types.js";
import { numbers } from "../graph/values.js";
import { inferShapes } from "../ops/infer.js";

/** In input pixels, along both axes. */
export interface ReceptiveField {
  /** Pixels before (left of, above) the place of an output pixel that it may depend on, and after it. */
  readonly before: number;
  readonly after: number;
  /** Tiles must begin at multiples of this, so that strided layers see the same pixels together. */
  readonly period: number;
  /** Why the network looks at the whole picture, where it does: then no overlap makes tiles exact. */
  readonly unbounded?: string;
}

/** A map inside the network: pixel o depends on input pixels from o * pitch + low to o * pitch + high. */
interface Reach {
  readonly pitch: number;
  readonly low: number;
  readonly high: number;
}

/** What happens to a map of this reach; a text says why it cannot be told or has no bound. */
type Rule = (node: Node, reach: Reach, context: Context) => Reach | string;

interface Context {
  readonly opset: number;
  readonly rank: (name: string) => number | undefined;
  readonly dims: (name: string) => readonly (number | string | null)[] | undefined;
  readonly constant: (name: string | undefined) => readonly number[] | undefined;
}

const pointwise = new Set(
  (
    "Identity Dropout Cast Relu LeakyRelu PRelu Elu Selu Celu Gelu Sigmoid HardSigmoid HardSwish Mish Softplus Softsign Tanh Clip Abs Neg Exp Log Sqrt Erf Floor Ceil Round Reciprocal Sign " +
    "Add Sub Mul Div Pow Min Max Sum Mean Where Equal Greater Less GreaterOrEqual LessOrEqual And Or Not"
  ).split(" "),
);

/**
 * The receptive field of the first output in the first input, a picture [N, C, H, W]. Convolutions, pooling, pixel shuffle, resizing by constant
 * factors, padding and everything elementwise are followed; values that come only from sizes are not pixels. Pooling over the whole picture,
 * resizing to computed sizes, and operators not known here are unbounded, and the reason names the node.
 */
export function receptiveField(graph: Graph): ReceptiveField {
  const input = graph.inputs.find(({ name }) => !graph.initializers.has(name))?.name ?? "";
  const shapes = inferShapes(graph, new Map());
  const dims = (name: string) => shapes.get(name)?.dims;
  const constants = new Map<string, readonly number[]>();
  const constant = (name: string | undefined): readonly number[] | undefined => {
    if (name === undefined || name === "") return undefined;
    const tensor = graph.initializers.get(name);
    return constants.get(name) ?? (tensor && tensor.type !== "string" ? [...numbers(tensor)] : undefined);
  };
  const context: Context = { opset: graph.opsets.get("") ?? 1, dims, constant, rank: (name) => dims(name)?.length };
  const reaches = new Map<string, Reach>([[input, { pitch: 1, low: 0, high: 0 }]]);
  let period = 1;
  for (const node of graph.nodes) {
    const value = node.op === "Constant" ? node.attributes.get("value") : undefined;
    if (value?.kind === "tensor" && value.value.type !== "string") constants.set(node.outputs[0]!, [...numbers(value.value)]);
    const seen = node.inputs.flatMap((name) => reaches.get(name) ?? []);
    if (seen.length === 0 || node.op === "Shape" || node.op === "Size") continue;
    const joined = join(seen);
    const rule = isBasisConv(node) ? slide : node.domain === "" ? rules[node.op] : undefined;
    const result =
      joined === undefined
        ? "it joins maps of different scale"
        : rule
          ? rule(node, joined, context)
          : `how far the operator ${node.op} looks is not known`;
    if (typeof result === "string") return { before: 0, after: 0, period: 1, unbounded: `node ${siteName(node)}: ${result}` };
    period = leastCommonMultiple(period, result.pitch);
    for (const output of node.outputs) reaches.set(output, result);
  }
  const end = reaches.get(graph.outputs[0]?.name ?? "");
  if (end === undefined) return { before: 0, after: 0, period: 1, unbounded: "the output does not depend on the picture" };
  return { before: Math.max(0, Math.ceil(-end.low)), after: Math.max(0, Math.ceil(end.high)), period };
}

function join(reaches: readonly Reach[]): Reach | undefined {
  const pitch = reaches[0]!.pitch;
  if (reaches.some((reach) => Math.abs(reach.pitch - pitch) > 1e-9)) return undefined;
  return { pitch, low: Math.min(...reaches.map(({ low }) => low)), high: Math.max(...reaches.map(({ high }) => high)) };
}

/** Output pixel o reads pixels o * stride + first .. o * stride + last of a map. */
function windowed({ pitch, low, high }: Reach, stride: number, first: number, last: number): Reach {
  return { pitch: pitch * stride, low: low + first * pitch, high: high + last * pitch };
}

/** The window of a convolution or pooling along the axis where it is widest; both axes must have one stride. */
const slide: Rule = (node, reach, { dims }) => {
  const kernel = readInts(
    node,
    "kernel_shape",
    dims(node.inputs[1] ?? "")
      ?.slice(2)
      .map(Number),
  );
  if (kernel === undefined || kernel.length !== 2) return "it is not two-dimensional";
  const strides = readInts(node, "strides", [1, 1]);
  const dilations = readInts(node, "dilations", [1, 1]);
  if (strides[0] !== strides[1]) return "its strides differ";
  if (readInt(node, "ceil_mode", 0) !== 0) return "its size is rounded up";
  const spans = kernel.map((size, axis) => (size - 1) * dilations[axis]!);
  const auto = readString(node, "auto_pad", "NOTSET");
  if (auto !== "NOTSET" && auto !== "VALID" && strides[0] !== 1) return "its padding depends on the size of the picture";
  const same = auto === "SAME_UPPER" ? spans.map((span) => Math.floor(span / 2)) : spans.map((span) => Math.ceil(span / 2));
  const pads = auto === "NOTSET" ? readInts(node, "pads", [0, 0, 0, 0]) : auto === "VALID" ? [0, 0, 0, 0] : same;
  const before = Math.max(pads[0]!, pads[1]!);
  const after = Math.max(spans[0]! - pads[0]!, spans[1]! - pads[1]!);
  return windowed(reach, strides[0]!, -before, after);
};

/** Output pixel o is made of pixels (o + pad - t) / stride, t = 0 .. span. */
const transposed: Rule = (node, { pitch, low, high }, { dims }) => {
  const kernel = readInts(
    node,
    "kernel_shape",
    dims(node.inputs[1] ?? "")
      ?.slice(2)
      .map(Number),
  );
  const strides = readInts(node, "strides", [1, 1]);
  if (kernel === undefined || kernel.length !== 2 || strides[0] !== strides[1])
    return "it is not two-dimensional with one stride";
  if (readString(node, "auto_pad", "NOTSET") !== "NOTSET" || readInts(node, "output_shape", undefined))
    return "its padding depends on the size of the picture";
  const dilations = readInts(node, "dilations", [1, 1]);
  const pads = readInts(node, "pads", [0, 0, 0, 0]);
  const stride = strides[0]!;
  const spans = kernel.map((size, axis) => (size - 1) * dilations[axis]!);
  const first = Math.min(pads[0]! - spans[0]!, pads[1]! - spans[1]!) / stride;
  const last = Math.max(pads[0]!, pads[1]!) / stride;
  return { pitch: pitch / stride, low: low + first * pitch, high: high + last * pitch };
};

/** Pixel (o + 0.5) / factor - 0.5 of the map, and as many beside it as the interpolation takes. */
const resize: Rule = (node, { pitch, low, high }, { constant }) => {
  const scales = constant(node.inputs[node.op === "Upsample" ? 1 : 2]);
  if (scales?.length !== 4 || scales[0] !== 1 || scales[1] !== 1 || scales[2] !== scales[3])
    return "it resizes to a size that is computed from the picture's";
  const factor = scales[2]!;
  if (readInt(node, "antialias", 0) !== 0 && factor < 1) return "it is antialiased";
  if (readString(node, "coordinate_transformation_mode", "half_pixel") === "align_corners")
    return "its grid depends on the size of the picture";
  const taps = { nearest: 1, linear: 1, cubic: 2 }[readString(node, "mode", "nearest")] ?? 2;
  return { pitch: pitch / factor, low: low - (taps + 0.5) * pitch, high: high + (taps + 0.5) * pitch };
};

const spatialAxes = (node: Node, axes: readonly number[] | undefined, { rank }: Context): boolean => {
  const size = rank(node.inputs[0]!) ?? 4;
  return axes === undefined || axes.some((axis) => (axis + size) % size >= size - 2);
};

/** A sum or mean over channels is pointwise; over rows or columns it takes in the whole picture. */
const reduce: Rule = (node, reach, context) => {
  const axes = readInts(node, "axes", context.constant(node.inputs[1]));
  return spatialAxes(node, axes, context) ? "it looks at the whole picture" : reach;
};

const alongChannels: Rule = (node, reach, context) => {
  const axis = readInt(node, "axis", node.op === "Concat" ? 1 : node.op === "Split" ? 0 : -1);
  return spatialAxes(node, [axis], context) ? "it works along rows or columns" : reach;
};

/** Reshapes that leave rows and columns alone (a folded basis convolution, a channel shuffle). */
const reshape: Rule = (node, reach, { dims }) => {
  const [from, to] = [dims(node.inputs[0]!), dims(node.outputs[0]!)];
  const kept = from && to && [1, 2].every((end) => from.at(-end) !== null && from.at(-end) === to.at(-end));
  return kept ? reach : "it moves rows and columns";
};

const slice: Rule = (node, reach, context) => {
  const axes = readInts(node, "axes", context.constant(node.inputs[3]));
  return spatialAxes(node, axes, context) ? "it cuts rows or columns" : reach;
};

const pad: Rule = (node, reach, { constant }) => {
  const pads = readInts(node, "pads", constant(node.inputs[1]));
  if (pads?.length !== 8 || constant(node.inputs[3]) !== undefined) return "its padding is computed";
  const [, , top = 0, left = 0] = pads;
  return windowed(reach, 1, -Math.max(top, left), -Math.min(top, left));
};

const whole: Rule = () => "it looks at the whole picture";

const rules: Readonly<Record<string, Rule>> = {
  ...Object.fromEntries([...pointwise].map((op) => [op, (_, reach) => reach] satisfies [string, Rule])),
  Conv: slide,
  MaxPool: slide,
  AveragePool: slide,
  LpPool: slide,
  ConvTranspose: transposed,
  Resize: resize,
  Upsample: resize,
  DepthToSpace: (node, { pitch, low, high }) => {
    const block = readInt(node, "blocksize", 1);
    return { pitch: pitch / block, low: low - pitch * (1 - 1 / block), high };
  },
  SpaceToDepth: (node, reach) => {
    const block = readInt(node, "blocksize", 1);
    return windowed(reach, block, 0, block - 1);
  },
  Concat: alongChannels,
  Split: alongChannels,
  Softmax: alongChannels,
  ReduceSum: reduce,
  ReduceMean: reduce,
  ReduceMax: reduce,
  Reshape: reshape,
  Slice: slice,
  Pad: pad,
  GlobalAveragePool: whole,
  GlobalMaxPool: whole,
  InstanceNormalization: whole,
  BatchNormalization: (node, reach, { opset }) => trainingMode(node, opset) ?? reach,
};

function leastCommonMultiple(period: number, pitch: number): number {
  if (pitch <= 1 || !Number.isInteger(pitch)) return period;
  let [a, b] = [period, pitch];
  while (b > 0) [a, b] = [b, a % b];
  return (period * pitch) / a;
}

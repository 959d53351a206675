// The layers of randomly drawn graphs: one function a family, each takes a value and gives the next.
import { float, int, ints, string } from "../src/graph/attributes.js";
import type { Attribute } from "../src/graph/types.js";
import { tensorOf } from "../src/graph/values.js";
import {
  between,
  chance,
  constant,
  type Draft,
  initializer,
  integers,
  type Live,
  numbersOf,
  one,
  positive,
  put,
  putLive,
  several,
  valueName,
} from "./random-draft.js";

type Layer = (draft: Draft, x: Live) => Live;
type Attributes = Record<string, Attribute>;

interface Window {
  readonly attributes: Attributes;
  readonly sizes: readonly number[];
}

/**
 * Strides, dilations and padding of a window over spatial sizes, and what they make of these; undefined where nothing
 * is left.
 */
function windowOf(draft: Draft, spatial: readonly number[], kernel: readonly number[]): Window | undefined {
  const rank = spatial.length;
  const strides = chance(draft, 0.5) ? several(draft, rank, 1, 2) : spatial.map(() => 1);
  const auto = one(draft, "NOTSET", "NOTSET", "NOTSET", "SAME_UPPER", "SAME_LOWER", "VALID");
  const dilations = auto === "NOTSET" && chance(draft, 0.3) ? several(draft, rank, 1, 2) : spatial.map(() => 1);
  const pads = auto === "NOTSET" && chance(draft, 0.7) ? several(draft, 2 * rank, 0, 2) : spatial.flatMap(() => [0, 0]);
  const sizes = spatial.map((size, axis) => {
    const [stride, reach] = [strides[axis]!, (kernel[axis]! - 1) * dilations[axis]! + 1];
    if (auto.startsWith("SAME")) return Math.ceil(size / stride);
    return Math.floor((size + pads[axis]! + pads[axis + rank]! - reach) / stride) + 1;
  });
  if (sizes.some((size) => size < 1)) return undefined;
  const stated = (name: string, values: readonly number[], usual: number): Attributes =>
    values.some((value) => value !== usual) || chance(draft, 0.5) ? { [name]: ints(values) } : {};
  const attributes = {
    ...stated("strides", strides, 1),
    ...stated("dilations", dilations, 1),
    ...(auto === "NOTSET" ? stated("pads", pads, 0) : { auto_pad: string(auto) }),
    ...(chance(draft, 0.6) ? { kernel_shape: ints(kernel) } : {}),
  };
  return { attributes, sizes };
}

const fan = (dims: readonly number[]): number =>
  Math.sqrt(2 / dims.slice(1).reduce((product, dim) => product * dim, 1));
const biasOf = (draft: Draft, channels: number): readonly string[] =>
  chance(draft, 0.6) ? [constant(draft, numbersOf(draft, [channels], 0.3))] : [];

type Shareable = Draft["shareable"][number];

/** With weights of its own, or those of an earlier convolution that fit. */
export const conv: Layer = (draft, x) => {
  const ofRank = draft.shareable.filter(({ dims }) => dims.length === x.dims.length);
  const fitting = ofRank.filter(({ dims, group }) => dims[1]! * group === x.dims[1]);
  return convolved(draft, x, fitting.length > 0 && chance(draft, 0.4) ? one(draft, ...fitting) : drawWeight(draft, x));
};

function drawWeight(draft: Draft, x: Live): Shareable {
  const [, channels, ...spatial] = x.dims as [number, number, ...number[]];
  const group = one(draft, ...[1, 1, 1, 1, 2, 4, channels].filter((count) => channels % count === 0));
  const kernel = spatial.map((size) => (chance(draft, 0.25) ? 1 : between(draft, 1, Math.min(4, size))));
  const dims = [group * between(draft, 1, Math.max(1, Math.floor(16 / group))), channels / group, ...kernel];
  const weight = { name: constant(draft, numbersOf(draft, dims, fan(dims))), dims, group };
  draft.shareable.push(weight);
  return weight;
}

function convolved(draft: Draft, x: Live, { name, dims, group }: Shareable): Live {
  const [outChannels, , ...kernel] = dims as [number, number, ...number[]];
  const window = windowOf(draft, x.dims.slice(2), kernel);
  if (window === undefined) return x;
  const attributes = { ...window.attributes, ...(group > 1 || chance(draft, 0.5) ? { group: int(group) } : {}) };
  const made = put(draft, "Conv", [x.name, name, ...biasOf(draft, outChannels)], attributes);
  return putLive(draft, made, [x.dims[0]!, outChannels, ...window.sizes]);
}

/** One convolution over two levels of a pyramid, each with its own normalisation, as heads of detectors have it. */
export const levels: Layer = (draft, x) => {
  const weight = drawWeight(draft, x);
  const coarse = batchNorm(draft, convolved(draft, pool(draft, x), weight));
  draft.kept.push(coarse.name);
  return batchNorm(draft, convolved(draft, x, weight));
};

export const convTranspose: Layer = (draft, x) => {
  const [batch, channels, ...spatial] = x.dims as [number, number, ...number[]];
  const group = one(draft, ...[1, 1, 2].filter((count) => channels % count === 0));
  const kernel = several(draft, spatial.length, 1, 3);
  const strides = several(draft, spatial.length, 1, 2);
  const pads = chance(draft, 0.5) ? spatial.flatMap(() => [0, 0]) : several(draft, 2 * spatial.length, 0, 1);
  const extra = strides.map((stride) => (stride > 1 && chance(draft, 0.3) ? 1 : 0));
  const sizes = spatial.map(
    (size, axis) =>
      strides[axis]! * (size - 1) + extra[axis]! + kernel[axis]! - pads[axis]! - pads[axis + spatial.length]!,
  );
  if (sizes.some((size) => size < 1 || size > 40)) return x;
  const dims = [channels, between(draft, 1, 4), ...kernel];
  const weight = constant(draft, numbersOf(draft, dims, fan([dims[1]!, channels, ...kernel])));
  const outChannels = dims[1]! * group;
  const attributes = {
    strides: ints(strides),
    pads: ints(pads),
    group: int(group),
    ...(extra.some((size) => size > 0) ? { output_padding: ints(extra) } : {}),
  };
  const made = put(draft, "ConvTranspose", [x.name, weight, ...biasOf(draft, outChannels)], attributes);
  return putLive(draft, made, [batch, outChannels, ...sizes]);
};

/** In inference mode, or in training mode as each opset has it: by further outputs before 14, by an attribute since. */
export const batchNorm: Layer = (draft, x) => {
  const channels = x.dims[1]!;
  const everyPixel = draft.opset < 9 && x.dims.length > 2 && chance(draft, 0.1);
  const dims = everyPixel ? x.dims.slice(1) : [channels];
  const parts = [
    positive(draft, dims),
    numbersOf(draft, dims, 0.5),
    numbersOf(draft, dims, 0.5),
    positive(draft, dims),
  ];
  const training = !everyPixel && chance(draft, 0.2);
  const attributes = {
    ...(chance(draft, 0.5) ? { epsilon: float(one(draft, 1e-5, 1e-3, 0.1)) } : {}),
    ...(chance(draft, 0.3) ? { momentum: float(0.8) } : {}),
    ...(everyPixel ? { spatial: int(0) } : draft.opset < 9 && chance(draft, 0.3) ? { spatial: int(1) } : {}),
    ...(draft.opset >= 14 && (training || chance(draft, 0.2)) ? { training_mode: int(training ? 1 : 0) } : {}),
  };
  const count = training ? (draft.opset < 14 ? 4 : 2) : 0;
  const more = Array.from({ length: count }, (_, index) => `${valueName(draft)}.statistics${index}`);
  const inputs = [x.name, ...parts.map((part) => constant(draft, part))];
  const made = put(draft, "BatchNormalization", inputs, attributes, more);
  draft.extras.push(...more.slice(0, 2));
  return putLive(draft, made, x.dims);
};

/** As networks have them most often: what folding is for. */
export const normalisedConv: Layer = (draft, x) => batchNorm(draft, conv(draft, x));

export const activation: Layer = (draft, x) => {
  const number = (value: number) => constant0(draft, value);
  const ops: (() => string)[] = [
    () => put(draft, "Relu", [x.name]),
    () => put(draft, "Relu", [x.name]),
    () => put(draft, "LeakyRelu", [x.name], { alpha: float(0.1) }),
    () => put(draft, "Sigmoid", [x.name]),
    () => put(draft, "Tanh", [x.name]),
    () => put(draft, "HardSigmoid", [x.name]),
    () => put(draft, "Identity", [x.name]),
    () =>
      draft.opset < 11
        ? put(draft, "Clip", [x.name], { min: float(0), ...(chance(draft, 0.7) ? { max: float(6) } : {}) })
        : put(draft, "Clip", [x.name, number(0), ...(chance(draft, 0.7) ? [number(6)] : [])]),
  ];
  if (x.dims.length > 2) {
    const slopes = [x.dims[1]!, ...x.dims.slice(2).map(() => 1)];
    ops.push(() => put(draft, "PRelu", [x.name, constant(draft, numbersOf(draft, slopes, 0.2))]));
  }
  if (draft.opset >= 14) ops.push(() => put(draft, "HardSwish", [x.name]));
  return putLive(draft, one(draft, ...ops)(), x.dims);
};

/** A scalar, never computed: limits and sizes that operators want constant. */
const constant0 = (draft: Draft, value: number): string => initializer(draft, tensorOf(draft.type, [], [value]));

/** Joined with an earlier value of the same sizes, or with constants. */
export const join: Layer = (draft, x) => {
  const same = draft.live.filter(({ name, dims }) => name !== x.name && `${dims}` === `${x.dims}`);
  const op = one(draft, "Add", "Add", "Mul");
  if (same.length > 0 && chance(draft, 0.8))
    return putLive(draft, put(draft, op, [one(draft, ...same).name, x.name]), x.dims);
  const dims = one(draft, [], [1], [x.dims[1]!, ...x.dims.slice(2).map(() => 1)]);
  const other = constant(draft, numbersOf(draft, dims, 0.3, 1));
  return putLive(draft, put(draft, op, chance(draft, 0.5) ? [x.name, other] : [other, x.name]), x.dims);
};

export const concat: Layer = (draft, x) => {
  const rest = (dims: readonly number[]) => `${[dims[0], ...dims.slice(2)]}`;
  const others = draft.live.filter(({ dims }) => dims.length === x.dims.length && rest(dims) === rest(x.dims));
  const other = one(draft, ...others);
  if (other === undefined || other.dims[1]! + x.dims[1]! > 24) return x;
  const axis = chance(draft, 0.7) ? 1 : 1 - x.dims.length;
  if (axis < 0 && draft.opset < 11) return x;
  const made = put(draft, "Concat", [other.name, x.name], { axis: int(axis) });
  return putLive(draft, made, [x.dims[0]!, other.dims[1]! + x.dims[1]!, ...x.dims.slice(2)]);
};

export const pool: Layer = (draft, x) => {
  const [batch, channels, ...spatial] = x.dims as [number, number, ...number[]];
  if (spatial.some((size) => size < 2)) return x;
  const kernel = several(draft, spatial.length, 2, 2);
  const pads = chance(draft, 0.4) ? several(draft, 2 * spatial.length, 0, 1) : spatial.flatMap(() => [0, 0]);
  const sizes = spatial.map(
    (size, axis) => Math.floor((size + pads[axis]! + pads[axis + spatial.length]! - 2) / 2) + 1,
  );
  const op = one(draft, "MaxPool", "AveragePool");
  const attributes = {
    kernel_shape: ints(kernel),
    strides: ints(spatial.map(() => 2)),
    pads: ints(pads),
    ...(op === "AveragePool" && chance(draft, 0.5) ? { count_include_pad: int(1) } : {}),
  };
  return putLive(draft, put(draft, op, [x.name], attributes), [batch, channels, ...sizes]);
};

/** Flat, then one or two fully connected layers, perhaps with a normalisation. */
export const head: Layer = (draft, x) => {
  const [batch, channels, ...spatial] = x.dims as [number, number, ...number[]];
  const pooled = chance(draft, 0.5);
  const narrow = pooled ? put(draft, "GlobalAveragePool", [x.name]) : x.name;
  const features = pooled ? channels : channels * spatial.reduce((product, size) => product * size, 1);
  const flat = chance(draft, 0.5)
    ? put(draft, "Flatten", [narrow], chance(draft, 0.5) ? { axis: int(1) } : {})
    : put(draft, "Reshape", [narrow, integers(draft, [chance(draft, 0.5) ? 0 : batch, -1])]);
  const outputs = between(draft, 2, 10);
  const connected = chance(draft, 0.6) ? gemm(draft, flat, features, outputs) : matMul(draft, flat, features, outputs);
  const made = putLive(draft, connected, [batch, outputs]);
  return chance(draft, 0.4) ? batchNorm(draft, made) : made;
};

function gemm(draft: Draft, flat: string, features: number, outputs: number): string {
  const transposed = chance(draft, 0.5);
  const dims = transposed ? [outputs, features] : [features, outputs];
  const weight = constant(draft, numbersOf(draft, dims, Math.sqrt(2 / features)));
  const bias = draft.opset < 11 || chance(draft, 0.7) ? [constant(draft, numbersOf(draft, [outputs], 0.2))] : [];
  const attributes = {
    ...(transposed ? { transB: int(1) } : {}),
    ...(chance(draft, 0.2) ? { alpha: float(0.5) } : {}),
  };
  return put(draft, "Gemm", [flat, weight, ...bias], attributes);
}

function matMul(draft: Draft, flat: string, features: number, outputs: number): string {
  const weight = constant(draft, numbersOf(draft, [features, outputs], Math.sqrt(2 / features)));
  const product = put(draft, "MatMul", [flat, weight]);
  return chance(draft, 0.6) ? put(draft, "Add", [product, constant(draft, numbersOf(draft, [outputs], 0.2))]) : product;
}

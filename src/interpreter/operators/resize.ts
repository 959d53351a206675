// Resize and Upsample: axis by axis from taps, or by libtorch's own operators where they compute the same.
import { readFloat, readFloats, readInt, readInts, readString } from "../../graph/attributes.js";
import { call, fromArray, type Tensor } from "./aten.js";
import { indexVector } from "./indexing.js";
import { bounded } from "./limits.js";
import { type Inputs, type Lowering, type LoweringContext, refuse } from "./lowering.js";
import {
  type AxisPlan,
  type CoordinateMode,
  coordinateModes,
  type NearestMode,
  nearestModes,
  type Sampling,
  tapsOf,
} from "./resampling.js";
import { dimsOf, first, fromFront, isFloating, numbersOf } from "./values.js";

/** Sizes and scales of every axis. */
type Sizes = (dims: readonly number[], inputs: Inputs) => readonly AxisPlan[];

function samplingOf(context: LoweringContext): Sampling {
  const { node, opset } = context;
  const old = node.op === "Upsample" || opset < 11;
  const mode = readString(node, "mode", "nearest").replace("bilinear", "linear");
  const coordinates = old ? "asymmetric" : readString(node, "coordinate_transformation_mode", "half_pixel");
  const usual = node.op === "Upsample" ? "floor" : "simple";
  const rounding = old ? usual : readString(node, "nearest_mode", "round_prefer_floor");
  if (mode !== "nearest" && mode !== "linear" && mode !== "cubic")
    throw refuse(context, `the mode ${mode} is not known`);
  if (!Object.hasOwn(coordinateModes, coordinates))
    throw refuse(context, `the coordinate mode ${coordinates} is not known`);
  if (!Object.hasOwn(nearestModes, rounding)) throw refuse(context, `the nearest mode ${rounding} is not known`);
  return {
    mode,
    coordinates: coordinates as CoordinateMode,
    rounding: rounding as NearestMode,
    cubicA: readFloat(node, "cubic_coeff_a", -0.75),
    excludeOutside: readInt(node, "exclude_outside", 0) !== 0,
    antialias: readInt(node, "antialias", 0) !== 0,
  };
}

/** Scales come as attribute (Upsample 7), second input (Upsample 9, Resize 10) or third; sizes as fourth. */
function sizesOf(context: LoweringContext): Sizes {
  const { node, opset } = context;
  const stated = readFloats(node, "scales", undefined);
  const old = node.op === "Upsample" || opset < 11;
  const axes = readInts(node, "axes", undefined);
  const policy = readString(node, "keep_aspect_ratio_policy", "stretch");
  if (!["stretch", "not_larger", "not_smaller"].includes(policy))
    throw refuse(context, `the policy ${policy} is not known`);
  return (dims, inputs) => {
    const along = axes?.map((a) => fromFront(a, dims.length)) ?? [...dims.keys()];
    const list = (position: number): readonly number[] =>
      inputs[position] === undefined ? [] : numbersOf(inputs[position]);
    const scales = stated ?? list(old ? 1 : 2);
    const sizes = old ? [] : list(3);
    const roi = old ? [] : list(1);
    if (scales.length !== along.length && sizes.length !== along.length)
      throw refuse(context, "scales or sizes must fit the axes");
    const ratios = sizes.map((size, i) => size / dims[along[i]!]!);
    const common = policy === "not_larger" ? Math.min(...ratios) : Math.max(...ratios);
    return dims.map((input, axis) => {
      const i = along.indexOf(axis);
      if (i < 0) return { input, output: input, scale: 1, roi: [0, 1] };
      const region = [roi[i] ?? 0, roi[along.length + i] ?? 1] as const;
      if (sizes.length === 0) return { input, output: Math.floor(input * scales[i]!), scale: scales[i]!, roi: region };
      if (policy === "stretch") return { input, output: sizes[i]!, scale: ratios[i]!, roi: region };
      return { input, output: Math.floor(common * input + 0.5), scale: common, roi: region };
    });
  };
}

const resize: Lowering = (context) => {
  const sampling = samplingOf(context);
  const sizes = sizesOf(context);
  const extrapolation = readFloat(context.node, "extrapolation_value", 0);
  return (inputs) => {
    const x = first(inputs);
    const plan = sizes(dimsOf(x), inputs);
    bounded(plan.map(({ output }) => output));
    return byLibtorch(x, plan, sampling) ?? byTaps(x, plan, sampling, extrapolation);
  };
};

const changes = ({ input, output, scale, roi }: AxisPlan): boolean =>
  input !== output || scale !== 1 || roi[0] !== 0 || roi[1] !== 1;

/** libtorch's operators for images [N, C, H, W], where their coordinates are the ones asked for. */
function byLibtorch(x: Tensor, plan: readonly AxisPlan[], sampling: Sampling): Tensor | undefined {
  const [batch, channels, rows, columns] = plan;
  if (
    plan.length !== 4 ||
    sampling.antialias ||
    !isFloating(x) ||
    plan.some(({ input, output }) => input * output === 0)
  )
    return undefined;
  if (changes(batch!) || changes(channels!)) return undefined;
  const { mode, coordinates, rounding, cubicA, excludeOutside } = sampling;
  const spatial = [rows!, columns!];
  const size = spatial.map(({ output }) => output);
  const corners = coordinates === "align_corners";
  const halves = coordinates === "half_pixel" || (coordinates === "pytorch_half_pixel" && size.every((n) => n > 1));
  if (mode === "nearest") {
    const floors = coordinates === "asymmetric" && (rounding === "floor" || rounding === "simple");
    // At a whole scale of at least 1 the halves round to the same elements: (x + 0.5) / s - 0.5 is never half way.
    const same = floors || (halves && (rounding === "round_prefer_floor" || rounding === "round_prefer_ceil"));
    const exact = spatial.every(({ input, output, scale }) => Number.isInteger(scale) && output === input * scale);
    return same && exact ? call("upsample_nearest2d", x, size, spatial[0]!.scale, spatial[1]!.scale) : undefined;
  }
  if (!corners && !halves) return undefined;
  const scales = spatial.map(({ scale }) => scale);
  if (mode === "linear") return call("upsample_bilinear2d", x, size, corners, scales[0], scales[1]);
  if (cubicA !== -0.75 || excludeOutside) return undefined;
  return call("upsample_bicubic2d", x, size, corners, scales[0], scales[1]);
}

function byTaps(x: Tensor, plan: readonly AxisPlan[], sampling: Sampling, extrapolation: number): Tensor {
  const type = x.dtype;
  let y = isFloating(x) || sampling.mode === "nearest" ? x : call("to.dtype", x, "float32");
  const masks: Tensor[] = [];
  plan.forEach((axis, at) => {
    if (!changes(axis)) return;
    const { index, weight, outside } = tapsOf(axis, sampling);
    const shape = plan.map((_, i) => (i === at ? axis.output : 1));
    const source = y;
    const picked = (k: number): Tensor => call("index_select", source, at, indexVector(index[k]!));
    const weighted = (k: number): Tensor => {
      const weights = fromArray(Float64Array.from(weight[k]!), shape);
      return call("mul.Tensor", picked(k), call("to.dtype", weights, y.dtype));
    };
    y = weight.length === 0 ? picked(0) : index.map((_, k) => weighted(k)).reduce((a, b) => call("add.Tensor", a, b));
    if (outside.includes(true)) masks.push(fromArray(Uint8Array.from(outside, Number), shape, "bool"));
  });
  for (const mask of masks) y = call("where.ScalarSelf", mask, extrapolation, y);
  if (y === x) return call("alias", x);
  return y.dtype === type ? y : call("to.dtype", y, type);
}

export const resizing = { Resize: resize, Upsample: resize } satisfies Record<string, Lowering>;

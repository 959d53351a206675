// Operators that change the size of images: Resize, Upsample, DepthToSpace, SpaceToDepth, Pad, Crop, GridSample.
import { readFloats, readInt, readInts, readString } from "../graph/attributes.js";
import { add, divideExactly, floorDivide, multiply, subtract } from "../graph/dims.js";
import type { Dim } from "../graph/types.js";
import { calls, type Family, type Kinds } from "./operator.js";
import { axisOf, type Call, has, input, mismatch, needRank, numbersOf, type Rule, unknownDims } from "./rules/call.js";
import { type ReachRule, windowed } from "./rules/reach.js";

/** Resize and Upsample, every opset: scales by attribute (7), input 1 (9, 10) or input 2 (11 on); sizes are input 3. */
const resize: Rule = (call) => {
  const { type, dims } = input(call, 0);
  if (dims === undefined) return [{ type }];
  const late = call.node.op === "Resize" && call.opset >= 11;
  const axes = (readInts(call.node, "axes", undefined) ?? dims.map((_, axis) => axis)).map((axis) =>
    axisOf(call, axis, dims.length),
  );
  const result = [...dims];
  const sizes = late && has(call, 3) ? input(call, 3) : undefined;
  if (sizes !== undefined) {
    const wanted = fitted(
      call,
      axes.map((axis) => dims[axis]!),
      sizes.elements ?? unknownDims(axes.length),
    );
    if (wanted.length !== axes.length)
      throw mismatch(call, "sizes do not fit the axes", String(axes.length), String(wanted.length));
    for (const [index, axis] of axes.entries()) result[axis] = wanted[index]!;
    return [{ type, dims: result }];
  }
  const scales =
    readFloats(call.node, "scales", undefined) ?? input(call, late ? 2 : 1).elements ?? unknownDims(axes.length);
  if (scales.length !== axes.length)
    throw mismatch(call, "scales do not fit the axes", String(axes.length), String(scales.length));
  const crop = readString(call.node, "coordinate_transformation_mode", "half_pixel") === "tf_crop_and_resize";
  for (const [index, axis] of axes.entries()) result[axis] = crop ? null : scaled(dims[axis]!, scales[index]!);
  return [{ type, dims: result }];
};

/** floor(size * scale), the product in float32 as runtimes take it. */
function scaled(size: Dim, scale: Dim): Dim {
  if (scale === 1) return size;
  if (typeof scale !== "number") return null;
  if (typeof size === "number") return Math.floor(Math.fround(size * scale));
  if (Number.isInteger(scale)) return multiply(size, scale);
  return Number.isInteger(1 / scale) ? floorDivide(size, 1 / scale) : null;
}

/** keep_aspect_ratio_policy: the stated sizes, shrunk or grown to one common scale. */
function fitted(call: Call, dims: readonly Dim[], sizes: readonly Dim[]): readonly Dim[] {
  const policy = readString(call.node, "keep_aspect_ratio_policy", "stretch");
  if (policy === "stretch") return sizes;
  const ratios = sizes.map((size, axis) =>
    typeof size === "number" && typeof dims[axis] === "number" ? size / dims[axis] : Number.NaN,
  );
  const ratio = policy === "not_larger" ? Math.min(...ratios) : Math.max(...ratios);
  return Number.isNaN(ratio) ? unknownDims(sizes.length) : dims.map((size) => Math.round((size as number) * ratio));
}

/** DepthToSpace: [N, C, H, W] -> [N, C / b^2, H b, W b]; SpaceToDepth is the reverse. */
const blocks: Rule = (call) => {
  const { type, dims } = input(call, 0);
  const b = readInt(call.node, "blocksize", 1);
  if (dims === undefined) return [{ type, dims: unknownDims(4) }];
  if (dims.length !== 4) throw mismatch(call, "the input must be an image", "[N, C, H, W]", `rank ${dims.length}`);
  const [n, c, h, w] = dims as [Dim, Dim, Dim, Dim];
  const even = (size: Dim, by: number): Dim => {
    if (typeof size === "number" && size % by !== 0)
      throw mismatch(call, "a size does not divide by the block", `a multiple of ${by}`, String(size));
    return divideExactly(size, by) ?? floorDivide(size, by); // an uneven size is not valid
  };
  if (call.node.op === "DepthToSpace") return [{ type, dims: [n, even(c, b * b), multiply(h, b), multiply(w, b)] }];
  return [{ type, dims: [n, multiply(c, b * b), even(h, b), even(w, b)] }];
};

/**
 * Crop, which left the standard: the middle of a picture without `border` (left, top, right, bottom), or `scale`
 * (height, width) from there on.
 */
const crop: Rule = (call) => {
  const { type, dims } = input(call, 0);
  const [left, top, right, bottom] = readInts(call.node, "border", [0, 0, 0, 0]) as readonly [
    number,
    number,
    number,
    number,
  ];
  needRank(call, 0, 4);
  if (dims === undefined) return [{ type }];
  const [batch, channels, height, width] = dims as [Dim, Dim, Dim, Dim];
  const scale = readInts(call.node, "scale", undefined);
  const rest = [subtract(height, top + bottom), subtract(width, left + right)];
  return [{ type, dims: [batch, channels, ...(scale?.length === 2 ? scale : rest)] }];
};

const pad: Rule = (call) => {
  const { type, dims } = input(call, 0);
  if (dims === undefined) return [{ type }];
  const pads =
    readInts(call.node, "pads", undefined) ?? readInts(call.node, "paddings", undefined) ?? input(call, 1).elements;
  const axes = has(call, 3) ? numbersOf(input(call, 3)) : dims.map((_, axis) => axis);
  if (pads === undefined || axes === undefined) return [{ type, dims: unknownDims(dims.length) }];
  if (pads.length !== 2 * axes.length)
    throw mismatch(call, "pads do not fit the axes", `${2 * axes.length} numbers`, String(pads.length));
  const result = [...dims];
  axes.forEach((axis, index) => {
    const at = axisOf(call, axis, dims.length);
    result[at] = add(dims[at]!, add(pads[index]!, pads[index + axes.length]!));
    if (typeof result[at] === "number" && result[at] < 0)
      throw mismatch(call, `the padding removes all of axis ${at}`, "0 or more", String(result[at]));
  });
  return [{ type, dims: result }];
};

/** GridSample: x[N, C, ...], grid[N, H, W, 2] -> [N, C, H, W]. */
const gridSample: Rule = (call) => {
  const [x, grid] = [input(call, 0), input(call, 1)];
  if (x.dims === undefined || grid.dims === undefined) return [{ type: x.type }];
  return [{ type: x.type, dims: [...x.dims.slice(0, 2), ...grid.dims.slice(1, -1)] }];
};

/** Pixel (o + 0.5) / factor - 0.5 of the map, and as many beside it as the interpolation takes. */
const reachOfResize: ReachRule = (node, { pitch, low, high }, { constant }) => {
  const scales = constant(node.inputs[node.op === "Upsample" ? 1 : 2]);
  if (scales?.length !== 4 || scales[0] !== 1 || scales[1] !== 1 || scales[2] !== scales[3])
    return "it resizes to a size that is computed from the picture's";
  const factor = scales[2]!;
  if (readInt(node, "antialias", 0) !== 0 && factor < 1) return "it is antialiased";
  if (readString(node, "coordinate_transformation_mode", "half_pixel") === "align_corners")
    return "its grid depends on the size of the picture";
  const beside = { nearest: 1, linear: 1, cubic: 2 }[readString(node, "mode", "nearest")] ?? 2;
  return { pitch: pitch / factor, low: low - (beside + 0.5) * pitch, high: high + (beside + 0.5) * pitch };
};

const reachOfPad: ReachRule = (node, reach, { constant }) => {
  const pads = readInts(node, "pads", constant(node.inputs[1]));
  if (pads?.length !== 8 || constant(node.inputs[3]) !== undefined) return "its padding is computed";
  const [, , top = 0, left = 0] = pads;
  return windowed(reach, 1, -Math.max(top, left), -Math.min(top, left));
};

const attributes = {
  antialias: "int",
  axes: "ints",
  coordinate_transformation_mode: "string",
  cubic_coeff_a: "float",
  exclude_outside: "int",
  extrapolation_value: "float",
  height_scale: "float",
  keep_aspect_ratio_policy: "string",
  mode: "string",
  nearest_mode: "string",
  scales: "floats",
  width_scale: "float",
} as const satisfies Kinds;

export const resizing = {
  Resize: {
    signature: calls([1, 4], attributes),
    operands: ["data", "setting", "setting", "setting"],
    shapes: resize,
    reach: reachOfResize,
    channels: "resized",
    bounded: "first",
  },
  Upsample: {
    signature: calls([1, 2], attributes),
    operands: ["data", "setting"],
    shapes: resize,
    reach: reachOfResize,
    channels: "resized",
    bounded: "first",
  },
  DepthToSpace: {
    signature: calls(1, { blocksize: "int", mode: "string" }),
    shapes: blocks,
    reach: (node, { pitch, low, high }) => {
      const block = readInt(node, "blocksize", 1);
      return { pitch: pitch / block, low: low - pitch * (1 - 1 / block), high };
    },
    exact: "always",
    bounded: "first",
    since: 11,
  },
  SpaceToDepth: {
    signature: calls(1, { blocksize: "int" }),
    shapes: blocks,
    reach: (node, reach) => {
      const block = readInt(node, "blocksize", 1);
      return windowed(reach, block, 0, block - 1);
    },
    exact: "always",
    bounded: "first",
  },
  Pad: {
    signature: calls([1, 4], { mode: "string", paddings: "ints", pads: "ints", value: "float" }),
    operands: ["data", "setting", "setting"],
    shapes: pad,
    reach: reachOfPad,
    channels: "padded",
    exact: "always",
  },
  Crop: { shapes: crop },
  GridSample: { shapes: gridSample },
} satisfies Family;

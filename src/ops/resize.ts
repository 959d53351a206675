// Operators that change the size of pictures: Resize, Upsample, DepthToSpace, SpaceToDepth, Crop.
import { readFloats, readInt, readInts, readString } from "../graph/attributes.js";
import { divideExactly, floorDivide, multiply, subtract } from "../graph/dims.js";
import type { Dim } from "../graph/types.js";
import { axisOf, type Call, has, input, mismatch, needRank, type Rule, unknownDims } from "./rules/call.js";

/** Resize and Upsample, every opset: scales by attribute (7), input 1 (9, 10) or input 2 (11 on); sizes are input 3. */
export const resize: Rule = (call) => {
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
  const scales = readFloats(call.node, "scales", undefined) ?? input(call, late ? 2 : 1).elements ?? unknownDims(axes.length);
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
export const blocks: Rule = (call) => {
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

/** Crop, which left the standard: the middle of a picture without `border` (left, top, right, bottom), or `scale` (height, width) from there on. */
export const crop: Rule = (call) => {
  const { type, dims } = input(call, 0);
  const [left, top, right, bottom] = readInts(call.node, "border", [0, 0, 0, 0]) as readonly [number, number, number, number];
  needRank(call, 0, 4);
  if (dims === undefined) return [{ type }];
  const [batch, channels, height, width] = dims as [Dim, Dim, Dim, Dim];
  const scale = readInts(call.node, "scale", undefined);
  const rest = [subtract(height, top + bottom), subtract(width, left + right)];
  return [{ type, dims: [batch, channels, ...(scale?.length === 2 ? scale : rest)] }];
};

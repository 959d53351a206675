// Randomly drawn operator calls for tests of shape inference: attributes as odd as ONNX allows, constants, and the
// data's shape.

import { float, int, int64Tensor, ints, string } from "../src/graph/attributes.js";
import { tensorOf } from "../src/graph/index.js";
import type { Attribute, TensorData } from "../src/graph/types.js";
import type { Random } from "../src/linalg/random.js";

/** One random operator call: its attributes, its constants, the shape of its data and the opset. */
export interface Draw {
  readonly op: string;
  readonly shape: readonly number[];
  readonly attributes: Record<string, Attribute>;
  readonly constants: Record<string, TensorData>;
  readonly inputs: readonly string[];
  readonly outputs?: number;
  readonly opset: number;
  /** False where the tensor is smaller than what is cut off it: expressions hold for tensors that are large enough. */
  readonly large?: boolean;
}

/** Random choices. */
export const pickers = (random: Random) => ({
  below: (n: number) => random.int(n),
  one: <T>(...list: readonly T[]): T => list[random.int(list.length)]!,
  list: (n: number, low: number, high: number) => Array.from({ length: n }, () => low + random.int(high - low + 1)),
});
export type Pick = ReturnType<typeof pickers>;

const zeros = (dims: readonly number[]) => tensorOf("float32", dims, new Float32Array(dims.reduce((a, b) => a * b, 1)));
export const i64 = (values: readonly number[]) => int64Tensor([values.length], values);

function window({ below, one, list }: Pick, rank: number): Record<string, Attribute> {
  const attributes: Record<string, Attribute> = {};
  if (below(2)) attributes.strides = ints(list(rank, 1, 3));
  if (below(2)) attributes.dilations = ints(list(rank, 1, 2));
  const auto = one("NOTSET", "NOTSET", "SAME_UPPER", "SAME_LOWER", "VALID");
  if (auto !== "NOTSET" || below(2)) attributes.auto_pad = string(auto);
  if (auto === "NOTSET" && below(3)) attributes.pads = ints(list(2 * rank, 0, 2));
  return attributes;
}

const shapeOf = ({ list }: Pick, channels: number, rank: number) => [...list(1, 1, 2), channels, ...list(rank, 1, 11)];

/** One drawing function an operator or family of operators. */
export const draws: Record<string, (pick: Pick) => Draw> = {
  Conv(pick) {
    const [rank, group, inside] = [pick.one(1, 2, 2, 3), pick.one(1, 2), 1 + pick.below(2)];
    const kernel = pick.list(rank, 1, 4);
    const attributes = {
      ...window(pick, rank),
      group: int(group),
      ...(pick.below(2) ? { kernel_shape: ints(kernel) } : {}),
    };
    return {
      op: "Conv",
      shape: shapeOf(pick, group * inside, rank),
      attributes,
      constants: { w: zeros([2 * group, inside, ...kernel]) },
      inputs: ["x", "w"],
      opset: pick.one(7, 11, 17),
    };
  },
  ConvTranspose(pick) {
    const [rank, group, inside] = [pick.one(1, 2, 2), pick.one(1, 2), 1 + pick.below(2)];
    const kernel = pick.list(rank, 1, 4);
    const attributes: Record<string, Attribute> = { ...window(pick, rank), group: int(group) };
    const extra = pick.below(4);
    if (extra === 0) attributes.output_padding = ints(pick.list(rank, 0, 1));
    if (extra === 1) attributes.output_shape = ints(pick.list(rank, 8, 20));
    return {
      op: "ConvTranspose",
      shape: shapeOf(pick, group * inside, rank),
      attributes,
      constants: { w: zeros([group * inside, 3, ...kernel]) },
      inputs: ["x", "w"],
      opset: pick.one(7, 11, 17),
    };
  },
  Pool(pick) {
    const [op, rank] = [pick.one("MaxPool", "AveragePool", "LpPool"), pick.one(1, 2, 2, 3)];
    const opset = op === "LpPool" ? 18 : pick.one(10, 11, 19);
    const attributes: Record<string, Attribute> = { ...window(pick, rank), kernel_shape: ints(pick.list(rank, 1, 4)) };
    if (pick.below(2)) attributes.ceil_mode = int(1);
    if (op === "AveragePool" && opset < 19) delete attributes.dilations;
    const shape = shapeOf(pick, 2, rank);
    const large = shape.slice(2).every((size) => size >= 7); // the widest window: 4 taps, dilated by 2
    return { op, shape, large, attributes, constants: {}, inputs: ["x"], opset };
  },
  Slice(pick) {
    const rank = 1 + pick.below(3);
    const shape = pick.list(rank, 1, 7);
    const axes = shape.map((_, axis) => (pick.below(2) ? axis : axis - rank)).filter(() => pick.below(3) > 0);
    const [starts, ends] = [
      pick.list(axes.length, -9, 9),
      axes.map(() => pick.one(-9, -2, -1, 0, 1, 3, 8, 2 ** 31 - 1)),
    ];
    const large = axes.every((axis, index) =>
      [starts[index]!, ends[index]!].every((cut) => Math.abs(cut) <= shape.at(axis)! || cut > 2 ** 30),
    );
    if (pick.below(3) === 0)
      return {
        op: "Slice",
        large,
        shape,
        attributes: { starts: ints(starts), ends: ints(ends), axes: ints(axes) },
        constants: {},
        inputs: ["x"],
        opset: 9,
      };
    const steps = axes.map(() => pick.one(1, 1, 2, 3, -1, -2));
    return {
      op: "Slice",
      large,
      shape,
      attributes: {},
      constants: { s: i64(starts), e: i64(ends), a: i64(axes), t: i64(steps) },
      inputs: ["x", "s", "e", "a", "t"],
      opset: pick.one(10, 11, 17),
    };
  },
  Pad(pick) {
    const rank = 1 + pick.below(4);
    const shape = pick.list(rank, 3, 6);
    const mode = pick.one("constant", "constant", "edge", "reflect");
    const form = pick.below(3);
    if (form === 0)
      return {
        op: "Pad",
        shape,
        attributes: { pads: ints(pick.list(2 * rank, -1, 2)), mode: string(mode) },
        constants: {},
        inputs: ["x"],
        opset: 10,
      };
    if (form === 1)
      return {
        op: "Pad",
        shape,
        attributes: { mode: string(mode) },
        constants: { p: i64(pick.list(2 * rank, -1, 2)) },
        inputs: ["x", "p"],
        opset: 13,
      };
    const axes = shape.map((_, axis) => (pick.below(2) ? axis : axis - rank)).filter(() => pick.below(2) > 0);
    return {
      op: "Pad",
      shape,
      attributes: { mode: string(mode) },
      constants: { p: i64(pick.list(2 * axes.length, -1, 2)), a: i64(axes) },
      inputs: ["x", "p", "", "a"],
      opset: 18,
    };
  },
  Resize(pick) {
    const shape = [1, 2, ...pick.list(2, 1, 9)];
    const attributes: Record<string, Attribute> = {
      mode: string(pick.one("nearest", "linear")),
      coordinate_transformation_mode: string(pick.one("asymmetric", "half_pixel", "align_corners")),
    };
    const scale = () => pick.one(0.5, 0.3, 1, 1.5, 2, 2.7, 3);
    const form = pick.below(4);
    if (form === 0)
      return {
        op: "Upsample",
        shape,
        attributes: { mode: string("nearest") },
        constants: { s: tensorOf("float32", [4], [1, 1, 2, 1.5]) },
        inputs: ["x", "s"],
        opset: 9,
      };
    if (form === 1)
      return {
        op: "Resize",
        shape,
        attributes,
        constants: { s: tensorOf("float32", [4], [1, 1, scale(), scale()]) },
        inputs: ["x", "", "s"],
        opset: 13,
      };
    if (form === 2)
      return {
        op: "Resize",
        shape,
        attributes,
        constants: { z: i64([1, 2, ...pick.list(2, 1, 12)]) },
        inputs: ["x", "", "", "z"],
        opset: pick.one(13, 17),
      };
    const policy = pick.one("stretch", "not_larger", "not_smaller");
    return {
      op: "Resize",
      shape,
      attributes: { ...attributes, axes: ints([2, 3]), keep_aspect_ratio_policy: string(policy) },
      constants: { z: i64(pick.list(2, 1, 12)) },
      inputs: ["x", "", "", "z"],
      opset: pick.one(18, 19),
    };
  },
  Split(pick) {
    const rank = 1 + pick.below(3);
    const shape = pick.list(rank, 2, 6);
    const axis = pick.below(rank);
    const outputs = 1 + pick.below(3);
    const attributes: Record<string, Attribute> = { axis: int(pick.below(2) ? axis : axis - rank) };
    const form = pick.below(4);
    if (form === 0)
      return {
        op: "Split",
        shape,
        attributes: { ...attributes, num_outputs: int(outputs) },
        constants: {},
        inputs: ["x"],
        outputs,
        opset: 18,
      };
    if (form === 1)
      return {
        op: "Split",
        shape: shape.map((size, at) => (at === axis ? size * outputs : size)),
        attributes,
        constants: {},
        inputs: ["x"],
        outputs,
        opset: pick.one(11, 13),
      };
    const parts = pick.list(outputs, 0, 3);
    const whole = shape.map((size, at) =>
      at === axis
        ? Math.max(
            1,
            parts.reduce((a, b) => a + b, 0),
          )
        : size,
    );
    if (form === 2)
      return {
        op: "Split",
        shape: whole,
        attributes: { ...attributes, split: ints(parts) },
        constants: {},
        inputs: ["x"],
        outputs,
        opset: 11,
      };
    return {
      op: "Split",
      shape: whole,
      attributes,
      constants: { p: i64(parts) },
      inputs: ["x", "p"],
      outputs,
      opset: pick.one(13, 18),
    };
  },
  Reduce(pick) {
    const op = pick.one("ReduceSum", "ReduceMean", "ReduceMax", "ReduceL2", "ReduceProd");
    const rank = 1 + pick.below(3);
    const shape = pick.list(rank, 1, 4);
    const axes = shape.map((_, axis) => (pick.below(2) ? axis : axis - rank)).filter(() => pick.below(2) > 0);
    const attributes: Record<string, Attribute> = pick.below(2) ? { keepdims: int(pick.below(2)) } : {};
    const opset = pick.one(11, 13, 18);
    const byInput = opset >= (op === "ReduceSum" ? 13 : 18);
    if (byInput && pick.below(2)) attributes.noop_with_empty_axes = int(pick.below(2));
    if (pick.below(4) === 0) return { op, shape, attributes, constants: {}, inputs: ["x"], opset };
    if (!byInput)
      return {
        op,
        shape,
        attributes: axes.length > 0 ? { ...attributes, axes: ints(axes) } : attributes,
        constants: {},
        inputs: ["x"],
        opset,
      };
    return { op, shape, attributes, constants: { a: i64(axes) }, inputs: ["x", "a"], opset };
  },
  Squeeze(pick) {
    const rank = 1 + pick.below(4);
    const shape = pick.list(rank, 1, 2);
    const axes = shape
      .map((_, axis) => axis)
      .filter((axis) => shape[axis] === 1 && pick.below(2) > 0)
      .map((axis) => (pick.below(2) ? axis : axis - rank));
    const op = pick.one("Squeeze", "Unsqueeze");
    const used = op === "Squeeze" ? axes : [...new Set([pick.below(rank + 1), -1 - pick.below(rank)])];
    const opset = pick.one(11, 13);
    if (used.length === 0) return { op: "Squeeze", shape, attributes: {}, constants: {}, inputs: ["x"], opset };
    return opset < 13
      ? { op, shape, attributes: { axes: ints(used) }, constants: {}, inputs: ["x"], opset }
      : { op, shape, attributes: {}, constants: { a: i64(used) }, inputs: ["x", "a"], opset };
  },
  Reshape(pick) {
    const shape = pick.list(1 + pick.below(3), 1, 4);
    const target = pick.list(1 + pick.below(4), 0, 4);
    if (pick.below(3) > 0) target[pick.below(target.length)] = -1;
    const zero = pick.below(4) === 0 ? { allowzero: int(1) } : {};
    return { op: "Reshape", shape, attributes: zero, constants: { t: i64(target) }, inputs: ["x", "t"], opset: 14 };
  },
  Flatten(pick) {
    const rank = 1 + pick.below(4);
    return {
      op: "Flatten",
      shape: pick.list(rank, 1, 4),
      attributes: { axis: int(pick.below(2 * rank + 1) - rank) },
      constants: {},
      inputs: ["x"],
      opset: pick.one(11, 13),
    };
  },
  Gather(pick) {
    const rank = 1 + pick.below(3);
    const dims = pick.list(pick.below(3), 1, 3);
    const index = tensorOf("int64", dims, new Float32Array(dims.reduce((a, b) => a * b, 1)));
    return {
      op: "Gather",
      shape: pick.list(rank, 1, 4),
      attributes: { axis: int(pick.below(2 * rank) - rank) },
      constants: { i: index },
      inputs: ["x", "i"],
      opset: 13,
    };
  },
  Others(pick) {
    const shape = [1 + pick.below(2), 4, ...pick.list(2, 1, 6)];
    const block = pick.one(1, 2);
    const one = (op: string, attributes: Record<string, Attribute>, opset = 13): Draw => ({
      op,
      shape,
      attributes,
      constants: {},
      inputs: ["x"],
      opset,
    });
    return pick.one(
      one("DepthToSpace", { blocksize: int(block), mode: string(pick.one("DCR", "CRD")) }),
      one("SpaceToDepth", { blocksize: int(block) }),
      one("Dropout", {}, pick.one(9, 10, 12)),
      one("Transpose", pick.below(2) ? { perm: ints([0, 2, 3, 1]) } : {}),
      one("ArgMax", { axis: int(pick.below(8) - 4), keepdims: int(pick.below(2)) }),
      one("LRN", { size: int(3), alpha: float(1e-4) }),
      one("Shape", { start: int(pick.below(10) - 5), end: int(pick.below(10) - 5) }, 15),
      { ...one("Tile", {}), constants: { r: i64(pick.list(4, 0, 3)) }, inputs: ["x", "r"] },
      { ...one("Expand", {}), constants: { e: i64([2, 1, 1, 1, 1]) }, inputs: ["x", "e"] },
      {
        ...one("TopK", { axis: int(pick.below(8) - 4) }, 11),
        constants: { k: i64([1]) },
        inputs: ["x", "k"],
        outputs: 2,
      },
    );
  },
};

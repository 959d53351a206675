// Operators that change the shape, order or number of elements, but no element.
import { readInt, readInts, readString } from "../../graph/attributes.js";
import { call, callAll } from "./aten.js";
import { bounded, broadcast } from "./limits.js";
import { listOf } from "./lists.js";
import { type Lowering, refuse } from "./lowering.js";
import { dimsOf, first, fromFront, numbersOf, tensor } from "./values.js";

const product = (dims: readonly number[]): number => dims.reduce((a, b) => a * b, 1);

/** Reshape: 0 copies the input's size (unless allowzero), -1 takes what is left. */
const reshape: Lowering = (context) => {
  const shape = listOf(context, "shape", 1);
  const allowZero = readInt(context.node, "allowzero", 0) !== 0;
  return (inputs) => {
    const wanted = shape(inputs);
    if (wanted === undefined) throw refuse(context, "no shape is given");
    const x = first(inputs);
    if (allowZero || !wanted.includes(0)) return call("reshape", x, wanted);
    const dims = dimsOf(x);
    const copied = wanted.map((d, i) => (d === 0 ? (dims[i] ?? 0) : d));
    // Beside an axis of size 0 libtorch cannot tell what -1 stands for: nothing is left to share out.
    const free = copied.includes(0) && product(dims) === 0 ? copied.map((d) => (d === -1 ? 0 : d)) : copied;
    return call("reshape", x, free);
  };
};

/** Flatten: a matrix, cut at the axis. */
const flatten: Lowering = ({ node }) => {
  const axis = readInt(node, "axis", 1);
  return (inputs) => {
    const x = first(inputs);
    const dims = dimsOf(x);
    const cut = axis < 0 ? axis + dims.length : axis;
    return call("reshape", x, [product(dims.slice(0, cut)), product(dims.slice(cut))]);
  };
};

const concat: Lowering = ({ node, opset }) => {
  const axis = readInt(node, "axis", opset < 4 ? 1 : 0);
  return (inputs) => {
    const parts = inputs.map(tensor);
    const [dims, ...others] = parts.map(dimsOf) as [readonly number[], ...(readonly number[])[]];
    const front = fromFront(axis, dims.length);
    bounded(dims.map((n, i) => (i === front ? others.reduce((sum, other) => sum + (other[front] ?? 0), n) : n)));
    return call("cat", parts, front);
  };
};

/** Split: sizes from an attribute or input, or as even as the number of outputs allows. */
const split: Lowering = (context) => {
  const axis = readInt(context.node, "axis", 0);
  const sizes = listOf(context, "split", 1);
  const parts = context.node.outputs.length;
  if (readInt(context.node, "num_outputs", parts) !== parts)
    throw refuse(context, "num_outputs is not the number of outputs");
  return (inputs) => {
    const x = first(inputs);
    const n = dimsOf(x)[fromFront(axis, dimsOf(x).length)]!;
    const each = Math.ceil(n / parts);
    const even = Array.from({ length: parts }, (_, i) => Math.max(0, Math.min(each, n - i * each)));
    return callAll("split_with_sizes", x, sizes(inputs) ?? even, axis);
  };
};

const transpose: Lowering = ({ node }) => {
  const order = readInts(node, "perm", undefined);
  return (inputs) => {
    const x = first(inputs);
    return call("permute", x, order ?? [...dimsOf(x).keys()].reverse());
  };
};

const squeeze: Lowering = (context) => {
  const axes = listOf(context, "axes", 1);
  return (inputs) => {
    const x = first(inputs);
    const dims = dimsOf(x);
    const drop =
      axes(inputs)?.map((axis) => fromFront(axis, dims.length)) ?? [...dims.keys()].filter((i) => dims[i] === 1);
    return call(
      "reshape",
      x,
      dims.filter((_, i) => !drop.includes(i)),
    );
  };
};

const unsqueeze: Lowering = (context) => {
  const axes = listOf(context, "axes", 1);
  return (inputs) => {
    const x = first(inputs);
    const dims = [...dimsOf(x)];
    const wanted = axes(inputs) ?? [];
    const rank = dims.length + wanted.length;
    for (const axis of wanted.map((a) => fromFront(a, rank)).sort((a, b) => a - b)) dims.splice(axis, 0, 1);
    return call("reshape", x, dims);
  };
};

/** Expand: broadcasting in both directions. */
const expand: Lowering = () => (inputs) => {
  const x = first(inputs);
  return call("expand", x, broadcast(dimsOf(x), numbersOf(inputs[1])));
};

const tile: Lowering = () => (inputs) => {
  const x = first(inputs);
  const times = numbersOf(inputs[1]);
  bounded(dimsOf(x).map((n, i) => n * (times[i] ?? 1)));
  return call("repeat", x, times);
};

/**
 * DepthToSpace: [N, b b C, H, W] -> [N, C, b H, b W]; DCR has the block first among the channels, CRD (libtorch's pixel
 * shuffle) last.
 */
const depthToSpace: Lowering = (context) => {
  const block = readInt(context.node, "blocksize", 1);
  const mode = readString(context.node, "mode", "DCR");
  if (mode !== "DCR" && mode !== "CRD") throw refuse(context, `the mode ${mode} is not known`);
  return (inputs) => {
    const x = first(inputs);
    if (mode === "CRD") return call("pixel_shuffle", x, block);
    const [n, c, h, w] = dimsOf(x) as [number, number, number, number];
    const depth = Math.floor(c / (block * block));
    const blocks = call("reshape", x, [n, block, block, depth, h, w]); // [N, b, b, C, H, W] -> [N, C, H, b, W, b]
    return call("reshape", call("permute", blocks, [0, 3, 4, 1, 5, 2]), [n, depth, h * block, w * block]);
  };
};

/** SpaceToDepth: [N, C, b H, b W] -> [N, b b C, H, W]. */
const spaceToDepth: Lowering = ({ node }) => {
  const block = readInt(node, "blocksize", 1);
  return (inputs) => {
    const x = first(inputs);
    const [n, c, h, w] = dimsOf(x) as [number, number, number, number];
    const [rows, columns] = [Math.floor(h / block), Math.floor(w / block)];
    const blocks = call("reshape", x, [n, c, rows, block, columns, block]); // -> [N, b, b, C, H, W]
    return call("reshape", call("permute", blocks, [0, 3, 5, 1, 2, 4]), [n, c * block * block, rows, columns]);
  };
};

const trilu: Lowering = ({ node }) => {
  const name = readInt(node, "upper", 1) !== 0 ? "triu" : "tril";
  return (inputs) => call(name, first(inputs), inputs[1] === undefined ? 0 : (numbersOf(inputs[1])[0] ?? 0));
};

export const movement = {
  Reshape: reshape,
  Flatten: flatten,
  Concat: concat,
  Split: split,
  Transpose: transpose,
  Squeeze: squeeze,
  Unsqueeze: unsqueeze,
  Expand: expand,
  Tile: tile,
  DepthToSpace: depthToSpace,
  SpaceToDepth: spaceToDepth,
  Trilu: trilu,
} satisfies Record<string, Lowering>;

// Pools over windows and over whole maps.
import { readInt, readInts } from "../../graph/attributes.js";
import { call, callAll, create, Tensor } from "./aten.js";
import { type Kernel, type Lowering, type LoweringContext, refuse } from "./lowering.js";
import { dimsOf, first, isFloating } from "./values.js";
import { padConstant, symmetric, type Windows, windows } from "./windows.js";

/**
 * As in ONNX Runtime, the automatic pads of a pool do not heed its dilations, and crop where the strides are longer
 * than the kernel.
 */
function automaticPads({ auto, kernel, strides, pads }: Windows, size: readonly number[]): readonly number[] {
  if (auto !== "SAME_UPPER" && auto !== "SAME_LOWER") return pads;
  const totals = size.map((n, i) => (Math.ceil(n / strides[i]!) - 1) * strides[i]! + kernel[i]! - n);
  const begins = totals.map((total) => Math.trunc((auto === "SAME_LOWER" ? total + 1 : total) / 2));
  return [...begins, ...totals.map((total, i) => total - begins[i]!)];
}

/** The begin and end pads that make floor-mode windows give ONNX's output size, ceil_mode included. */
function paddedFor(
  plan: Windows,
  ceil: boolean,
  size: readonly number[],
): { readonly pads: readonly number[]; readonly extra: readonly number[] } {
  const pads = automaticPads(plan, size);
  const rank = size.length;
  const extra = size.map((s, i) => {
    if (!ceil) return 0;
    const span = (plan.kernel[i]! - 1) * plan.dilations[i]! + 1;
    const padded = s + pads[i]! + pads[rank + i]!;
    let out = Math.ceil((padded - span) / plan.strides[i]!) + 1;
    // A window that would start in the end pad is dropped.
    if ((out - 1) * plan.strides[i]! >= s + pads[i]!) out -= 1;
    return Math.max(0, (out - 1) * plan.strides[i]! + span - padded);
  });
  return { pads, extra };
}

const withExtra = (pads: readonly number[], extra: readonly number[]): readonly number[] =>
  pads.map((p, i) => (i < extra.length ? p : p + extra[i - extra.length]!));

function plan(context: LoweringContext): { readonly plan: Windows; readonly ceil: boolean } {
  const kernel = readInts(context.node, "kernel_shape", undefined);
  if (kernel === undefined) throw refuse(context, "kernel_shape is required");
  if (kernel.length < 1 || kernel.length > 3)
    throw refuse(context, `pools over ${kernel.length} spatial axes are not supported`);
  return { plan: windows(context, kernel), ceil: readInt(context.node, "ceil_mode", 0) !== 0 };
}

/** True where libtorch's own padding can do it: the same at both ends and at most half the kernel. */
const native = (plan: Windows, pads: readonly number[]): readonly number[] | undefined => {
  const even = symmetric(pads);
  return even?.every((p, i) => p <= plan.kernel[i]! / 2) ? even : undefined;
};

/** MaxPool: x [N, C, *size]. Also gives the flat indices of the maxima in x when asked. */
const maxPool: Lowering = (context) => {
  const { plan: p, ceil } = plan(context);
  const rank = p.kernel.length;
  const indices = context.node.outputs.length > 1 && context.node.outputs[1] !== "";
  const columnMajor = readInt(context.node, "storage_order", 0) !== 0;
  const pool = `max_pool${rank}d`;
  const { kernel, strides, dilations } = p;
  return whole((x): readonly Tensor[] | Tensor => {
    if (!ceil && !indices && p.auto === "NOTSET") {
      const even = native(p, p.pads);
      if (even !== undefined) return call(pool, x, kernel, strides, even, dilations, false);
    }
    const size = dimsOf(x).slice(2);
    const { pads, extra } = paddedFor(p, ceil, size);
    const all = withExtra(pads, extra);
    const even = native(p, all);
    if (!indices) {
      if (even !== undefined) return call(pool, x, kernel, strides, even, dilations, false);
      return call(
        pool,
        padConstant(x, all, lowest),
        kernel,
        strides,
        kernel.map(() => 0),
        dilations,
        false,
      );
    }
    return withIndices(x, p, all, size, columnMajor);
  });
};

/** libtorch pools floats only: whole numbers (of 8 bits, in ONNX) take the way through float32, exactly. */
function whole(pool: (x: Tensor) => readonly Tensor[] | Tensor): Kernel {
  return (inputs) => {
    const x = first(inputs);
    if (isFloating(x)) return pool(x);
    const y = pool(call("to.dtype", x, "float32"));
    const [maxima, ...rest] = y instanceof Tensor ? [y] : y;
    return [call("to.dtype", maxima!, x.dtype), ...rest];
  };
}

/** The padding that never wins. */
const lowest = Number.NEGATIVE_INFINITY;

/** Maxima and their flat positions in the unpadded x (over N, C and all spatial axes, row-major unless columnMajor). */
function withIndices(
  x: Tensor,
  p: Windows,
  pads: readonly number[],
  size: readonly number[],
  columnMajor: boolean,
): Tensor[] {
  const rank = size.length;
  const padded = padConstant(x, pads, lowest);
  const none = p.kernel.map(() => 0);
  // libtorch has no 1d variant with dilation that returns positions for all types; a leading axis of one gives it.
  const lift = rank === 1;
  const [k, s, z, d] = lift
    ? [
        [1, ...p.kernel],
        [1, ...p.strides],
        [0, 0],
        [1, ...p.dilations],
      ]
    : [p.kernel, p.strides, none, p.dilations];
  const input = lift ? call("unsqueeze", padded, 2) : padded;
  const [y, at] = callAll(`max_pool${lift ? 2 : rank}d_with_indices`, input, k, s, z, d, false) as [Tensor, Tensor];
  const [maxima, places] = lift ? [call("squeeze.dim", y, 2), call("squeeze.dim", at, 2)] : [y, at];
  // Positions within the padded map of one channel -> coordinates -> positions in x.
  const full = size.map((n, i) => n + pads[i]! + pads[rank + i]!);
  const order = [...size.keys()];
  let rest = places;
  const coordinates = new Array<Tensor>(rank);
  for (const axis of [...order].reverse()) {
    coordinates[axis] = call("sub.Scalar", call("remainder.Scalar", rest, full[axis]!), pads[axis]!);
    rest = call("div.Scalar_mode", rest, full[axis]!, { rounding_mode: "floor" });
  }
  const steps = columnMajor ? order : [...order].reverse();
  let stride = 1;
  let flat = call("zeros_like", places);
  for (const axis of steps) {
    flat = call("add.Tensor", flat, call("mul.Scalar", coordinates[axis]!, stride));
    stride *= size[axis]!;
  }
  const [n, c] = [x.shape[0]!, x.shape[1]!];
  const maps = call("mul.Scalar", call("view", create("arange", "int64", n * c), [n, c, ...size.map(() => 1)]), stride);
  return [maxima, call("add.Tensor", flat, maps)];
}

/** AveragePool: x [N, C, *size]; pads count only with count_include_pad, what ceil_mode adds never does. */
const averagePool: Lowering = (context) => {
  const { plan: p, ceil } = plan(context);
  const { kernel, strides, dilations } = p;
  const rank = kernel.length;
  const include = readInt(context.node, "count_include_pad", 0) !== 0;
  const dilated = dilations.some((d) => d !== 1);
  const pool = `avg_pool${rank}d`;
  return (inputs) => {
    const x = first(inputs);
    const size = dimsOf(x).slice(2);
    const { pads, extra } = paddedFor(p, ceil, size);
    const even = extra.every((e) => e === 0) && !dilated ? native(p, pads) : undefined;
    if (even !== undefined) return call(pool, x, kernel, strides, even, false, include);
    const sum = (input: Tensor): Tensor => sumWindows(input, p);
    const total = sum(padConstant(x, withExtra(pads, extra), 0));
    const ones = create("ones", x.dtype, [1, 1, ...size]);
    const counted = include
      ? padConstant(
          padConstant(ones, pads, 1),
          withExtra(
            pads.map(() => 0),
            extra,
          ),
          0,
        )
      : padConstant(ones, withExtra(pads, extra), 0);
    return call("div.Tensor", total, sum(counted));
  };
};

/** Sums over the windows of x, which is padded already. */
function sumWindows(x: Tensor, { kernel, strides, dilations }: Windows): Tensor {
  const count = kernel.reduce((a, b) => a * b, 1);
  const none = kernel.map(() => 0);
  if (dilations.every((d) => d === 1)) {
    return call("mul.Scalar", call(`avg_pool${kernel.length}d`, x, kernel, strides, none, false, true), count);
  }
  const channels = x.shape[1]!;
  const weight = create("ones", x.dtype, [channels, 1, ...kernel]);
  return call("convolution", x, weight, null, strides, none, dilations, false, none, channels);
}

/** LpPool: the p-norm over each window. */
const lpPool: Lowering = (context) => {
  const { plan: w, ceil } = plan(context);
  const p = readInt(context.node, "p", 2);
  return (inputs) => {
    const x = first(inputs);
    const { pads, extra } = paddedFor(w, ceil, dimsOf(x).slice(2));
    const powers = call("pow.Tensor_Scalar", call("abs", padConstant(x, withExtra(pads, extra), 0)), p);
    return call("pow.Tensor_Scalar", sumWindows(powers, w), 1 / p);
  };
};

const spatial = (x: Tensor): number[] => x.shape.map((_, i) => i).slice(2);

const globalAveragePool: Lowering = () => (inputs) => {
  const x = first(inputs);
  return call("mean.dim", x, spatial(x), true);
};

const globalMaxPool: Lowering = () => (inputs) => {
  const x = first(inputs);
  return call("amax", x, spatial(x), true);
};

const globalLpPool: Lowering = ({ node }) => {
  const p = readInt(node, "p", 2);
  return (inputs) => {
    const x = first(inputs);
    return call("linalg_vector_norm", x, p, spatial(x), true);
  };
};

export const pools = {
  MaxPool: maxPool,
  AveragePool: averagePool,
  LpPool: lpPool,
  GlobalAveragePool: globalAveragePool,
  GlobalMaxPool: globalMaxPool,
  GlobalLpPool: globalLpPool,
} satisfies Record<string, Lowering>;

// Conv, ConvTranspose, MatMul and Gemm.
import { readFloat, readInt, readInts } from "../../graph/attributes.js";
import { call } from "./aten.js";
import { bounded, broadcast } from "./limits.js";
import { type Kernel, type Lowering, type LoweringContext, refuse } from "./lowering.js";
import { dimsOf, first, tensor } from "./values.js";
import { padConstant, padded, padsFor, symmetric, type Windows, windows } from "./windows.js";

/** Conv: x [N, C, *size], W [M, C / group, *kernel], B [M] or none. */
const conv: Lowering = (context) => {
  const group = readInt(context.node, "group", 1);
  return withKernel(context, (plan) => {
    const { strides, dilations } = plan;
    const none = plan.kernel.map(() => 0);
    const fixed = plan.auto === "NOTSET" || plan.auto === "VALID" ? plan.pads : undefined;
    const even = fixed && symmetric(fixed);
    if (even?.every((p) => p <= 64)) {
      return ([x, weight, bias]) => {
        const b = bias === undefined ? null : tensor(bias);
        return call("convolution", tensor(x), tensor(weight), b, strides, even, dilations, false, none, group);
      };
    }
    return ([input, weight, bias]) => {
      const x = tensor(input);
      const b = bias === undefined ? null : tensor(bias);
      const pads = fixed ?? padsFor(plan, x.shape.slice(2));
      bounded([dimsOf(weight)[0] ?? 1, ...padded(x.shape, pads)]);
      const wide = padConstant(x, pads, 0);
      const y = call("convolution", wide, tensor(weight), b, strides, none, dilations, false, none, group);
      wide.dispose();
      return y;
    };
  });
};

/** Builds the kernel at once where the window's size is known, else at the first run for each size. */
function withKernel(context: LoweringContext, build: (plan: Windows) => Kernel): Kernel {
  const stated = readInts(context.node, "kernel_shape", undefined) ?? context.dims[1]?.slice(2);
  if (stated !== undefined) return build(windows(context, stated));
  const built = new Map<string, Kernel>();
  return (inputs, run) => {
    const kernel = dimsOf(inputs[1]).slice(2);
    const key = kernel.join();
    let made = built.get(key);
    if (made === undefined) built.set(key, (made = build(windows(context, kernel))));
    return made(inputs, run);
  };
}

/** ConvTranspose: x [N, C, *size], W [C, M / group, *kernel], B [M] or none. `output_shape` sets the pads. */
const convTranspose: Lowering = (context) => {
  const group = readInt(context.node, "group", 1);
  const outputShape = readInts(context.node, "output_shape", undefined);
  return withKernel(context, (plan) => {
    const { kernel, strides, dilations } = plan;
    const none = kernel.map(() => 0);
    const extra = readInts(context.node, "output_padding", none);
    if (extra.length !== none.length) throw refuse(context, "output_padding must fit the spatial axes");
    return ([input, weight, bias]) => {
      const [x, w, b] = [tensor(input), tensor(weight), bias === undefined ? null : tensor(bias)];
      const dims = x.shape;
      const size = dims.slice(2);
      const full = size.map((n, i) =>
        Math.max(0, (n - 1) * strides[i]! + (kernel[i]! - 1) * dilations[i]! + 1 + extra[i]!),
      );
      bounded([dims[0] ?? 1, (w.shape[1] ?? 1) * group, ...full]);
      const pads = transposedPads(plan, size, extra, outputShape);
      const even = symmetric(pads);
      if (even !== undefined && extra.every((e, i) => e < Math.max(strides[i]!, dilations[i]!))) {
        return call("convolution", x, w, b, strides, even, dilations, true, extra, group);
      }
      // Pads crop the full result; output_padding lengthens it at the end, where only the bias is.
      const whole = call("convolution", x, w, null, strides, none, dilations, true, none, group);
      const cropped = pads.map((p, i) => (i < none.length ? -p : extra[i - none.length]! - p));
      const y = padConstant(whole, cropped, 0);
      whole.dispose();
      return b === null ? y : call("add.Tensor", y, call("reshape", b, [-1, ...none.map(() => 1)]));
    };
  });
};

/** The pads of a ConvTranspose: stated, or from the output's size (stride * size for SAME). */
function transposedPads(
  plan: Windows,
  size: readonly number[],
  extra: readonly number[],
  stated?: readonly number[],
): readonly number[] {
  const same = plan.auto === "SAME_UPPER" || plan.auto === "SAME_LOWER";
  if (stated === undefined && !same) return plan.pads;
  const wanted = stated?.slice(-size.length) ?? size.map((s, i) => s * plan.strides[i]!);
  const totals = wanted.map(
    (out, i) => plan.strides[i]! * (size[i]! - 1) + extra[i]! + (plan.kernel[i]! - 1) * plan.dilations[i]! + 1 - out,
  );
  const half = totals.map((total) => Math.floor(total / 2));
  const rest = totals.map((total, i) => total - half[i]!);
  return plan.auto === "SAME_UPPER" ? [...half, ...rest] : [...rest, ...half];
}

const matMul: Lowering = () => (inputs) => {
  const [a, b] = [first(inputs), tensor(inputs[1])];
  const [m, n] = [a.shape, b.shape];
  bounded([...broadcast(m.slice(0, -2), n.slice(0, -2)), m.length > 1 ? m.at(-2)! : 1, n.length > 1 ? n.at(-1)! : 1]);
  return call("matmul", a, b);
};

/** Gemm: alpha * A' B' + beta * C; A' [M, K], B' [K, N], C broadcast to [M, N]. */
const gemm: Lowering = ({ node }) => {
  const alpha = readFloat(node, "alpha", 1);
  const beta = readFloat(node, "beta", 1);
  const [transA, transB] = [readInt(node, "transA", 0) !== 0, readInt(node, "transB", 0) !== 0];
  return (inputs) => {
    const a = transA ? call("t", first(inputs)) : first(inputs);
    const b = transB ? call("t", tensor(inputs[1])) : tensor(inputs[1]);
    bounded([a.shape[0] ?? 1, b.shape[1] ?? 1]);
    const c = inputs[2];
    if (c === undefined) return alpha === 1 ? call("mm", a, b) : call("mul.Scalar", call("mm", a, b), alpha);
    return call("addmm", tensor(c), a, b, { alpha, beta });
  };
};

export const convolutions = { Conv: conv, ConvTranspose: convTranspose, MatMul: matMul, Gemm: gemm } satisfies Record<
  string,
  Lowering
>;

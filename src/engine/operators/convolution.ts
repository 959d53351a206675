// Conv, ConvTranspose, MatMul and Gemm.
import { readFloat, readInt, readInts } from "../../graph/attributes.js";
import { call, type Tensor } from "./aten.js";
import { type Kernel, type Lowering, refuse, type Site } from "./site.js";
import { dimsOf, first, tensor } from "./values.js";
import { padConstant, padsFor, symmetric, type Windows, windows } from "./windows.js";

/** Conv: x [N, C, *size], W [M, C / group, *kernel], B [M] or none. */
const conv: Lowering = (site) => {
  const group = readInt(site.node, "group", 1);
  const run = (plan: Windows, pads: readonly number[], x: Tensor, weight: Tensor, bias: Tensor | null): Tensor => {
    const even = symmetric(pads);
    const padding = even ?? plan.kernel.map(() => 0);
    const padded = even === undefined ? padConstant(x, pads, 0) : x;
    const y = call(
      "convolution",
      padded,
      weight,
      bias,
      plan.strides,
      padding,
      plan.dilations,
      false,
      plan.kernel.map(() => 0),
      group,
    );
    if (padded !== x) padded.dispose();
    return y;
  };
  return withKernel(site, (plan) => {
    if (plan.auto === "NOTSET" || plan.auto === "VALID") {
      const even = symmetric(plan.pads);
      const none = plan.kernel.map(() => 0);
      const { strides, dilations, pads } = plan;
      return ([x, weight, bias]) => {
        const b = bias === undefined ? null : tensor(bias);
        if (even === undefined) return run(plan, pads, tensor(x), tensor(weight), b);
        return call("convolution", tensor(x), tensor(weight), b, strides, even, dilations, false, none, group);
      };
    }
    return ([x, weight, bias]) =>
      run(plan, padsFor(plan, dimsOf(x).slice(2)), tensor(x), tensor(weight), bias === undefined ? null : tensor(bias));
  });
};

/** Builds the kernel at once where the window's size is known, else at the first run for each size. */
function withKernel(site: Site, build: (plan: Windows) => Kernel): Kernel {
  const stated = readInts(site.node, "kernel_shape", undefined) ?? site.dims[1]?.slice(2);
  if (stated !== undefined) return build(windows(site, stated));
  const built = new Map<string, Kernel>();
  return (inputs, run) => {
    const kernel = dimsOf(inputs[1]).slice(2);
    const key = kernel.join();
    let made = built.get(key);
    if (made === undefined) built.set(key, (made = build(windows(site, kernel))));
    return made(inputs, run);
  };
}

/** ConvTranspose: x [N, C, *size], W [C, M / group, *kernel], B [M] or none. `output_shape` sets the pads. */
const convTranspose: Lowering = (site) => {
  const group = readInt(site.node, "group", 1);
  const outputShape = readInts(site.node, "output_shape", undefined);
  return withKernel(site, (plan) => {
    const extra = readInts(
      site.node,
      "output_padding",
      plan.kernel.map(() => 0),
    );
    const none = plan.kernel.map(() => 0);
    if (extra.length !== none.length) throw refuse(site, "output_padding must fit the spatial axes");
    return ([x, weight, bias]) => {
      const size = dimsOf(x).slice(2);
      const pads = transposedPads(plan, size, extra, outputShape);
      const b = bias === undefined ? null : tensor(bias);
      const even = symmetric(pads);
      // libtorch wants output_padding below stride or dilation; ONNX's is zeros at the end, which negative pads give too.
      if (even !== undefined && extra.every((e, i) => e < Math.max(plan.strides[i]!, plan.dilations[i]!))) {
        return call("convolution", tensor(x), tensor(weight), b, plan.strides, even, plan.dilations, true, extra, group);
      }
      const whole = call("convolution", tensor(x), tensor(weight), b, plan.strides, none, plan.dilations, true, none, group);
      const rank = none.length;
      if (!extra.some((e) => e > 0)) return crop(whole, pads);
      // What lies beyond the full result is bias alone: pad before the bias is added.
      whole.dispose();
      const bare = call("convolution", tensor(x), tensor(weight), null, plan.strides, none, plan.dilations, true, none, group);
      const grown = crop(
        bare,
        pads.map((p, i) => (i < rank ? p : p - extra[i - rank]!)),
      );
      return b === null ? grown : call("add.Tensor", grown, call("view", b, [-1, ...none.map(() => 1)]));
    };
  });
};

function crop(x: Tensor, pads: readonly number[]): Tensor {
  return padConstant(
    x,
    pads.map((p) => -p),
    0,
  );
}

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

const matMul: Lowering = () => (inputs) => call("matmul", first(inputs), tensor(inputs[1]));

/** Gemm: alpha * A' B' + beta * C; A' [M, K], B' [K, N], C broadcast to [M, N]. */
const gemm: Lowering = ({ node }) => {
  const alpha = readFloat(node, "alpha", 1);
  const beta = readFloat(node, "beta", 1);
  const [transA, transB] = [readInt(node, "transA", 0) !== 0, readInt(node, "transB", 0) !== 0];
  return (inputs) => {
    const a = transA ? call("t", first(inputs)) : first(inputs);
    const b = transB ? call("t", tensor(inputs[1])) : tensor(inputs[1]);
    const c = inputs[2];
    if (c === undefined) return alpha === 1 ? call("mm", a, b) : call("mul.Scalar", call("mm", a, b), alpha);
    return call("addmm", tensor(c), a, b, { alpha, beta });
  };
};

export const convolutions = { Conv: conv, ConvTranspose: convTranspose, MatMul: matMul, Gemm: gemm } satisfies Record<
  string,
  Lowering
>;

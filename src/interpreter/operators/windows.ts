// Where windows go: explicit and automatic pads, strides and dilations, as convolutions and pools share them.
import { FilterBasisError } from "../../errors/error.js";
import { nodeName, readInts, readString } from "../../graph/attributes.js";
import { call, type Tensor } from "./aten.js";
import { bounded } from "./limits.js";
import { type LoweringContext, refuse } from "./lowering.js";

export interface Windows {
  readonly kernel: readonly number[];
  readonly strides: readonly number[];
  readonly dilations: readonly number[];
  /** "NOTSET" takes `pads`; the others follow from the input's size. */
  readonly auto: string;
  /** Begins, then ends, per spatial axis. */
  readonly pads: readonly number[];
}

/** The attributes of a windowed operator over `kernel` [k1 ... kn]. */
export function windows(context: Pick<LoweringContext, "node">, kernel: readonly number[]): Windows {
  const rank = kernel.length;
  const ones = kernel.map(() => 1);
  const auto = readString(context.node, "auto_pad", "NOTSET");
  const known = ["NOTSET", "SAME_UPPER", "SAME_LOWER", "VALID", ""];
  if (!known.includes(auto)) throw refuse(context, `auto_pad ${auto} is not known`);
  const read = {
    kernel,
    strides: readInts(context.node, "strides", ones),
    dilations: readInts(context.node, "dilations", ones),
    auto: auto === "" ? "NOTSET" : auto,
    pads: auto === "VALID" ? [...ones, ...ones].fill(0) : readInts(context.node, "pads", [...ones, ...ones].fill(0)),
  };
  if (read.strides.length !== rank || read.dilations.length !== rank || read.pads.length !== 2 * rank) {
    throw refuse(context, `strides, dilations and pads must fit ${rank} spatial axes`);
  }
  const all = [...kernel, ...read.strides, ...read.dilations, ...read.pads];
  if (all.some((n) => !(Math.abs(n) < 2 ** 31))) {
    throw new FilterBasisError("too-large", "the sizes of a window are implausibly large", {
      node: nodeName(context.node),
      op: context.node.op,
    });
  }
  if (read.strides.some((s) => s < 1) || read.dilations.some((d) => d < 1) || kernel.some((k) => k < 1)) {
    throw refuse(context, "kernel, strides and dilations must be positive");
  }
  return read;
}

/** Begins and ends for an input of the given spatial size. */
export function padsFor(
  { kernel, strides, dilations, auto, pads }: Windows,
  size: readonly number[],
): readonly number[] {
  if (auto !== "SAME_UPPER" && auto !== "SAME_LOWER") return pads;
  const totals = kernel.map((k, i) => {
    const stride = strides[i]!;
    const out = Math.ceil(size[i]! / stride);
    return Math.max(0, (out - 1) * stride + (k - 1) * dilations[i]! + 1 - size[i]!);
  });
  const small = totals.map((total) => Math.floor(total / 2));
  const large = totals.map((total, i) => total - small[i]!);
  return auto === "SAME_UPPER" ? [...small, ...large] : [...large, ...small];
}

/** The pads as one number per axis, where begins equal ends and none is negative. */
export function symmetric(pads: readonly number[]): readonly number[] | undefined {
  const rank = pads.length / 2;
  for (let i = 0; i < rank; i++) if (pads[i] !== pads[rank + i] || pads[i]! < 0) return undefined;
  return pads.slice(0, rank);
}

/**
 * The dims with pads at the last axes.
 * @throws FilterBasisError `too-large`, `shape-mismatch` where more is cropped than there is
 */
export function padded(dims: readonly number[], pads: readonly number[]): readonly number[] {
  const rank = pads.length / 2;
  const lead = dims.length - rank;
  return bounded(dims.map((n, i) => (i < lead ? n : n + pads[i - lead]! + pads[i - lead + rank]!)));
}

/** Pads of the last axes in libtorch's order (last axis first, begin before end). */
function torchPads(pads: readonly number[]): number[] {
  const rank = pads.length / 2;
  const out: number[] = [];
  for (let i = rank - 1; i >= 0; i--) out.push(pads[i]!, pads[rank + i]!);
  return out;
}

/** x padded (or, where negative, cropped) at its last axes with a constant. */
export function padConstant(x: Tensor, pads: readonly number[], value: number): Tensor {
  padded(x.shape, pads);
  return call("constant_pad_nd", x, torchPads(pads), value);
}

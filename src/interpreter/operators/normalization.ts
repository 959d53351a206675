// Normalisations.
import { FilterBasisError } from "../../errors/error.js";
import { readFloat, readInt } from "../../graph/attributes.js";
import { trainingMode } from "../../ops/normalisation.js";
import { call, callAll, noGrad, type Tensor } from "./aten.js";
import { sameDims } from "./limits.js";
import { type Lowering, refuse, type Value } from "./lowering.js";
import { dimsOf, first, fromFront, tensor } from "./values.js";
import { padConstant } from "./windows.js";

const product = (dims: readonly number[]): number => dims.reduce((a, b) => a * b, 1);

/**
 * BatchNormalization: x [N, C, ...], scale, bias, mean, variance [C]. In training, batch statistics, the running ones
 * updated in place as PyTorch does (unbiased variance; its momentum is 1 - ONNX's). A node with `training_mode` set
 * computes ONNX's outputs (biased variance) outside training.
 */
const batchNormalization: Lowering = (context) => {
  const { node, opset } = context;
  const epsilon = readFloat(node, "epsilon", 1e-5);
  const momentum = 1 - readFloat(node, "momentum", 0.9);
  if (opset < 9 && readInt(node, "spatial", 1) === 0)
    throw refuse(context, "statistics per position (spatial = 0) are not supported");
  const mode = trainingMode(node, opset);
  if (mode !== undefined && opset < 14) throw refuse(context, mode);
  const stated = mode !== undefined;
  if (!stated && node.outputs.slice(1).some(Boolean))
    throw refuse(context, "statistics are given out with training_mode only");
  return ([x, scale, bias, mean, variance], { training }) => {
    const [w, b, m, v] = [tensor(scale), tensor(bias), tensor(mean), tensor(variance)];
    if (stated && !training) return withStatistics(tensor(x), w, b, m, v, momentum, epsilon);
    const input = tensor(x);
    if (training && input.size === v.size) {
      throw new FilterBasisError("shape-mismatch", "batch statistics need more than one number a channel", {
        got: `[${input.shape}]`,
      });
    }
    const y = call("batch_norm", input, w, b, m, v, training, momentum, epsilon, false);
    return node.outputs.length === 1 ? y : [y, call("alias", m), call("alias", v)];
  };
};

/** Batch statistics and the running ones after this batch, as new tensors: ONNX's training mode. */
function withStatistics(
  x: Tensor,
  scale: Tensor,
  bias: Tensor,
  mean: Tensor,
  variance: Tensor,
  momentum: number,
  epsilon: number,
): Value[] {
  const y = call("batch_norm", x, scale, bias, null, null, true, 0, epsilon, false);
  const axes = [...x.shape.keys()].filter((i) => i !== 1);
  const [v, m] = callAll("var_mean.correction", x, axes, { correction: 0 });
  const blend = (old: Tensor, now: Tensor): Tensor => noGrad(() => call("lerp.Scalar", old, now, momentum));
  return [y, blend(mean, m!), blend(variance, v!)];
}

/** InstanceNormalization: every channel of every sample on its own. */
const instanceNormalization: Lowering = ({ node }) => {
  const epsilon = readFloat(node, "epsilon", 1e-5);
  return ([x, scale, bias]) =>
    call("instance_norm", tensor(x), tensor(scale), tensor(bias), null, null, true, 0, epsilon, false);
};

/** GroupNormalization: x [N, C, ...]; scale and bias have one number a group before opset 21, one a channel since. */
const groupNormalization: Lowering = (context) => {
  const epsilon = readFloat(context.node, "epsilon", 1e-5);
  const groups = readInt(context.node, "num_groups", undefined);
  if (groups === undefined) throw refuse(context, "num_groups is required");
  return ([input, scale, bias]) => {
    const x = tensor(input);
    const channels = dimsOf(x)[1]!;
    const perChannel = (t: Tensor): Tensor => {
      if (product(t.shape) === channels) return t;
      return call("reshape", call("expand", call("reshape", t, [groups, 1]), [groups, channels / groups]), [channels]);
    };
    return call("group_norm", x, groups, perChannel(tensor(scale)), perChannel(tensor(bias)), epsilon, false);
  };
};

/** LayerNormalization over the axes from `axis` on; also gives mean and inverse deviation where asked. */
const layerNormalization: Lowering = ({ node }) => {
  const axis = readInt(node, "axis", -1);
  const epsilon = readFloat(node, "epsilon", 1e-5);
  return ([input, scale, bias]) => {
    const x = tensor(input);
    const dims = dimsOf(x);
    const shape = dims.slice(fromFront(axis, dims.length));
    const [w, b] = [tensor(scale), bias === undefined ? null : tensor(bias)];
    if (sameDims(w.shape, shape) && (b === null || sameDims(b.shape, shape))) {
      return [...callAll("native_layer_norm", x, shape, w, b, epsilon)];
    }
    const [y, mean, inverse] = callAll("native_layer_norm", x, shape, null, null, epsilon) as [Tensor, Tensor, Tensor];
    const scaled = call("mul.Tensor", y, w);
    return [b === null ? scaled : call("add.Tensor", scaled, b), mean, inverse];
  };
};

/** LRN: x / (bias + alpha / size * sum of squares over `size` neighbouring channels)^beta. */
const lrn: Lowering = (context) => {
  const { node } = context;
  const size = readInt(node, "size", undefined);
  if (size === undefined || size < 1) throw refuse(context, "size is required");
  const [alpha, beta, bias] = [
    readFloat(node, "alpha", 0.0001),
    readFloat(node, "beta", 0.75),
    readFloat(node, "bias", 1),
  ];
  const before = Math.floor((size - 1) / 2);
  return (inputs) => {
    const x = first(inputs);
    const dims = dimsOf(x);
    const flat = call("reshape", call("mul.Tensor", x, x), [dims[0]!, 1, dims[1]!, product(dims.slice(2))]); // [N, 1, C, HW]
    const wide = padConstant(flat, [before, 0, size - 1 - before, 0], 0);
    const mean = call("reshape", call("avg_pool2d", wide, [size, 1], [1, 1], [0, 0], false, true), dims);
    const divisor = call("pow.Tensor_Scalar", call("add.Scalar", call("mul.Scalar", mean, alpha), bias), beta);
    return call("div.Tensor", x, divisor);
  };
};

/** LpNormalization: divided by the p-norm along an axis; zero stays zero. */
const lpNormalization: Lowering = ({ node }) => {
  const [axis, p] = [readInt(node, "axis", -1), readInt(node, "p", 2)];
  return (inputs) => {
    const x = first(inputs);
    const norm = call("linalg_vector_norm", x, p, [axis], true);
    return call("div.Tensor", x, call("where.ScalarSelf", call("eq.Scalar", norm, 0), 1, norm));
  };
};

/** MeanVarianceNormalization: (x - mean) / deviation over the axes. */
const meanVarianceNormalization: Lowering = ({ node }) => {
  const axes = node.attributes.get("axes");
  const over = axes?.kind === "ints" ? axes.value.map(Number) : [0, 2, 3];
  return (inputs) => {
    const x = first(inputs);
    const centred = call("sub.Tensor", x, call("mean.dim", x, over, true));
    const deviation = call("sqrt", call("mean.dim", call("mul.Tensor", centred, centred), over, true));
    return call("div.Tensor", centred, call("add.Scalar", deviation, 1e-9));
  };
};

export const normalizations = {
  BatchNormalization: batchNormalization,
  InstanceNormalization: instanceNormalization,
  GroupNormalization: groupNormalization,
  LayerNormalization: layerNormalization,
  LRN: lrn,
  LpNormalization: lpNormalization,
  MeanVarianceNormalization: meanVarianceNormalization,
} satisfies Record<string, Lowering>;

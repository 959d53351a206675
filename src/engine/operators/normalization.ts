// BatchNormalization and its relatives.
import { readFloat, readInt } from "../../graph/attributes.js";
import { call, callAll, noGrad, type Tensor } from "./aten.js";
import { type Lowering, refuse, type Value } from "./site.js";
import { tensor } from "./values.js";

/**
 * BatchNormalization: x [N, C, ...], scale, bias, mean, variance [C]. In training, batch statistics, the running ones updated in place as PyTorch does
 * (unbiased variance; its momentum is 1 - ONNX's). A node with `training_mode` set computes ONNX's outputs (biased variance) instead.
 */
const batchNormalization: Lowering = (site) => {
  const { node, opset } = site;
  const epsilon = readFloat(node, "epsilon", 1e-5);
  const momentum = 1 - readFloat(node, "momentum", 0.9);
  if (opset < 9 && readInt(node, "spatial", 1) === 0)
    throw refuse(site, "statistics per position (spatial = 0) are not supported");
  const stated = opset >= 14 && readInt(node, "training_mode", 0) !== 0;
  if (node.outputs.slice(1).some(Boolean) && (!stated || node.outputs.slice(3).some(Boolean))) {
    throw refuse(site, "outputs of statistics are supported with training_mode only");
  }
  return ([x, scale, bias, mean, variance], { training }) => {
    const [m, v] = [tensor(mean), tensor(variance)];
    if (stated && !training) return withStatistics(tensor(x), tensor(scale), tensor(bias), m, v, momentum, epsilon);
    const y = call("batch_norm", tensor(x), tensor(scale), tensor(bias), m, v, training, momentum, epsilon, false);
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
  const axes = x.shape.map((_, i) => i).filter((i) => i !== 1);
  const [v, m] = callAll("var_mean.correction", x, axes, { correction: 0 });
  const blend = (old: Tensor, now: Tensor): Tensor => noGrad(() => call("lerp.Scalar", old, now, momentum));
  return [y, blend(mean, m!), blend(variance, v!)];
}

export const normalizations = { BatchNormalization: batchNormalization } satisfies Record<string, Lowering>;

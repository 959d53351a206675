// ResNet for CIFAR written out with the engine's operators, over a network's tensors by name: nothing in it is
// disposed.
import type { Tensor } from "../src/torch/index.js";
import * as ops from "../src/torch/ops.js";

/** Classes of a batch [N, 3, 32, 32], in training mode. */
export function plainResnet(
  depth: number,
  parameters: ReadonlyMap<string, Tensor>,
  buffers: ReadonlyMap<string, Tensor>,
  input: Tensor,
): Tensor {
  const get = (name: string) => parameters.get(name) ?? buffers.get(name)!;
  const conv = (x: Tensor, name: string, stride = 1) =>
    ops.conv2d(x, get(`${name}.weight`), parameters.get(`${name}.bias`) ?? null, stride, 1);
  const norm = (x: Tensor, name: string) =>
    ops.batchNorm(
      x,
      get(`${name}.weight`),
      get(`${name}.bias`),
      get(`${name}.running_mean`),
      get(`${name}.running_var`),
      true,
      0.1,
      1e-5,
      true,
    );
  let x = ops.relu(norm(conv(input, "features.0.0"), "features.0.1"));
  for (let stage = 0; stage < 3; stage++)
    for (let block = 0; block < (depth - 2) / 6; block++) {
      const path = `features.${stage + 1}.${block}.body`;
      const stride = stage > 0 && block === 0 ? 2 : 1;
      const y = norm(conv(ops.relu(norm(conv(x, `${path}.0`, stride), `${path}.1`)), `${path}.3`), `${path}.4`);
      const half = (x.shape[1] ?? 0) / 2;
      if (stride === 2) x = ops.constantPadNd(ops.avgPool2d(x, 2), [0, 0, 0, 0, half, half]);
      x = ops.relu(ops.add(y, x));
    }
  return ops.linear(ops.flatten(ops.avgPool2d(x, 8), 1), get("classifier.weight"), get("classifier.bias"));
}

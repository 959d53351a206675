// ResNet for CIFAR (He et al., 2016): 6 n + 2 layers in three stages of 16, 32 and 64 channels, shortcuts without
// parameters.
import { FilterBasisError } from "../errors/error.js";
import { int64Tensor } from "../graph/attributes.js";
import { GraphBuilder } from "../graph/builder.js";
import { type InitRule, initialiser } from "../graph/initialise.js";
import type { Graph } from "../graph/types.js";

export interface ResNetOptions {
  readonly classes?: number;
  /** Channels of the three stages. */
  readonly widths?: readonly number[];
  /**
   * How a shortcut halves the image before zero channels are padded on both sides: `average` is the authors' 2 x 2
   * mean, `stride` is the every-second-pixel of He et al. and of most published weights.
   */
  readonly shortcut?: "average" | "stride";
  /** The authors' first convolution has a bias; that of He et al. has none. */
  readonly stemBias?: boolean;
  /** `authors` is PyTorch's default for this network; their compressed ResNets use `kaiming`. */
  readonly init?: InitRule | "authors";
  readonly seed?: number;
}

/** ResNet of 20, 32, 44, 56, 110, ... layers. Input `input` [N, 3, 32, 32], output `output` [N, classes]. */
export function resnet(
  depth: number,
  {
    classes = 10,
    widths = [16, 32, 64],
    shortcut = "average",
    stemBias = true,
    init = "authors",
    seed = 1,
  }: ResNetOptions = {},
): Graph {
  const blocks = (depth - 2) / 6;
  if (!Number.isInteger(blocks) || blocks < 1)
    throw new FilterBasisError("usage", "no ResNet for CIFAR has this depth", {
      field: "depth",
      expected: "6 n + 2: 8, 14, 20, ...",
      got: String(depth),
    });
  const net = new GraphBuilder(`resnet${depth}`, initialiser(init === "authors" ? "default" : init, seed));
  const first = widths[0] ?? 16;
  let x = net.input("input", ["N", 3, 32, 32]);
  x = net.conv(x, "features.0.0", { inChannels: 3, outChannels: first, bias: stemBias });
  x = net.norm(x, "features.0.1", first);
  x = net.relu(x, "features.0.2");
  let channels = first;
  widths.forEach((width, stage) => {
    for (let block = 0; block < blocks; block++) {
      const stride = stage > 0 && block === 0 ? 2 : 1;
      x = residual(net, x, `features.${stage + 1}.${block}`, channels, width, stride, shortcut);
      channels = width;
    }
  });
  x = net.pool(x, "pooling", "average", 32 >> (widths.length - 1));
  x = net.classifier(x, "classifier", channels, classes, "output");
  return net.finish(x, ["N", classes]);
}

/** conv, norm, ReLU, conv, norm, plus the shortcut, ReLU. */
function residual(
  net: GraphBuilder,
  x: string,
  path: string,
  inChannels: number,
  outChannels: number,
  stride: number,
  shortcut: "average" | "stride",
): string {
  let y = net.conv(x, `${path}.body.0`, { inChannels, outChannels, stride, bias: false });
  y = net.norm(y, `${path}.body.1`, outChannels);
  y = net.relu(y, `${path}.body.2`);
  y = net.conv(y, `${path}.body.3`, { inChannels: outChannels, outChannels, bias: false });
  y = net.norm(y, `${path}.body.4`, outChannels);
  let z = x;
  if (stride > 1)
    z =
      shortcut === "average" ? net.pool(x, `${path}.shortcut`, "average", 2) : everySecond(net, x, `${path}.shortcut`);
  if (outChannels > inChannels) {
    const before = (outChannels - inChannels) >> 1;
    z = net.padChannels(z, `${path}.shortcut.pad`, before, outChannels - inChannels - before);
  }
  return net.relu(net.add(y, z, `${path}.add`), `${path}.relu`);
}

/** [N, C, H, W] -> [N, C, ceil(H / 2), ceil(W / 2)]: rows and columns 0, 2, 4, ... */
function everySecond(net: GraphBuilder, x: string, path: string): string {
  const starts = net.constant(`${path}.starts`, () => int64Tensor([2], [0, 0]));
  const ends = net.constant(`${path}.ends`, () => int64Tensor([2], [2n ** 63n - 1n, 2n ** 63n - 1n]));
  const axes = net.constant(`${path}.axes`, () => int64Tensor([2], [2, 3]));
  const steps = net.constant(`${path}.steps`, () => int64Tensor([2], [2, 2]));
  return net.node("Slice", [x, starts, ends, axes, steps], path);
}

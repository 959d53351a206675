// DenseNet for CIFAR (Huang et al., 2017): three dense blocks; every layer adds `growth` channels to what it was given.
import { FilterBasisError } from "../errors/error.js";
import { GraphBuilder } from "../graph/builder.js";
import { type InitRule, initialiser } from "../graph/initialise.js";
import type { Graph } from "../graph/types.js";

export interface DenseNetOptions {
  readonly depth?: number;
  /** Channels that a layer adds (k). */
  readonly growth?: number;
  /** What a transition keeps of the channels; 1 in DenseNet-12-40, 0.5 in BC. */
  readonly reduction?: number;
  /** BC: a 1 x 1 convolution to 4 k channels before every 3 x 3. */
  readonly bottleneck?: boolean;
  readonly classes?: number;
  /** `authors` is `kaiming`. */
  readonly init?: InitRule | "authors";
  readonly seed?: number;
}

/** DenseNet. Input `input` [N, 3, 32, 32], output `output` [N, classes]. */
export function densenet({
  depth = 40,
  growth = 12,
  reduction = 1,
  bottleneck = false,
  classes = 10,
  init = "authors",
  seed = 1,
}: DenseNetOptions = {}): Graph {
  const layers = (depth - 4) / (bottleneck ? 6 : 3);
  if (!Number.isInteger(layers) || layers < 1)
    throw new FilterBasisError("usage", "no DenseNet of three blocks has this depth", {
      field: "depth",
      expected: bottleneck ? "6 n + 4: 16, 22, 28, ..." : "3 n + 4: 7, 10, 13, ...",
      got: String(depth),
    });
  if (!(reduction > 0 && reduction <= 1))
    throw new FilterBasisError("usage", "a transition keeps a part of the channels", {
      field: "reduction",
      expected: "above 0, at most 1",
      got: String(reduction),
    });
  const net = new GraphBuilder(`densenet${depth}`, initialiser(init === "authors" ? "kaiming" : init, seed));
  let channels = 2 * growth;
  let x = net.input("input", ["N", 3, 32, 32]);
  x = net.conv(x, "features.0", { inChannels: 3, outChannels: channels, bias: false });
  for (let block = 0; block < 3; block++) {
    for (let layer = 0; layer < layers; layer++) {
      x = denseLayer(net, x, `features.${2 * block + 1}.${layer}`, channels, growth, bottleneck);
      channels += growth;
    }
    if (block === 2) break;
    const kept = Math.floor(channels * reduction);
    x = transition(net, x, `features.${2 * block + 2}`, channels, kept);
    channels = kept;
  }
  x = net.relu(net.norm(x, "features.6", channels), "features.7");
  x = net.pool(x, "features.8", "average", 8);
  x = net.classifier(x, "classifier", channels, classes, "output");
  return net.finish(x, ["N", classes]);
}

/**
 * norm, ReLU, (1 x 1, norm, ReLU,) 3 x 3; the result is put behind the input: [N, C, H, W] -> [N, C + growth, H, W].
 */
function denseLayer(
  net: GraphBuilder,
  x: string,
  path: string,
  inChannels: number,
  growth: number,
  bottleneck: boolean,
): string {
  let y = net.relu(net.norm(x, `${path}.body.0`, inChannels), `${path}.body.1`);
  if (bottleneck) {
    const inner = 4 * growth;
    y = net.conv(y, `${path}.body.2`, { inChannels, outChannels: inner, kernel: 1, bias: false });
    y = net.relu(net.norm(y, `${path}.body.3`, inner), `${path}.body.4`);
    y = net.conv(y, `${path}.body.5`, { inChannels: inner, outChannels: growth, bias: false });
  } else {
    y = net.conv(y, `${path}.body.2`, { inChannels, outChannels: growth, bias: false });
  }
  return net.concat([x, y], `${path}.concat`);
}

/** norm, ReLU, 1 x 1, and the image is halved. */
function transition(net: GraphBuilder, x: string, path: string, inChannels: number, outChannels: number): string {
  const y = net.relu(net.norm(x, `${path}.0`, inChannels), `${path}.1`);
  return net.pool(
    net.conv(y, `${path}.2`, { inChannels, outChannels, kernel: 1, bias: false }),
    `${path}.3`,
    "average",
    2,
  );
}

// VGG-16 for CIFAR (Simonyan and Zisserman, 2015, with one fully connected layer, as Son et al. and the paper have it).
import { FilterBasisError } from "../errors/error.js";
import { GraphBuilder } from "../graph/builder.js";
import { type InitRule, initialiser } from "../graph/initialise.js";
import type { Graph } from "../graph/types.js";

/** Channels of the convolutions; `pool` halves the image. Module numbers in the authors' names count the pools too. */
const layers = [
  64,
  64,
  "pool",
  128,
  128,
  "pool",
  256,
  256,
  256,
  "pool",
  512,
  512,
  512,
  "pool",
  512,
  512,
  512,
  "pool",
] as const;

export interface VggOptions {
  readonly classes?: number;
  /** Batch norm after every convolution. The authors' baseline has none, every network that they compress has it. */
  readonly norm?: "none" | "batch";
  /** Every channel count is divided by this. */
  readonly widthDivisor?: number;
  /** `authors` is `vgg`: N(0, 2 / (k k n)). */
  readonly init?: InitRule | "authors";
  readonly seed?: number;
}

/** VGG-16. Input `input` [N, 3, 32, 32], output `output` [N, classes]. */
export function vgg16({
  classes = 10,
  norm = "batch",
  widthDivisor = 1,
  init = "authors",
  seed = 1,
}: VggOptions = {}): Graph {
  if (!Number.isInteger(widthDivisor) || widthDivisor < 1 || 64 % widthDivisor !== 0)
    throw new FilterBasisError("usage", "VGG's channels cannot be divided by this", {
      field: "widthDivisor",
      expected: "a divisor of 64",
      got: String(widthDivisor),
    });
  const net = new GraphBuilder("vgg16", initialiser(init === "authors" ? "vgg" : init, seed));
  let x = net.input("input", ["N", 3, 32, 32]);
  let channels = 3;
  layers.forEach((layer, i) => {
    const path = `features.${i}`;
    if (layer === "pool") {
      x = net.pool(x, path, "max", 2);
      return;
    }
    const outChannels = layer / widthDivisor;
    x = net.conv(x, `${path}.0`, { inChannels: channels, outChannels });
    if (norm === "batch") x = net.norm(x, `${path}.1`, outChannels);
    x = net.relu(x, `${path}.${norm === "batch" ? 2 : 1}`);
    channels = outChannels;
  });
  x = net.classifier(x, "classifier", channels, classes, "output");
  return net.finish(x, ["N", classes]);
}

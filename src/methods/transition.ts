// The DenseNet transition of the paper's authors: the 1 x 1 convolution C -> C between two blocks becomes C -> C / T
// -> C, and what went into the norm before it is added to the result, before the image is halved.
import { nodeName, readInts } from "../graph/attributes.js";
import { indexOf } from "../graph/graph-index.js";
import { initialiser } from "../graph/initialise.js";
import type { Pass } from "../graph/types.js";
import type { Method } from "./method.js";
import { about, architectureFields, count, type OptionsOf } from "./options.js";
import { replaceConvolutions } from "./replace.js";

const { init, seed, only, skip } = architectureFields;
const fields = { init, seed, only, skip, bottleneck: about("T: C -> C / T -> C", count) };

export type TransitionOptions = OptionsOf<typeof fields>;

/**
 * The pass. It takes 1 x 1 convolutions C -> C between norm and ReLU on one side and an average pooling by 2 on the
 * other.
 */
export function transitionBottleneck({
  bottleneck,
  init = "kaiming",
  seed = 1,
  ...selection
}: TransitionOptions): Pass {
  return (graph) => {
    const { producers, soleReader } = indexOf(graph);
    return replaceConvolutions(graph, "transition", selection, initialiser(init, seed), (layer, net) => {
      const { name, inChannels: channels } = layer;
      if (layer.kernelElements !== 1 || layer.outChannels !== channels)
        return { reason: "it is not a 1 x 1 convolution that keeps its channels" };
      const pool = soleReader(layer.output);
      if (pool?.op !== "AveragePool" || readInts(pool, "strides", [1]).some((stride) => stride !== 2))
        return { reason: "no average pooling by 2 follows" };
      const norm = producers.get(layer.activationBefore?.inputs[0] ?? "");
      if (norm?.op !== "BatchNormalization") return { reason: "no batch norm and activation stand before it" };
      const inner = Math.floor(channels / bottleneck);
      if (inner < 1) return { reason: `its ${channels} channels cannot be divided by ${bottleneck}` };
      let x = net.conv(layer.input, `${name}.reduce`, {
        inChannels: channels,
        outChannels: inner,
        kernel: 1,
        bias: false,
      });
      x = net.conv(x, `${name}.expand`, { inChannels: inner, outChannels: channels, kernel: 1, bias: false });
      net.add(x, norm.inputs[0] ?? "", `${name}.skip`, layer.output);
      return { applied: `${channels} -> ${inner} -> ${channels} channels, plus the input of ${nodeName(norm)}` };
    });
  };
}

export const transitionMethod: Method<"transition", typeof fields> = {
  name: "transition",
  summary: "DenseNet's transitions as a bottleneck with a skip",
  from: "architecture",
  options: fields,
  sizes: [4, 8, 16, 32].map((bottleneck) => ({ bottleneck })), // from 3 on it has fewer weights than C x C
  apply: (graph, options) => transitionBottleneck(options)(graph),
};

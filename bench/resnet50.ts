// A graph of the layers of ResNet-50 (He et al., 2016) with random filters and batch norms folded: 4.1 G
// multiply-accumulates at 224 x 224.
import { makeNode } from "../src/graph/attributes.js";
import { GraphBuilder } from "../src/graph/builder.js";
import { initialiser } from "../src/graph/initialise.js";
import type { Graph } from "../src/graph/types.js";

const stages = [
  { blocks: 3, width: 64 },
  { blocks: 4, width: 128 },
  { blocks: 6, width: 256 },
  { blocks: 3, width: 512 },
];

/** Input `input` [N, 3, 224, 224], output `output` [N, 1000]. */
export function resnet50(): Graph {
  const net = new GraphBuilder("resnet50", initialiser("kaiming", 1));
  let x = net.input("input", ["N", 3, 224, 224]);
  x = net.conv(x, "stem", { inChannels: 3, outChannels: 64, kernel: 7, stride: 2, padding: 3, bias: true });
  x = net.pool(net.relu(x, "stem.relu"), "stem.pool", "max", 2);
  let channels = 64;
  for (const [stage, { blocks, width }] of stages.entries()) {
    for (let block = 0; block < blocks; block++) {
      const [path, stride] = [`${stage + 1}.${block}`, block === 0 && stage > 0 ? 2 : 1];
      const wide = 4 * width;
      const conv = (from: string, name: string, inChannels: number, outChannels: number, kernel: number, by = 1) =>
        net.conv(from, `${path}.${name}`, { inChannels, outChannels, kernel, stride: by, bias: true });
      let y = net.relu(conv(x, "a", channels, width, 1), `${path}.a.relu`);
      y = net.relu(conv(y, "b", width, width, 3, stride), `${path}.b.relu`);
      y = conv(y, "c", width, wide, 1);
      const shortcut = block === 0 ? conv(x, "shortcut", channels, wide, 1, stride) : x;
      // Half of the sum, so that values stay of one size without batch norms.
      x = net.relu(net.scale(net.add(y, shortcut, `${path}.sum`), `${path}.scale`, 0.5), `${path}.relu`);
      channels = wide;
    }
  }
  x = net.push(makeNode("GlobalAveragePool", [x], ["pooled"]));
  return net.finish(net.classifier(x, "classifier", channels, 1000, "output"), ["N", 1000]);
}

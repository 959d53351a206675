// SRResNet (Ledig et al., 2017) in the form of the paper's authors: a 9 x 9 head, a 3 x 3 tail, one PReLU shared by
// head and blocks.
import { GraphBuilder } from "../graph/builder.js";
import { initialiser } from "../graph/initialise.js";
import type { Graph } from "../graph/types.js";
import { checkSuperResolution, enlarge, outputDims, type SuperResolutionOptions } from "./super-resolution.js";

/** SRResNet. Input `input` [N, 3, H, W] in 0..255, output `output` [N, 3, scale H, scale W]. */
export function srresnet({
  scale = 4,
  blocks = 16,
  width = 64,
  init = "authors",
  seed = 1,
}: SuperResolutionOptions = {}): Graph {
  checkSuperResolution({ scale, blocks, width });
  const net = new GraphBuilder(`srresnet-x${scale}`, initialiser(init === "authors" ? "default" : init, seed));
  const channels = { inChannels: width, outChannels: width };
  const slope = "head.1";
  const head = net.prelu(
    net.conv(net.input("input", ["N", 3, "H", "W"]), "head.0", { inChannels: 3, outChannels: width, kernel: 9 }),
    slope,
  );
  let x = head;
  for (let block = 0; block < blocks; block++) {
    const path = `body.${block}`;
    let y = net.norm(net.conv(x, `${path}.body.0`, channels), `${path}.body.1`, width);
    y = net.prelu(y, `${path}.body.2`, slope);
    y = net.norm(net.conv(y, `${path}.body.3`, channels), `${path}.body.4`, width);
    x = net.add(y, x, `${path}.add`);
  }
  x = net.norm(net.conv(x, `body.${blocks}`, channels), `body.${blocks + 1}`, width);
  x = net.add(x, head, "body.add");
  x = enlarge(net, x, "tail.0", width, scale, "prelu");
  x = net.conv(x, "tail.1", { inChannels: width, outChannels: 3 }, "output");
  return net.finish(x, outputDims(scale));
}

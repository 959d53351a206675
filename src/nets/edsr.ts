// EDSR (Lim et al., 2017): residual blocks without batch norm between two shifts by DIV2K's mean colour.
import { float32Tensor } from "../graph/attributes.js";
import { GraphBuilder } from "../graph/builder.js";
import { initialiser } from "../graph/initialise.js";
import type { Graph } from "../graph/types.js";
import { checkSuperResolution, enlarge, outputDims, type SuperResolutionOptions } from "./super-resolution.js";

export interface EdsrOptions extends SuperResolutionOptions {
  /** What a block's result is multiplied by before its input is added; 0.1 in the wide EDSR. */
  readonly resScale?: number;
}

/** DIV2K's mean colour, R first, of 1. */
const mean = [0.4488, 0.4371, 0.404] as const;

/**
 * EDSR. Input `input` [N, 3, H, W] in 0..255, output `output` [N, 3, scale H, scale W]. The two shifts are 1 x 1
 * convolutions with ordinary parameters (24 numbers): in the authors' code they are trained.
 */
export function edsr({
  scale = 4,
  blocks = 32,
  width = 256,
  resScale = blocks === 32 && width === 256 ? 0.1 : 1,
  init = "authors",
  seed = 1,
}: EdsrOptions = {}): Graph {
  checkSuperResolution({ scale, blocks, width });
  const net = new GraphBuilder(
    `edsr-${blocks}-${width}-x${scale}`,
    initialiser(init === "authors" ? "default" : init, seed),
  );
  const channels = { inChannels: width, outChannels: width };
  const shifted = shift(net, net.input("input", ["N", 3, "H", "W"]), "sub_mean", -1);
  const head = net.conv(shifted, "head.0", { inChannels: 3, outChannels: width });
  let x = head;
  for (let block = 0; block < blocks; block++) {
    const path = `body.${block}`;
    let y = net.relu(net.conv(x, `${path}.body.0`, channels), `${path}.body.1`);
    y = net.conv(y, `${path}.body.2`, channels);
    if (resScale !== 1) y = net.scale(y, `${path}.scale`, resScale);
    x = net.add(y, x, `${path}.add`);
  }
  x = net.add(net.conv(x, `body.${blocks}`, channels), head, "body.add");
  x = enlarge(net, x, "tail.0", width, scale, "none");
  x = net.conv(x, "tail.1", { inChannels: width, outChannels: 3 });
  return net.finish(shift(net, x, "add_mean", 1, "output"), outputDims(scale));
}

/** x + sign * 255 * mean, as a 1 x 1 convolution with the identity. */
function shift(net: GraphBuilder, x: string, path: string, sign: number, output = path): string {
  net.constant(`${path}.weight`, () => float32Tensor([3, 3, 1, 1], Float32Array.of(1, 0, 0, 0, 1, 0, 0, 0, 1)));
  net.constant(`${path}.bias`, () =>
    float32Tensor(
      [3],
      Float32Array.from(mean, (value) => sign * 255 * value),
    ),
  );
  return net.conv(x, path, { inChannels: 3, outChannels: 3, kernel: 1 }, output);
}

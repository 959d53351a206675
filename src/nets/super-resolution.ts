// What the super-resolution networks share: their options, and the tail that enlarges.
import { FilterBasisError } from "../errors/error.js";
import type { GraphBuilder } from "../graph/builder.js";
import type { InitRule } from "../graph/initialise.js";
import type { Dim } from "../graph/types.js";

export interface SuperResolutionOptions {
  readonly scale?: 2 | 3 | 4;
  /** Residual blocks. */
  readonly blocks?: number;
  /** Channels of the body (F). */
  readonly width?: number;
  /** `authors` is PyTorch's default. */
  readonly init?: InitRule | "authors";
  readonly seed?: number;
}

export function checkSuperResolution({ scale, blocks, width }: { scale: number; blocks: number; width: number }): void {
  const refuse = (field: string, expected: string, got: number) => {
    throw new FilterBasisError("usage", "no super-resolution network has this", { field, expected, got: String(got) });
  };
  if (![2, 3, 4].includes(scale)) refuse("scale", "2, 3 or 4", scale);
  if (!Number.isInteger(blocks) || blocks < 1) refuse("blocks", "a whole number from 1", blocks);
  if (!Number.isInteger(width) || width < 1) refuse("width", "a whole number from 1", width);
}

/** [N, F, H, W] -> [N, F, scale H, scale W]: twice by 2 for 4, else once; each stage may end in its own PReLU. */
export function enlarge(
  net: GraphBuilder,
  x: string,
  path: string,
  width: number,
  scale: number,
  activation: "none" | "prelu",
): string {
  const stages = scale === 4 ? [2, 2] : [scale];
  let module = 0;
  let y = x;
  for (const factor of stages) {
    y = net.conv(y, `${path}.${module++}`, { inChannels: width, outChannels: width * factor * factor });
    y = net.pixelShuffle(y, `${path}.${module++}`, factor);
    if (activation === "prelu") y = net.prelu(y, `${path}.${module++}`);
  }
  return y;
}

/** [N, 3, H, W] -> [N, 3, scale H, scale W]. */
export function outputDims(scale: number): readonly Dim[] {
  return ["N", 3, `${scale}*H`, `${scale}*W`];
}

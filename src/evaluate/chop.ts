// Two ways of the field to run a network: in four recursive quarters to save memory, and as the mean of eight turned
// copies.
import { turnPatch } from "../data/patches.js";
import { type Planes, runPlanes, type SrModel } from "./sr-model.js";

/**
 * The authors' `forward_chop`: always at least one split into four overlapping quarters, again while a quarter has
 * `minSize` pixels or more. Its overlap of `shave` is less than most networks look, so values differ from the whole
 * image's. `planes` as `inputPlanes` gives them. To reproduce metrics measured so; else see `upscale`.
 */
export async function forwardChop(
  sr: SrModel,
  planes: Planes,
  { shave = 10, minSize = 160_000 }: { readonly shave?: number; readonly minSize?: number } = {},
): Promise<Planes> {
  return chop(sr, planes, shave, minSize);
}

async function chop(sr: SrModel, planes: Planes, shave: number, minSize: number): Promise<Planes> {
  const scale = sr.enlarged ? 1 : sr.scale;
  const { channels, height: h, width: w } = planes;
  const [halfH, halfW] = [Math.floor(h / 2), Math.floor(w / 2)];
  const [sizeH, sizeW] = [Math.min(h, halfH + shave), Math.min(w, halfW + shave)];
  const out: Planes = {
    channels,
    height: h * scale,
    width: w * scale,
    data: new Float32Array(channels * h * w * scale * scale),
  };
  for (const bottom of [false, true]) {
    for (const right of [false, true]) {
      const [y, x] = [bottom ? h - sizeH : 0, right ? w - sizeW : 0];
      const quarter = rectangle(planes, y, x, sizeH, sizeW);
      const made = sizeH * sizeW < minSize ? await runPlanes(sr, quarter) : await chop(sr, quarter, shave, minSize);
      const [top, left] = [bottom ? halfH : 0, right ? halfW : 0];
      const kept = rectangle(
        made,
        (top - y) * scale,
        (left - x) * scale,
        (bottom ? h - halfH : halfH) * scale,
        (right ? w - halfW : halfW) * scale,
      );
      paste(out, kept, top * scale, left * scale);
    }
  }
  return out;
}

/** Self-ensemble (Lim et al., 2017): the mean over the image and its seven flips and transposes, each turned back. */
export async function selfEnsemble(sr: SrModel, input: Planes): Promise<Planes> {
  let sum: Planes | undefined;
  for (let n = 0; n < 8; n++) {
    const [horizontal, vertical, transpose] = [(n & 1) !== 0, (n & 2) !== 0, (n & 4) !== 0];
    const made = await runPlanes(sr, turned(input, { horizontal, vertical, transpose }));
    // Turning back: the transpose first, which changes the names of the axes that the flips are along.
    const back = transpose
      ? { horizontal: vertical, vertical: horizontal, transpose }
      : { horizontal, vertical, transpose };
    const { data, ...rest } = turned(made, back);
    if (sum === undefined) sum = { ...rest, data };
    else for (let i = 0; i < data.length; i++) sum.data[i]! += data[i]!;
  }
  return { ...sum!, data: sum!.data.map((value) => value / 8) };
}

function turned({ channels, height, width, data }: Planes, turn: Parameters<typeof turnPatch>[4]): Planes {
  const out = new Float32Array(data.length);
  turnPatch(data, height, width, channels, turn, out);
  return turn.transpose
    ? { channels, height: width, width: height, data: out }
    : { channels, height, width, data: out };
}

function rectangle({ channels, height, width, data }: Planes, y: number, x: number, h: number, w: number): Planes {
  const out = new Float32Array(channels * h * w);
  for (let c = 0; c < channels; c++) {
    for (let row = 0; row < h; row++) {
      const from = (c * height + y + row) * width + x;
      out.set(data.subarray(from, from + w), (c * h + row) * w);
    }
  }
  return { channels, height: h, width: w, data: out };
}

function paste(into: Planes, { channels, height, width, data }: Planes, y: number, x: number): void {
  for (let c = 0; c < channels; c++) {
    for (let row = 0; row < height; row++) {
      into.data.set(
        data.subarray((c * height + row) * width, (c * height + row + 1) * width),
        (c * into.height + y + row) * into.width + x,
      );
    }
  }
}

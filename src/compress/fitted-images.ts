// What a network is calibrated on and its factors are fitted to: the images, with their mirror images where the network
// takes them and they are small.
import type { CalibrationImages } from "../calibrate/engine.js";
import { takesMirrored, withMirrored } from "../calibrate/mirrored.js";
import type { CalibratedJob } from "./plan-calibrated.js";

/** Images of more pixels are not mirrored: they cost too much, and show many places each. */
const mirroredPixels = 2 ** 14;
/** Fewer channels than an image has rows: which axis is which. */
const mostChannels = 4;

export async function fittedImages({
  data,
  prepared,
  engine,
  hooks,
  effort,
}: CalibratedJob): Promise<CalibrationImages> {
  const { images, all, batch } = data;
  const [channels = 0, height = 0, width = 0] = all.dims;
  const plain = all.images && batch === undefined && channels <= mostChannels && width > mostChannels;
  if (!plain || effort !== undefined || height * width > mirroredPixels) return images;
  if (!(await takesMirrored(prepared, images, engine))) return images;
  hooks.note?.("fitted to mirror images too: the network takes them as well");
  return withMirrored(images);
}

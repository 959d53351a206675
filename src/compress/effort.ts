// How closely a calibration looks, and how much it tries, where somebody waits for it.
import type { CalibrationImages } from "../calibrate/engine.js";

export interface Effort {
  /** Places that all images together show of a layer, about. */
  readonly places: number;
  /** Patches of more values than this get few candidates, of families that are fitted quickly. */
  readonly largePatch: number;
  /** Bytes of moments that are held at once, and of values that are kept between the layers of a refit. */
  readonly memory: number;
  /** Multiply-accumulates of the runs that tell how much each layer counts, about. */
  readonly probing?: number;
}

/** Places of one of the images. */
export const placesOf = ({ effort }: { readonly effort?: Effort }, { count, each = 1 }: CalibrationImages) =>
  effort === undefined ? {} : { places: Math.ceil(effort.places / Math.max(1, count * each)) };

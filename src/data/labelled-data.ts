// Data that is a set of labelled images in memory: what all such data sets offer.
import { resizeImage } from "./codec.js";
import { type Data, refuseOptions } from "./dataset.js";
import type { Image } from "./image.js";
import type { ImageData, ImageSet } from "./image-set.js";
import { type Candidate, inputsOf } from "./inputs.js";

/**
 * `load` is called once, when the images are first asked for. Inputs are of the training images where there are any.
 */
export function labelledData(name: string, load: () => Promise<ImageData>): Data & Required<Pick<Data, "labelled">> {
  let loaded: Promise<ImageData> | undefined;
  const labelled = () => (loaded ??= load());
  return {
    name,
    labelled,
    async inputs(options = {}) {
      refuseOptions(name, options, ["scale"]);
      const { train, test } = await labelled();
      const set = (options.part === "test" ? (test ?? train) : (train ?? test))!;
      return { ...(await inputsOf(set.name, candidatesOf(set), options)), classes: set.classes.length };
    },
  };
}

function candidatesOf({ name, images, labels, count, width, height }: ImageSet): readonly Candidate[] {
  const bytes = 3 * width * height;
  return Array.from({ length: count }, (_, n) => ({
    file: `${name}, image ${n}`,
    label: labels[n]!,
    load: async (sizing) => {
      const image: Image = { width, height, channels: 3, data: images.subarray(n * bytes, (n + 1) * bytes) };
      return sizing === undefined ? image : await resizeImage(image, sizing);
    },
  }));
}

// Folders of super-resolution images in the layouts that the field's sets have: DIV2K, the benchmark sets, SelfExSR.
import type { Dataset } from "../dataset.js";
import { listFolder } from "../image-files.js";
import { pairData } from "../pair-data.js";

/** What only these layouts have at their top. */
const marks = [/^image_SRF_\d$/, /^DIV2K_(train|valid)_HR$/, /^LR_bicubic$/, /_LR\.\w+$/];

export const pairFolder: Dataset = {
  name: "pairs",
  summary: "a folder of high- and low-resolution images as DIV2K, the benchmark sets or SelfExSR have them",
  holds: async (path) => (await listFolder(path).catch(() => [])).some((name) => marks.some((mark) => mark.test(name))),
  open: async ({ path = "." }) => pairData(path),
};

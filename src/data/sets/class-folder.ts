// Folders of classes: CLASS/NAME.png, or train/CLASS/NAME.png beside test/CLASS/NAME.png.
import { type Dataset, refuseOptions } from "../dataset.js";
import { imageCandidate } from "../image-files.js";
import { classFiles, hasClasses, loadImageFolder } from "../image-folder.js";
import { inputsOf } from "../inputs.js";
import { findPairs } from "../sr-pairs.js";

export const classFolder: Dataset = {
  name: "classes",
  summary: "folders of classes (CLASS/NAME.png), with train and test above them where there are both",
  holds: (path) => hasClasses(path),
  async open({ path = "." }) {
    return {
      name: path,
      labelled: () => loadImageFolder(path),
      pairs: (scale, split) => findPairs(path, scale, { ...(split && { split }) }),
      async inputs(options = {}) {
        refuseOptions(path, options, ["scale"]);
        const { train, test } = await classFiles(path);
        const { files, classes } = (options.part === "test" ? (test ?? train) : (train ?? test))!;
        const candidates = files.map(({ path: file, label }) => ({ ...imageCandidate(file), label }));
        return { ...(await inputsOf(path, candidates, options)), classes: classes.length };
      },
    };
  },
};

// CIFAR-10 by name: fetched into the cache, verified.
import { checkCifar10, cifar10Files, getCifar10, loadCifar10 } from "../cifar10.js";
import { type Dataset, refuseOptions } from "../dataset.js";
import { labelledData } from "../labelled-data.js";

export const cifar10: Dataset = {
  name: "cifar10",
  summary: "CIFAR-10: 50,000 training and 10,000 test images of 10 classes",
  async get({ folder, note, signal, ...rest }) {
    refuseOptions("cifar10", rest, ["mirror", "scale"]);
    return {
      folder: await getCifar10({ ...(folder && { folder }), ...(note && { note }), ...(signal && { signal }) }),
    };
  },
  async check(options) {
    return { folder: await checkCifar10(options), files: Object.keys(cifar10Files).length };
  },
  async open({ path, note, signal }) {
    return labelledData(path ?? "cifar10", () =>
      loadCifar10({ ...(path && { folder: path }), ...(note && { note }), ...(signal && { signal }) }),
    );
  },
};

// `data get|check NAME`: fetches, verifies and converts the data sets that are known by name.
import { checkCifar10, getCifar10 } from "../data/cifar10.js";
import { checkPictureSet, getPictureSet, pictureSets } from "../data/picture-sets.js";
import { FilterBasisError } from "../errors/error.js";
import { nearest } from "../errors/nearest.js";
import { command } from "./frame.js";
import { given, whole } from "./values.js";

const names = ["cifar10", ...Object.keys(pictureSets)];

export default command({
  name: "data",
  summary: "fetch, verify and convert a data set",
  args: {
    action: { type: "positional", description: "get or check", required: true },
    name: { type: "positional", description: names.join(", "), required: true },
    folder: { type: "string", description: "where it is kept; by default in the cache folder", valueHint: "FOLDER" },
    mirror: {
      type: "string",
      description: "picture sets: another server with the same archives in one folder",
      valueHint: "URL",
    },
    scale: { type: "string", description: "div2k: only this scale", valueHint: "S" },
    repair: { type: "boolean", description: "check cifar10: remove a file that is wrong, so that get fetches it again" },
  },
  rules: [
    { option: "mirror", excludes: ["ACTION=check", "NAME=cifar10"], why: "it is where the archives of a picture set come from" },
    { option: "scale", excludes: ["ACTION=check"], why: "it says what is fetched" },
    { option: "scale", needs: ["NAME=div2k"], why: "the other sets have no archives of one scale" },
    { option: "repair", needs: ["ACTION=check"], why: "it is a part of checking" },
    { option: "repair", needs: ["NAME=cifar10"], why: "of the picture sets delete the folder and get them again" },
  ],
  async run(args, { note, progress, signal }) {
    const { action, name } = args;
    if (action !== "get" && action !== "check")
      throw new FilterBasisError("usage", "the action is unknown", { expected: "get or check", got: action });
    if (!names.includes(name))
      throw new FilterBasisError("usage", `there is no such data set${nearest(name, names, "")}`, {
        expected: names.join(", "),
        got: name,
      });
    const where = given("folder", args.folder);
    const done = (folder: string, rest: object = {}) => ({
      json: { name, folder, ok: true, ...rest },
      text: `${name}: ${action === "get" ? "complete" : "every file is as it should be"}, in ${folder}`,
    });
    if (name === "cifar10") {
      if (action === "check") return done(await checkCifar10({ ...where, repair: args.repair === true }), { files: 6 });
      return done(await getCifar10({ ...where, note, signal }));
    }
    const set = pictureSets[name]!;
    if (action === "check") {
      const { folder, files } = await checkPictureSet(set, where);
      return done(folder, { files });
    }
    let bar: { readonly label: string; readonly show: ReturnType<typeof progress> } | undefined;
    try {
      const folder = await getPictureSet(set, {
        ...where,
        ...given("mirror", args.mirror),
        ...given("scale", whole("--scale", args.scale, 2, 4)),
        note,
        signal,
        progress(label, bytes, total) {
          if (bar?.label !== label) {
            bar?.show.stop();
            bar = { label, show: progress(`${label} (MB)`, Math.ceil((total ?? 0) / 1e6)) };
          }
          bar.show.update(Math.floor(bytes / 1e6));
        },
      });
      return done(folder);
    } finally {
      bar?.show.stop();
    }
  },
});

// `data get|check NAME`: fetches, verifies and converts the data sets that are known by name.
import { namedDatasets } from "../data/table.js";
import { FilterBasisError } from "../errors/error.js";
import { nearest } from "../errors/nearest.js";
import { type Context, command } from "./frame.js";
import { given, whole } from "./values.js";

const names = namedDatasets.map(({ name }) => name);

export default command({
  name: "data",
  summary: "fetch, verify and convert a data set",
  examples: ["data get cifar10", "data check set5 --folder sets/set5"],
  args: {
    action: { type: "positional", description: "get or check", required: true },
    name: { type: "positional", description: names.join(", "), required: true },
    folder: { type: "string", description: "where it is kept; by default in the cache folder", valueHint: "FOLDER" },
    mirror: {
      type: "string",
      description: "sets of images: another server with the same archives in one folder",
      valueHint: "URL",
    },
    scale: { type: "string", description: "sets of images: only what this scale needs", valueHint: "S" },
    repair: {
      type: "boolean",
      description: "check cifar10: remove a file that is wrong, so that get fetches it again",
    },
  },
  rules: [
    { option: "mirror", excludes: ["ACTION=check", "NAME=cifar10"], why: "it names the server of an image set" },
    { option: "scale", excludes: ["ACTION=check"], why: "it chooses what is fetched" },
    { option: "scale", needs: ["NAME=div2k"], why: "the other sets have no archives of one scale" },
    { option: "repair", needs: ["ACTION=check"], why: "it belongs to checking" },
    { option: "repair", needs: ["NAME=cifar10"], why: "for an image set, delete its folder and get it again" },
  ],
  async run({ action, name, folder, mirror, scale, repair }, context) {
    if (action !== "get" && action !== "check")
      throw new FilterBasisError("usage", "the action is unknown", { expected: "get or check", got: action });
    const dataset = namedDatasets.find((set) => set.name === name);
    if (dataset === undefined)
      throw new FilterBasisError("usage", `there is no such data set${nearest(name, names, "")}`, {
        expected: names.join(", "),
        got: name,
      });
    const where = given("folder", folder);
    if (action === "check") {
      const { folder: kept, files } = await dataset.check!({ ...where, ...given("repair", repair) });
      return { json: { name, folder: kept, ok: true, files }, text: `${name}: in order in ${kept}` };
    }
    const bar = downloads(context);
    try {
      const kept = await dataset.get!({
        ...where,
        ...given("mirror", mirror),
        ...given("scale", whole("--scale", scale, 2, 4)),
        note: context.note,
        signal: context.signal,
        progress: bar.show,
      });
      return { json: { name, folder: kept.folder, ok: true }, text: `${name}: ready in ${kept.folder}` };
    } finally {
      bar.stop();
    }
  },
});

/** One bar after another, a download each, in megabytes. */
function downloads({ progress }: Context) {
  let bar: { readonly label: string; readonly shown: ReturnType<Context["progress"]> } | undefined;
  return {
    show(label: string, bytes: number, total: number | undefined): void {
      if (bar?.label !== label) {
        bar?.shown.stop();
        bar = { label, shown: progress(`${label} (MB)`, Math.ceil((total ?? 0) / 1e6)) };
      }
      bar.shown.update(Math.floor(bytes / 1e6));
    },
    stop: (): void => bar?.shown.stop(),
  };
}

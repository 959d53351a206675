// CIFAR-10 as its authors hand it out: the binary or the Python version, as an archive or as the folder that it
// unpacks to.
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { FilterBasisError } from "../../errors/error.js";
import { readArchive } from "../archive.js";
import { readShared } from "../cache.js";
import { cifar10FromBinary } from "../cifar10-binary.js";
import { cifar10FromPython } from "../cifar10-python.js";
import type { Dataset } from "../dataset.js";
import type { ImageData } from "../image-set.js";
import { labelledData } from "../labelled-data.js";

const batch = /(?:^|\/)((?:data_batch_\d|test_batch)(?:\.bin)?)$/;
const archive = /\.(tar|tgz|tar\.gz|zip)$/i;

export const cifarFiles: Dataset = {
  name: "cifar10 files",
  summary: "CIFAR-10's official archive (binary or Python), or the folder that it unpacks to",
  holds: async (path) => archive.test(path) || (await batchFolder(path)) !== undefined,
  async open({ path = "." }) {
    return labelledData(path, async () => {
      const folder = await batchFolder(path);
      return toSets(folder === undefined ? await fromArchive(path) : await fromFolder(folder), path);
    });
  },
};

/** The folder itself or the one inside of it that holds batches. */
async function batchFolder(path: string): Promise<string | undefined> {
  for (const folder of [path, join(path, "cifar-10-batches-bin"), join(path, "cifar-10-batches-py")]) {
    if ((await readdir(folder).catch(() => [])).some((name) => batch.test(name))) return folder;
  }
  return undefined;
}

async function fromFolder(folder: string): Promise<ReadonlyMap<string, Uint8Array>> {
  const names = (await readdir(folder)).filter((name) => batch.test(name));
  return new Map(await Promise.all(names.map(async (name) => [name, await readShared(join(folder, name))] as const)));
}

async function fromArchive(path: string): Promise<ReadonlyMap<string, Uint8Array>> {
  const parts = new Map<string, Uint8Array>();
  for await (const { name, bytes } of readArchive(path, { wanted: (entry) => batch.test(entry) }))
    parts.set(batch.exec(name)![1]!, bytes);
  return parts;
}

function toSets(parts: ReadonlyMap<string, Uint8Array>, origin: string): ImageData {
  const binary = new Map([...parts].filter(([name]) => name.endsWith(".bin")));
  const python = new Map([...parts].filter(([name]) => !name.endsWith(".bin")));
  if (binary.size > 0) return cifar10FromBinary(binary, origin);
  if (python.size > 0) return cifar10FromPython(python, origin);
  throw new FilterBasisError("malformed", "the archive holds no batches of CIFAR-10", {
    file: origin,
    expected: "data_batch_1 or data_batch_1.bin and so on",
  });
}

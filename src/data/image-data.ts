// Labelled images from wherever a user has them: CIFAR-10 by name, its official archives, or folders of pictures.
import { readdir, stat } from "node:fs/promises";
import { join } from "node:path";
import { FilterBasisError, isError } from "../errors/error.js";
import { notWanted } from "../formats/foreign/identify.js";
import { identifyFile } from "../runtime/identify-file.js";
import { readShared } from "./cache.js";
import { type Cifar10Options, cifar10FromBinary, type ImageData, loadCifar10 } from "./cifar10.js";
import { cifar10FromPython } from "./cifar10-python.js";
import { loadImageFolder } from "./image-folder.js";
import { readTar } from "./tar.js";

const binaryBatch = /(?:^|\/)((?:data_batch_\d|test_batch)\.bin)$/;
const pythonBatch = /(?:^|\/)(data_batch_\d|test_batch)$/;

/**
 * Loads `cifar10` (fetched when absent), CIFAR-10's binary or Python version (the `.tar.gz`, or the folder it unpacks to), or a folder of pictures: CLASS/NAME.png,
 * with `train` and `test` above the classes where there are both; without them every picture is a test picture.
 * @throws FilterBasisError `not-found`, `malformed` (truncated, damaged), `checksum`, `data-mismatch`
 */
export async function loadImageData(source: string, options: Cifar10Options = {}): Promise<ImageData> {
  if (source === "cifar10") return loadCifar10(options);
  const found = await stat(source).catch((error: unknown) => {
    throw new FilterBasisError("not-found", "there is no such data", {
      file: source,
      expected: "cifar10, an archive or a folder",
      cause: error,
    });
  });
  if (!found.isDirectory()) return loadArchive(source);
  for (const folder of [source, join(source, "cifar-10-batches-bin"), join(source, "cifar-10-batches-py")]) {
    const names = await readdir(folder).catch(() => []);
    const parts = names.filter((name) => binaryBatch.test(name) || pythonBatch.test(name));
    if (parts.length > 0)
      return toSets(
        new Map(await Promise.all(parts.map(async (name) => [name, await readShared(join(folder, name))] as const))),
        source,
      );
  }
  return loadImageFolder(source);
}

async function loadArchive(path: string): Promise<ImageData> {
  const parts = new Map<string, Uint8Array>();
  const wanted = (entry: string): boolean => binaryBatch.test(entry) || pythonBatch.test(entry);
  try {
    for await (const { name, bytes } of readTar(path, { wanted })) {
      parts.set((binaryBatch.exec(name) ?? pythonBatch.exec(name))![1]!, bytes);
    }
  } catch (error) {
    const found = isError(error, "malformed") ? await identifyFile(path) : undefined;
    if (found === undefined || found.kind === "tar" || found.kind === "gzip") throw error;
    const cures = ["give cifar10, its archive (.tar.gz), or a folder of pictures"];
    throw notWanted(found, { wanted: "a data set", file: path, cures, cause: error });
  }
  return toSets(parts, path);
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

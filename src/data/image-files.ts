// Which images a folder holds, and images on disk as candidates for inputs.
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { FilterBasisError } from "../errors/error.js";
import { notWanted } from "../formats/foreign/identify.js";
import { identifyFile } from "../runtime/identify-file.js";
import { decodeImage, imageFormat } from "./codec.js";
import type { Candidate } from "./inputs.js";

/**
 * The names in a folder, in the order of their UTF-16 codes, which is the same everywhere.
 * @throws FilterBasisError `not-found`, `io`
 */
export async function listFolder(folder: string): Promise<string[]> {
  const names = await readdir(folder).catch(async (error: unknown) => {
    const { code = "" } = error as NodeJS.ErrnoException;
    const found = code === "ENOTDIR" ? await identifyFile(folder) : undefined;
    const cures = ["give the folder in which the images are"];
    if (found) throw notWanted(found, { wanted: "a folder of images", file: folder, cures, cause: error });
    throw new FilterBasisError(code === "ENOENT" ? "not-found" : "io", "the folder cannot be read", {
      file: folder,
      got: code,
      cause: error,
    });
  });
  return names.sort();
}

/** The folders in a folder, likewise. Hidden ones do not count. */
export async function listFolders(folder: string): Promise<string[]> {
  await listFolder(folder); // its errors
  const entries = await readdir(folder, { withFileTypes: true });
  const names = entries.filter((entry) => entry.isDirectory() && !entry.name.startsWith(".")).map(({ name }) => name);
  return names.sort();
}

/** Those of the names that are images by their ending; hidden files do not count. */
export function imageNames(names: readonly string[]): string[] {
  return names.filter((name) => !name.startsWith(".") && imageFormat(name) !== undefined);
}

/** The images that lie in a folder, as paths. */
export async function imageFiles(folder: string): Promise<string[]> {
  return imageNames(await listFolder(folder)).map((name) => join(folder, name));
}

export function imageCandidate(file: string): Candidate {
  return { file, load: (sizing) => decodeImage(file, { sizing }) };
}

// A model is written where nobody sees it, checked as it lies on the disk, and only then put in its place.
import { mkdtemp, readdir, rename, rm } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { FilterBasisError } from "../errors/error.js";
import type { Graph } from "../graph/types.js";
import { saveModel } from "./files.js";
import { syncFolder } from "./write.js";

/**
 * Saves a graph to `path` once `check` is content with the file; what it throws leaves nothing behind, and an older
 * model at `path` as it was.
 * @throws FilterBasisError as `saveModel`; what `check` throws
 */
export async function saveVerified<T>(graph: Graph, path: string, check: (file: string) => Promise<T>): Promise<T> {
  const [folder, name] = [dirname(path), basename(path)];
  const aside = await mkdtemp(join(folder, `.${name}.`)).catch((cause: NodeJS.ErrnoException) => {
    const missing = cause.code === "ENOENT" || cause.code === "ENOTDIR";
    throw new FilterBasisError(
      missing ? "not-found" : "io",
      missing ? "there is no such folder" : "cannot write into the folder",
      {
        file: folder,
        got: cause.code ?? String(cause),
        cause,
      },
    );
  });
  try {
    const file = join(aside, name);
    await saveModel(graph, file);
    const result = await check(file);
    // The data first, under a name that its content gives: an older model stays whole until the new one takes its
    // place.
    const parts = (await readdir(aside)).sort((a, b) => Number(a === name) - Number(b === name));
    for (const part of parts) await rename(join(aside, part), join(folder, part));
    await syncFolder(folder);
    return result;
  } finally {
    await rm(aside, { recursive: true, force: true });
  }
}

// Which files a model is made of, and how large they are.
import { readFile, stat } from "node:fs/promises";
import { dirname, join } from "node:path";
import { isError } from "../errors/error.js";
import { readModel, writeModelChunks } from "../formats/onnx/index.js";
import type { Graph } from "../graph/types.js";
import { externalReader } from "./external.js";
import { externalWriter } from "./external-writer.js";

/**
 * The files of a model: its own first, then those beside it that its tensors lie in. Of a file that cannot be read as a
 * model, its own; none where there is no file.
 */
export async function modelFiles(path: string): Promise<readonly string[]> {
  const locations = new Set<string>();
  const reader = externalReader(path);
  const found = await stat(path).catch(() => undefined);
  if (!found?.isFile()) return [];
  try {
    readModel(await readFile(path), {
      file: path,
      external: (location, offset, length) => {
        locations.add(location);
        return reader.read(location, offset, length);
      },
    });
  } catch (error) {
    if (!isError(error)) throw error;
    return [path];
  } finally {
    reader.close();
  }
  return [path, ...[...locations].map((location) => join(dirname(path), location))];
}

/** Bytes of a model on the disk, all its files together. */
export async function modelBytes(path: string): Promise<number> {
  const sizes = await Promise.all((await modelFiles(path)).map((file) => stat(file)));
  return sizes.reduce((sum, { size }) => sum + size, 0);
}

/** Bytes that a graph takes on the disk once it is written. */
export function writtenBytes(graph: Graph): number {
  const { put, pieces } = externalWriter("");
  const { chunks } = fitting(graph) ?? writeModelChunks(graph, put);
  return [...chunks, ...pieces].reduce((sum, { length }) => sum + length, 0);
}

/** One file's bytes; undefined where they would pass 2 GB. */
export function fitting(graph: Graph): ReturnType<typeof writeModelChunks> | undefined {
  try {
    return writeModelChunks(graph);
  } catch (error) {
    if (isError(error, "too-large")) return undefined;
    throw error;
  }
}

// Where fetched and converted data is kept, and how it is read back into memory.
import { mkdir, open, stat } from "node:fs/promises";
import { FilterBasisError } from "../errors/error.js";

/**
 * Makes a folder with its parents.
 * @throws FilterBasisError `io`
 */
export async function makeFolder(path: string): Promise<string> {
  await mkdir(path, { recursive: true }).catch((error: unknown) => {
    throw new FilterBasisError("io", "cannot make a folder", {
      file: path,
      got: (error as NodeJS.ErrnoException).code ?? "",
      cause: error,
    });
  });
  return path;
}

/** The size of a file in bytes, or undefined where there is no such file. */
export async function fileSize(path: string): Promise<number | undefined> {
  const found = await stat(path).catch(() => undefined);
  return found?.isFile() ? found.size : undefined;
}

/**
 * A whole file in shared memory, so that worker threads can use the same bytes. (Node has no memory mapping; a cache
 * file is read once, front to back, at the speed of the page cache.)
 * @throws FilterBasisError `not-found`, `io`
 */
export async function readShared(path: string): Promise<Uint8Array> {
  const file = await open(path, "r").catch((error: unknown) => {
    const { code = "" } = error as NodeJS.ErrnoException;
    throw new FilterBasisError(code === "ENOENT" ? "not-found" : "io", "cannot open the file", {
      file: path,
      got: code,
      cause: error,
    });
  });
  try {
    const { size } = await file.stat();
    const bytes = new Uint8Array(new SharedArrayBuffer(size));
    for (let done = 0; done < size; ) {
      const { bytesRead } = await file.read(bytes, done, Math.min(1 << 26, size - done), done);
      if (bytesRead === 0)
        throw new FilterBasisError("io", "the file became shorter while it was read", { file: path });
      done += bytesRead;
    }
    return bytes;
  } finally {
    await file.close();
  }
}

// Writing a file so that, whatever happens meanwhile, the path holds either the old bytes or all of the new ones.
import { randomBytes } from "node:crypto";
import { type FileHandle, open, realpath, rename, rm, stat } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { FilterBasisError } from "../errors/error.js";

/** What can be written: all bytes at once, or pieces in order (for files too large to hold, or made on the way). */
export type Writable = Uint8Array | string | Iterable<Uint8Array> | AsyncIterable<Uint8Array>;

/**
 * Writes a file aside (in the same folder), syncs it, renames it into place and syncs the folder. On any failure the
 * temporary file is removed and the old file stays as it was. A link is followed; a device is written straight through.
 * @throws FilterBasisError `io` (disk full, no permission, a folder in the way), `not-found` (the folder does not
 * exist)
 */
export async function writeAside(path: string, content: Writable): Promise<void> {
  const target = await realpath(path).catch(() => path);
  const old = await stat(target).catch(() => undefined);
  if (old?.isDirectory()) throw new FilterBasisError("io", "cannot write a file over a folder", { file: path });
  if (old !== undefined && !old.isFile()) return writeThrough(target, path, content);
  const folder = dirname(target);
  const aside = join(folder, `.${basename(target).slice(0, 60)}.${process.pid}.${randomBytes(4).toString("hex")}.part`);
  try {
    const file = await open(aside, "wx", old === undefined ? 0o666 : old.mode & 0o777);
    try {
      await writePieces(file, content);
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(aside, target);
  } catch (error) {
    await rm(aside, { force: true }).catch(() => undefined);
    throw writeError(error, path);
  }
  await syncFolder(folder);
}

/**
 * Makes a rename or removal inside the folder durable. Systems that cannot sync a folder (Windows) order it themselves.
 */
export async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, "r").catch(() => undefined);
  if (handle === undefined) return;
  await handle.sync().catch(() => undefined);
  await handle.close();
}

async function writeThrough(target: string, path: string, content: Writable): Promise<void> {
  const file = await open(target, "w").catch((error: unknown) => {
    throw writeError(error, path);
  });
  try {
    await writePieces(file, content);
  } catch (error) {
    throw writeError(error, path);
  } finally {
    await file.close();
  }
}

async function writePieces(file: FileHandle, content: Writable): Promise<void> {
  if (typeof content === "string") return writeAll(file, new TextEncoder().encode(content));
  if (content instanceof Uint8Array) return writeAll(file, content);
  for await (const piece of content) await writeAll(file, piece);
}

/** `write` may take fewer bytes than given, and no more than 2^31 - 1 in one call. */
async function writeAll(file: FileHandle, bytes: Uint8Array): Promise<void> {
  const most = 1 << 30;
  for (let done = 0; done < bytes.length; ) {
    const { bytesWritten } = await file.write(bytes, done, Math.min(most, bytes.length - done));
    done += bytesWritten;
  }
}

/** What the operating system says, as an error of ours. */
export function writeError(error: unknown, path: string): FilterBasisError {
  if (error instanceof FilterBasisError) return error;
  const { code = "", message = String(error) } = error as NodeJS.ErrnoException;
  if (code === "ENOENT") {
    return new FilterBasisError("not-found", "the folder to write into does not exist", {
      file: path,
      got: dirname(path),
      cause: error,
    });
  }
  const reasons: Record<string, string> = {
    ENOSPC: "the disk is full",
    EACCES: "no permission to write",
    EROFS: "read-only file system",
    EDQUOT: "the disk quota is used up",
    ENAMETOOLONG: "the name is too long",
    ENOTDIR: "the folder to write into is a file",
    EPERM: "no permission to write",
  };
  return new FilterBasisError("io", reasons[code] ?? "cannot write", {
    file: path,
    got: code || message,
    cause: error,
  });
}

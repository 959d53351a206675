// What a file on the disk is, whatever its name says: its beginning and its end are read, never all of it.
import { type FileHandle, open } from "node:fs/promises";
import { basename } from "node:path";
import { type Identified, identify, lookedAt } from "../formats/foreign/identify.js";

/** Undefined for what is no file, cannot be read, or is of no known kind. */
export async function identifyFile(path: string): Promise<Identified | undefined> {
  const file = await open(path, "r").catch(() => undefined);
  try {
    return file === undefined ? undefined : await identifyOpen(file, path);
  } catch {
    return undefined;
  } finally {
    await file?.close();
  }
}

/** The same for a file that is open already. */
export async function identifyOpen(file: FileHandle, path: string): Promise<Identified | undefined> {
  const state = await file.stat();
  if (!state.isFile()) return undefined;
  const head = await piece(file, 0, Math.min(lookedAt, state.size));
  const tail = await piece(file, Math.max(0, state.size - lookedAt), Math.min(lookedAt, state.size));
  return identify(head, { name: basename(path), tail });
}

async function piece(file: FileHandle, from: number, length: number): Promise<Uint8Array> {
  const bytes = new Uint8Array(length);
  let done = 0;
  for (let read = 1; read > 0 && done < length; done += read)
    read = (await file.read(bytes, done, length - done, from + done)).bytesRead;
  return bytes.subarray(0, done);
}

// Tensors that lie in files beside the model (ONNX's external data): which files may be read. What is written there:
// external-writer.ts.
import { closeSync, constants, fstatSync, openSync, readSync, realpathSync } from "node:fs";
import { dirname, join, sep } from "node:path";
import { FilterBasisError } from "../errors/error.js";
import type { ReadExternal } from "../formats/onnx/index.js";

/**
 * Reads tensors from files in the model's folder or below it: no absolute path, no "..", no link that leads out,
 * nothing but regular files, and never beyond a file's end. All of that is known before a byte is read. Close it after
 * reading.
 */
export function externalReader(model: string): { readonly read: ReadExternal; close(): void } {
  const folder = dirname(model);
  const files = new Map<string, OpenFile>();
  return {
    read(location, offset, length) {
      let file = files.get(location);
      if (file === undefined) files.set(location, (file = openBeside(folder, location)));
      return readRange(file, location, offset, length ?? file.size - offset);
    },
    close() {
      for (const { descriptor } of files.values()) closeSync(descriptor);
      files.clear();
    },
  };
}

interface OpenFile {
  readonly descriptor: number;
  readonly size: number;
  /** Ranges that were read, by offset and length: tensors may share bytes. */
  readonly ranges: Map<string, Uint8Array>;
  /** Bytes read in all. */
  total: number;
}

function openBeside(folder: string, location: string): OpenFile {
  const refuse = (why: string): FilterBasisError =>
    new FilterBasisError("malformed", `external data ${why}`, { field: "location", got: location });
  if (location.includes("\0")) throw refuse("with a zero byte in its path");
  if (/^([/\\]|[A-Za-z]:)/.test(location)) throw refuse("by an absolute path");
  if (location.split(/[/\\]/).includes("..")) throw refuse('with ".." in its path');
  let target: string;
  try {
    target = realpathSync(join(folder, location));
  } catch (cause) {
    throw new FilterBasisError("not-found", "the file of external data is not there", { field: location, cause });
  }
  const home = realpathSync(folder);
  if (!target.startsWith(home.endsWith(sep) ? home : home + sep))
    throw refuse("behind a link that leads out of the model's folder");
  let descriptor: number;
  try {
    // Not blocking: a pipe of that name would hang here for ever.
    descriptor = openSync(target, constants.O_RDONLY | (constants.O_NOFOLLOW ?? 0) | (constants.O_NONBLOCK ?? 0));
  } catch (cause) {
    throw new FilterBasisError("io", "the file of external data cannot be opened", { field: location, cause });
  }
  const state = fstatSync(descriptor);
  if (state.isFile()) return { descriptor, size: state.size, ranges: new Map(), total: 0 };
  closeSync(descriptor);
  throw refuse("in something that is not a regular file");
}

function readRange(file: OpenFile, location: string, offset: number, length: number): Uint8Array {
  if (offset < 0 || length < 0 || offset + length > file.size) {
    throw new FilterBasisError("malformed", "external data beyond the end of its file", {
      field: location,
      expected: `at most ${file.size} bytes`,
      got: `offset ${offset}, length ${length}`,
    });
  }
  const key = `${offset}+${length}`;
  const before = file.ranges.get(key);
  if (before !== undefined) return before;
  // Overlapping ranges could make a small file fill the memory.
  if ((file.total += length) > file.size) {
    throw new FilterBasisError("malformed", "ranges of external data overlap", {
      field: location,
      got: `offset ${offset}, length ${length}`,
    });
  }
  const bytes = new Uint8Array(length);
  for (let done = 0; done < length; ) {
    const got = readSync(file.descriptor, bytes, done, Math.min(length - done, 1 << 30), offset + done);
    if (got === 0)
      throw new FilterBasisError("io", "the file of external data shrank while it was read", { field: location });
    done += got;
  }
  file.ranges.set(key, bytes);
  return bytes;
}

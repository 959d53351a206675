// A world of several processes, over libtorch's process groups.
import { type Device, requireDevice } from "../torch/device.js";
import { GradientBuckets } from "../torch/gradient-buckets.js";
import { type Group, joinGroup, usualTimeout } from "../torch/group.js";
import type { Launch } from "../torch/launcher.js";
import type { World } from "./world.js";

/** How a process is told that it trains with others. */
export interface JoinOptions {
  readonly launch: Launch;
  /** Where it trains: GPUs talk through NCCL. */
  readonly device: string;
  /** Milliseconds. */
  readonly timeout?: number;
  readonly networkInterface?: string;
}

/** Runs what several processes do together; one that fails tells the others why. */
export async function together<T>(
  { launch, device, timeout = usualTimeout, networkInterface }: JoinOptions,
  run: (world: World) => Promise<T>,
): Promise<T> {
  const own = deviceOf(device, launch.localRank);
  const { rank, size, meeting } = launch;
  const group = await joinGroup({
    ...{ rank, size, meeting, timeout, backend: own === "cpu" ? "gloo" : "nccl" },
    ...(networkInterface && { networkInterface }),
  });
  try {
    const result = await run(worldOf(group, own));
    await group.leave();
    return result;
  } catch (error) {
    await group.fail(error);
    throw error;
  }
}

/** Each process of a machine takes a GPU of its own. */
const deviceOf = (text: string, localRank: number): Device =>
  requireDevice(text) === "cpu" ? "cpu" : requireDevice(`cuda:${localRank}`);

function worldOf(group: Group, device: Device): World {
  return {
    rank: group.rank,
    size: group.size,
    device,
    allReduce: (tensors) => group.allReduce(tensors),
    broadcast: (tensors) => group.broadcast(tensors),
    barrier: () => group.barrier(),
    shareGradients: (parameters) => new GradientBuckets(group, parameters),
  };
}

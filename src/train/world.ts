// The processes that train one network together, as the loop sees them. One process is a world of one.
import { type Device, fromArray, type Tensor } from "../torch/index.js";

/** Gradients that become their mean over all processes while the backward pass goes on. */
export interface SharedGradients extends Disposable {
  /** How many processes there are. */
  readonly size: number;
  /** Before a backward pass. */
  begin(): void;
  /** After it: every gradient becomes the mean; the sums of the numbers. */
  finish(numbers: readonly number[]): Promise<readonly number[]>;
}

export interface World {
  /** Which of the processes this is, 0 .. size - 1. */
  readonly rank: number;
  readonly size: number;
  /** Where tensors lie that go from process to process. */
  readonly device: Device;
  /** Replaces the elements of each tensor by their sum over all processes, which have tensors of the same shapes. */
  allReduce(tensors: readonly Tensor[]): Promise<void>;
  /** Replaces the elements of each tensor by those of rank 0. */
  broadcast(tensors: readonly Tensor[]): Promise<void>;
  /** Waits until every process is here, as long as each of them lives. */
  barrier(): Promise<void>;
  shareGradients(parameters: readonly Tensor[]): SharedGradients;
}

const nothing = async (): Promise<void> => undefined;

export const alone: World = {
  rank: 0,
  size: 1,
  device: "cpu",
  allReduce: nothing,
  broadcast: nothing,
  barrier: nothing,
  shareGradients: () => ({
    size: 1,
    begin: () => undefined,
    finish: async (numbers) => numbers,
    [Symbol.dispose]: () => undefined,
  }),
};

/** The numbers of every process, one row each; every process gives as many. */
export async function gather(world: World, numbers: ArrayLike<number>): Promise<readonly Float64Array[]> {
  const { rank, size, device } = world;
  const length = numbers.length;
  const own = Float64Array.from(numbers);
  if (size === 1) return [own];
  const all = new Float64Array(size * length);
  all.set(own, rank * length);
  await world.barrier();
  const tensor = fromArray(all, [size * length], "float64", device);
  try {
    await world.allReduce([tensor]);
    const gathered = tensor.data() as Float64Array;
    return Array.from({ length: size }, (_, k) => gathered.slice(k * length, (k + 1) * length));
  } finally {
    tensor.dispose();
  }
}

/** Replaces numbers by their sums over all processes. */
async function sumNumbers(world: World, numbers: Float64Array): Promise<void> {
  if (world.size === 1) return;
  await world.barrier();
  const tensor = fromArray(numbers, [numbers.length], "float64", world.device);
  try {
    await world.allReduce([tensor]);
    tensor.copyTo(numbers);
  } finally {
    tensor.dispose();
  }
}

/** The processes as a calibration sees them; undefined where there is one. */
export const sharesOf = (world: World) =>
  world.size === 1
    ? undefined
    : { rank: world.rank, size: world.size, sum: (numbers: Float64Array) => sumNumbers(world, numbers) };

/** Bytes of rank 0 on every process; the others' own count for nothing. Undefined stays undefined. */
export async function fromFirst(world: World, bytes: Uint8Array | undefined): Promise<Uint8Array | undefined> {
  if (world.size === 1) return bytes;
  const [lengths] = await gather(world, [bytes?.length ?? -1]);
  const length = lengths![0]!;
  if (length <= 0) return length < 0 ? undefined : new Uint8Array(0);
  const held = world.rank === 0 ? (bytes as Uint8Array).slice() : new Uint8Array(length);
  const tensor = fromArray(held, [length], "uint8", world.device);
  try {
    await world.broadcast([tensor]);
    return tensor.data() as Uint8Array;
  } finally {
    tensor.dispose();
  }
}

/** Which rows of a batch are this process's: every size-th; a batch of fewer rows than processes is everybody's. */
export function rowsOf(count: number, { rank, size }: Pick<World, "rank" | "size">) {
  if (count < size) return { rows: Array.from({ length: count }, (_, row) => row), share: 1 / size };
  const rows = Array.from({ length: Math.ceil((count - rank) / size) }, (_, k) => rank + k * size);
  return { rows, share: rows.length / count };
}

// The images of a block: what it reads and what it should make, kept by image, so that any of them can be drawn for a
// step.
import { FilterBasisError } from "../errors/error.js";
import { feeds } from "../graph/index.js";
import type { Graph, TensorData } from "../graph/types.js";
import { floats, isFloat } from "../graph/values.js";
import type { Random } from "../linalg/random.js";
import { batchesOf, type Values } from "./engine.js";
import type { Cut, Walk } from "./prefix.js";

export interface Batch {
  readonly inputs: Values;
  readonly targets: Values;
  readonly count: number;
}

export interface Pool {
  /** Random images among those that are not held out. */
  draw(random: Random, count: number): Batch;
  /** The images that are held out; all where none are. */
  held(): Iterable<Batch>;
  /** Of all elements of a target. */
  variance(name: string): number;
}

interface Source {
  readonly cut: Cut;
  readonly targets: readonly Values[];
  readonly to: readonly string[];
  readonly holdEvery: number;
}

/** @param piece the graph whose inputs are read */
export async function imagePool(
  { images, sampling }: Walk,
  piece: Graph,
  { cut, targets, to, holdEvery }: Source,
): Promise<Pool> {
  const names = feeds(piece).map(({ name }) => name);
  const fromCut = new Set(cut.names);
  const batches: { readonly inputs: Values; readonly targets: Values; readonly count: number }[] = [];
  for (const [i, [first, count]] of batchesOf(images.count, sampling.batch).entries()) {
    const fed = names.every((name) => fromCut.has(name)) ? {} : await images.feeds(first, count);
    const inputs = Object.fromEntries(
      names.map((name) => [name, (fromCut.has(name) ? cut.compressed[i]! : fed)[name]!]),
    );
    batches.push({ inputs, targets: Object.fromEntries(to.map((name) => [name, targets[i]![name]!])), count });
  }
  const isHeld = (at: number): boolean => at % holdEvery === holdEvery - 1;
  const held = batches.filter((_, at) => isHeld(at));
  const rest = batches.filter((_, at) => !isHeld(at));
  const places = rest.flatMap(({ count }, batch) => Array.from({ length: count }, (_, row) => ({ batch, row })));
  const variances = new Map(to.map((name) => [name, varianceOf(batches.map((batch) => batch.targets[name]!))]));
  return {
    draw(random, count) {
      const drawn = Array.from({ length: count }, () => places[random.int(places.length)]!);
      const pick = (of: "inputs" | "targets"): Values =>
        Object.fromEntries(
          Object.keys(rest[0]![of]).map((name) => [
            name,
            rows(drawn.map(({ batch, row }) => [rest[batch]![of][name]!, rest[batch]!.count, row])),
          ]),
        );
      return { inputs: pick("inputs"), targets: pick("targets"), count };
    },
    held: () => (held.length > 0 ? held : batches),
    variance: (name) => variances.get(name)!,
  };
}

/**
 * Rows of tensors, one below the other. A tensor whose first axis is no multiple of the images cannot be taken apart.
 */
function rows(parts: readonly (readonly [tensor: TensorData, images: number, row: number])[]): TensorData {
  const [[first, count]] = parts as [(typeof parts)[0]];
  const lead = first.dims[0]! / count;
  if (!Number.isInteger(lead)) {
    throw new FilterBasisError("unsupported", "a value of the network does not go by images", {
      got: `[${first.dims.join(", ")}]`,
    });
  }
  const bytes = first.data.byteLength / count;
  const data = new Uint8Array(bytes * parts.length);
  for (const [i, [tensor, , row]] of parts.entries())
    data.set(tensor.data.subarray(row * bytes, (row + 1) * bytes), i * bytes);
  return { type: first.type, dims: [lead * parts.length, ...first.dims.slice(1)], data };
}

function varianceOf(tensors: readonly TensorData[]): number {
  let [sum, squares, count] = [0, 0, 0];
  for (const tensor of tensors) {
    if (!isFloat(tensor.type)) continue;
    for (const value of floats(tensor)) {
      sum += value;
      squares += value * value;
      count++;
    }
  }
  const mean = sum / Math.max(1, count);
  return Math.max(1e-12, squares / Math.max(1, count) - mean * mean);
}

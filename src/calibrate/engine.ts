// Who runs networks for a calibration: libtorch (torch-engine.ts) or ONNX Runtime (ort-engine.ts), handed in. Nothing
// here or in the files that use it knows which.
import { FilterBasisError } from "../errors/error.js";
import type { Graph, TensorData } from "../graph/types.js";
import { floats } from "../graph/values.js";
import type { LinearAlgebra } from "../linalg/linear-algebra.js";
import type { Activation } from "./geometry.js";
import type { Products } from "./sums.js";

/** Values by name. */
export type Values = Readonly<Record<string, TensorData>>;

/** A graph that is ready to run. Owns native memory: `close` it. */
export interface OpenGraph {
  /** Feeds every input of the graph and gives every output. */
  run(feeds: Values): Promise<Values>;
  close(): Promise<void>;
}

export interface Engine {
  readonly name: "libtorch" | "onnxruntime";
  readonly algebra: LinearAlgebra;
  readonly products: Products;
  open(graph: Graph): Promise<OpenGraph>;
}

/** Images (or whatever the network's inputs are), as the network is fed. */
export interface CalibrationImages {
  /** What a network with a fixed batch takes at once is one image here. */
  readonly count: number;
  /** Images of the data in each of them: the fixed batch. Default: 1. */
  readonly each?: number;
  /** Stands for the images and for how they become inputs; without one nothing is kept in the cache. */
  readonly key?: string;
  /** The feeds of the images `first` to `first + count - 1`, along the first axis of each input. */
  feeds(first: number, count: number): Values | Promise<Values>;
}

/** How images are looked at. */
export interface Sampling {
  /** Images that run at once. */
  readonly batch: number;
  /** Random places of an image at which a layer is looked at; all where it has fewer. */
  readonly places: number;
  readonly seed: number;
}

/** Places that all images together show at least, where they have so many: few images are looked at more closely. */
const leastPlaces = 2 ** 14;

/** 256 places of each of 32 images at once, or as stated; more places where there are few images. */
export function samplingOf(
  { count, each = 1 }: CalibrationImages,
  { batch = 32, places, seed = 0 }: Partial<Sampling> = {},
): Sampling {
  return { batch, places: places ?? Math.max(256, Math.ceil(leastPlaces / Math.max(1, count * each))), seed };
}

/**
 * Patches of more values than this take seconds in TypeScript alone, and there all images show so many places of them.
 */
export const slowPatch = 1200;
const [wide, widePlaces, slowPlaces] = [4096, 2 ** 13, 2 ** 10];

/** Fewer places where a patch has very many values: each costs the square of their number. */
export function samplingFor(
  patch: number,
  sampling: Sampling,
  { count, each = 1 }: Pick<CalibrationImages, "count" | "each">,
  { algebra }: Pick<Engine, "algebra">,
): Sampling {
  const slow = algebra.name === "typescript" && patch > slowPatch;
  if (!slow && patch <= wide) return sampling;
  const most = Math.ceil((slow ? slowPlaces : widePlaces) / Math.max(1, count * each));
  return { ...sampling, places: Math.min(sampling.places, most) };
}

/** What a long step may be told: where it stands, and that it shall stop. */
export interface Hooks {
  readonly signal?: AbortSignal;
  progress?(what: string, done: number, total: number): void;
}

/** @throws FilterBasisError `interrupted` */
export function stopIfAborted({ signal }: Hooks): void {
  if (signal?.aborted) throw new FilterBasisError("interrupted", "stopped while calibrating");
}

/** The first image and the number of images of each batch. */
export function batchesOf(count: number, size: number): readonly (readonly [first: number, count: number])[] {
  return Array.from(
    { length: Math.ceil(count / size) },
    (_, i) => [i * size, Math.min(size, count - i * size)] as const,
  );
}

/**
 * A value among those that came back, as numbers.
 * @throws FilterBasisError `internal` where it is not there
 */
export function activationOf(values: Values, name: string): Activation {
  const tensor = values[name];
  if (tensor === undefined)
    throw new FilterBasisError("internal", "a value that is needed was not computed", { tensor: name });
  return { dims: tensor.dims, values: floats(tensor) };
}

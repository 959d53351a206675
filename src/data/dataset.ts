// What every data set is: how it is fetched and checked where that can be done, and what opening it gives.
import { FilterBasisError } from "../errors/error.js";
import type { TensorData } from "../graph/types.js";
import type { ImageData } from "./image-set.js";
import type { InputOptions, Inputs } from "./inputs.js";
import type { PairSet, Split } from "./sr-pairs.js";

/**
 * A data set, or a kind of data that users have of their own. Adding one is adding a file in `sets/` and its line in
 * `table.ts`.
 */
export interface Dataset {
  readonly name: string;
  /** For help and for messages: what it is. */
  readonly summary: string;
  /** Kinds of data only: whether the path holds such. A data set without it is known by its name. */
  holds?(path: string): Promise<boolean>;
  /** Fetches and unpacks what is not there yet. */
  get?(options: GetOptions): Promise<Kept>;
  /** Checks what was fetched against its checksums. */
  check?(options: CheckOptions): Promise<Kept>;
  /**
   * Makes the data ready to be read.
   * @throws FilterBasisError `not-found`, `malformed`, `data-mismatch`, `too-large`
   */
  open(options: OpenOptions): Promise<Data>;
}

/** Data that has been opened. What it does not have is absent. */
export interface Data {
  /** How messages name it: a name or a path. */
  readonly name: string;
  /** Images of one size with their classes. */
  labelled?(): Promise<ImageData>;
  /** Images in two resolutions, for one scale. */
  pairs?(scale: number, split?: Split): Promise<PairSet>;
  /** Files of arrays that have names: all of them, and which are labels by their names. */
  readonly arrays?: { readonly byName: ReadonlyMap<string, TensorData>; readonly labels: ReadonlySet<string> };
  /** Inputs of a network in batches, with labels where there are any. */
  inputs(options?: InputOptions): Promise<Inputs>;
}

/** Where a data set was put. */
export interface Kept {
  readonly folder: string;
  /** How many files were checked. */
  readonly files?: number;
}

interface Telling {
  /** Told, in a sentence, of each slow step. */
  readonly note?: (text: string) => void;
  readonly signal?: AbortSignal;
}

export interface GetOptions extends Telling {
  /** Where the data set goes; by default a folder of its name in the cache folder. */
  readonly folder?: string;
  /** Another server that has the same archives, in one folder. */
  readonly mirror?: string;
  /** Only what this scale needs. */
  readonly scale?: number;
  readonly progress?: (label: string, done: number, total: number | undefined) => void;
}

interface CheckOptions {
  readonly folder?: string;
  /** Removes a file that is wrong, so that it is fetched again. */
  readonly repair?: boolean;
}

export interface OpenOptions extends Telling {
  /** Kinds of data: the path that holds it. */
  readonly path?: string;
}

/**
 * The labelled images of the data.
 * @throws FilterBasisError `data-mismatch` where it has no labels
 */
export async function labelledImages(data: Data): Promise<ImageData> {
  if (data.labelled !== undefined) return await data.labelled();
  throw new FilterBasisError("data-mismatch", "the images have no labels", {
    file: data.name,
    expected: "cifar10, an archive of it, folders of classes (CLASS/NAME.png) or arrays with labels",
  });
}

/**
 * The image pairs of the data for one scale.
 * @throws FilterBasisError `data-mismatch` where it has none
 */
export async function imagePairs(data: Data, scale: number, split?: Split): Promise<PairSet> {
  if (data.pairs !== undefined) return await data.pairs(scale, split);
  throw new FilterBasisError("data-mismatch", "the data holds no images for super-resolution", {
    file: data.name,
    expected: "a folder of high-resolution images, or of pairs",
  });
}

/**
 * Refuses options that a data set has no use for.
 * @throws FilterBasisError `usage`
 */
export function refuseOptions(name: string, options: object, useless: readonly string[]): void {
  const given = useless.filter((option) => (options as Readonly<Record<string, unknown>>)[option] !== undefined);
  if (given.length > 0)
    throw new FilterBasisError("usage", `${name} does not take ${given.map((option) => `--${option}`).join(", ")}`);
}

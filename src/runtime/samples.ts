// Inputs for trying a model out: shapes for its free sizes, and numbers to fill them with.
import { FilterBasisError } from "../errors/error.js";
import { elements } from "../graph/attributes.js";
import { isFloat, tensorOf } from "../graph/values.js";
import { Random } from "../linalg/random.js";
import type { Feeds, Port } from "./session.js";

export interface SampleOptions {
  /** Whole shapes by the input's name; they win over everything else. */
  readonly shapes?: ReadonlyMap<string, readonly number[]>;
  /** For a free first axis. */
  readonly batch?: number;
  /** For every other free axis. */
  readonly side?: number;
  /** Numbers are drawn uniformly from here. */
  readonly range?: readonly [low: number, high: number];
  readonly seed?: number;
}

/** A shape without free sizes: the same symbol gets the same size everywhere in one shape. */
export function sampleShape({ name, dims }: Port, { shapes, batch = 1, side = 48 }: SampleOptions = {}): readonly number[] {
  const given = shapes?.get(name);
  if (given === undefined) return dims.map((dim, axis) => (typeof dim === "number" ? dim : axis === 0 ? batch : side));
  if (given.length !== dims.length || dims.some((dim, axis) => typeof dim === "number" && dim !== given[axis])) {
    throw new FilterBasisError("shape-mismatch", "the shape does not fit the model's input", {
      tensor: name,
      expected: `[${dims.map((dim) => dim ?? "?").join(", ")}]`,
      got: `[${given.join(", ")}]`,
    });
  }
  return given;
}

/** Seeded random inputs: floats uniform on the range, integers 0 or 1 (valid wherever an index or a flag is wanted). */
export function sampleFeeds(inputs: readonly Port[], options: SampleOptions = {}): Feeds {
  const { range: [low, high] = [0, 1], seed = 0 } = options;
  const random = new Random(seed);
  return Object.fromEntries(
    inputs.map((port) => {
      const dims = sampleShape(port, options);
      const values = Float64Array.from({ length: elements(dims) }, () =>
        isFloat(port.type) ? low + (high - low) * random.next() : random.int(2),
      );
      return [port.name, tensorOf(port.type, dims, values)];
    }),
  );
}

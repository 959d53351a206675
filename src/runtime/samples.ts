// Numbers to fill a model's inputs with. Their shapes, and the values of inputs that are settings, are decided
// elsewhere: see `findInputs`.
import { FilterBasisError } from "../errors/error.js";
import { elements } from "../graph/attributes.js";
import type { DataType, TensorData } from "../graph/types.js";
import { isFloat, tensorOf } from "../graph/values.js";
import { Random } from "../linalg/random.js";
import { usualShape } from "../ops/sizes/usual-sizes.js";
import type { Feeds, Port } from "./session.js";

export interface SampleOptions {
  /** Whole shapes by the input's name; they win over everything else. */
  readonly shapes?: ReadonlyMap<string, readonly number[]>;
  /** Whole inputs by name: what is here is not drawn. */
  readonly values?: ReadonlyMap<string, TensorData>;
  /** For every free axis but the first of an input without a shape here. */
  readonly side?: number;
  /** For a free first axis of such an input; 1 where `side` is given. */
  readonly batch?: number;
  /** Numbers are drawn uniformly from here. */
  readonly range?: readonly [low: number, high: number];
  readonly seed?: number;
}

/**
 * A shape without free sizes. Without any options, free ones are as usual for such an input, whether the model takes
 * them or not.
 * @throws FilterBasisError `shape-mismatch` for a shape that is not the input's; `usage` for a free size that is not
 * among those decided
 */
export function sampleShape({ name, type, dims }: Port, options: SampleOptions = {}): readonly number[] {
  const { shapes, side, batch = side === undefined ? undefined : 1 } = options;
  const given = shapes?.get(name);
  if (given === undefined) {
    const usual = shapes === undefined ? usualShape(dims, type) : dims;
    return dims.map((dim, axis) => {
      const size = typeof dim === "number" ? dim : ((axis === 0 ? batch : side) ?? usual[axis]);
      if (typeof size === "number") return size;
      throw new FilterBasisError("usage", "the input has a free size that the shapes do not decide (see findInputs)", {
        tensor: name,
        got: `[${dims.map((own) => own ?? "?").join(", ")}]`,
      });
    });
  }
  // no sizes at all: a scalar, or an input of unknown rank
  const fits =
    given.length === dims.length && dims.every((dim, axis) => typeof dim !== "number" || dim === given[axis]);
  if (!fits && dims.length > 0) {
    throw new FilterBasisError("shape-mismatch", "the shape does not fit the model's input", {
      tensor: name,
      expected: `[${dims.map((dim) => dim ?? "?").join(", ")}]`,
      got: `[${given.join(", ")}]`,
    });
  }
  return given;
}

/**
 * Seeded random inputs: floats uniform on the range, integers 0 or 1 (valid wherever an index or a flag is wanted),
 * bools false, texts empty.
 */
export function sampleFeeds(inputs: readonly Port[], options: SampleOptions = {}): Feeds {
  const { range = [0, 1], seed = 0, values } = options;
  const random = new Random(seed);
  return Object.fromEntries(
    inputs.map((port) => [
      port.name,
      values?.get(port.name) ?? sample(port.type, sampleShape(port, options), range, random),
    ]),
  );
}

function sample(
  type: DataType,
  dims: readonly number[],
  [low, high]: readonly [number, number],
  random: Random,
): TensorData {
  const length = elements(dims);
  if (type === "string")
    return { type, dims, data: new Uint8Array(0), strings: Array.from({ length }, () => new Uint8Array(0)) };
  if (type === "bool") return tensorOf(type, dims, new Float64Array(length));
  const draw = isFloat(type) ? () => low + (high - low) * random.next() : () => random.int(2);
  const values = new Float64Array(length); // a loop: `from` takes several times as long
  for (let i = 0; i < length; i++) values[i] = draw();
  return tensorOf(type, dims, values);
}

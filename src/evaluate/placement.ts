// Which input of a network data goes into, and how images lie in it.
import type { Data } from "../data/dataset.js";
import type { InputOptions } from "../data/inputs.js";
import { FilterBasisError } from "../errors/error.js";
import { elements } from "../graph/attributes.js";
import { feeds as fedInputs } from "../graph/edit.js";
import type { Graph, Value } from "../graph/types.js";
import { isFloat } from "../graph/values.js";
import type { ModelInputs } from "../runtime/index.js";
import { inputBatch } from "./input-batch.js";
import { namedInputs } from "./named-inputs.js";

/** A layout of images in a tensor: [N, C, H, W], or [N, H, W, C] as TensorFlow's exporters have it. */
export interface Placement {
  readonly name: string;
  readonly type: Value["tensor"];
  readonly dims: readonly number[];
  readonly channelsLast: boolean;
  readonly channels: number;
}

/**
 * The input that images go into: the one that is named, or the only one with four axes and one or three channels, or
 * the only one of floats.
 */
export function placementOf(graph: Graph, { shapes }: ModelInputs, named: string | undefined): Placement {
  const fed = fedInputs(graph);
  const candidates = fed.flatMap((value): Placement[] => {
    const dims = shapes.get(value.name);
    return dims === undefined ? [] : [asImages(value, dims)];
  });
  const wanted = named === undefined ? undefined : candidates.find(({ name }) => name === named);
  if (wanted !== undefined) return wanted;
  const images = candidates.filter(({ channels, dims }) => dims.length === 4 && (channels === 1 || channels === 3));
  const floating = candidates.filter(({ type }) => type !== undefined && isFloat(type.type));
  const found = [images, floating, candidates].find(({ length }) => length === 1)?.[0];
  if (named === undefined && found !== undefined) return found;
  throw new FilterBasisError(
    "data-mismatch",
    named === undefined ? "it is not clear which input the data goes into" : "there is no such input",
    {
      expected: "the name of one input: --data-input NAME",
      got: candidates.map(({ name, dims }) => `${name} [${dims.join(", ")}]`).join("; ") || "no inputs",
    },
  );
}

function asImages({ name, tensor }: Value, dims: readonly number[]): Placement {
  const few = (dim: number | undefined) => dim === 1 || dim === 3;
  const channelsLast = dims.length === 4 && few(dims[3]) && !few(dims[1]);
  return { name, type: tensor, dims, channelsLast, channels: (channelsLast ? dims[3] : dims[1]) ?? 0 };
}

/**
 * The input that data goes into: how many of it the network takes at once, and its pixels.
 * @throws FilterBasisError `data-mismatch` where it is not clear which input that is
 */
export function dataInput(
  graph: Graph,
  data: Data,
  inputs: ModelInputs,
  { input, size, array }: { readonly input?: string } & Pick<InputOptions, "size" | "array">,
) {
  const stated = size === undefined ? {} : { size };
  const named = namedInputs(graph, data, inputs, {
    ...(input === undefined ? {} : { input }),
    ...(array === undefined ? {} : { array }),
  });
  const placement = placementOf(graph, inputs, input ?? named?.primary);
  const { fixed } = inputBatch(graph, placement.name, inputs.shapes);
  return { name: placement.name, fixed, pixels: pixelsOf(placement, stated) };
}

/** Places of one input: pixels of an image, steps of a sequence. */
export function pixelsOf({ dims, channelsLast }: Placement, { size }: Pick<InputOptions, "size">): number {
  if (size !== undefined) return size.width * size.height;
  return elements(channelsLast ? dims.slice(1, 3) : dims.slice(2));
}

/** Whether the file leaves its sizes free. */
export const isFree = ({ name }: Placement, { chosen }: ModelInputs): boolean =>
  chosen.some(({ input }) => input === name);

/** Whole numbers are 0..255. */
export const rangeOf = ({ type }: Placement): 1 | 255 => (type !== undefined && !isFloat(type.type) ? 255 : 1);

// Sizes for the axes that a model leaves free, where a count or a trial run needs some and the caller states none.
import { FilterBasisError, isError } from "../errors/error.js";
import { readInt } from "./attributes.js";
import { substitute, symbolsOf } from "./dims.js";
import { consumers, feeds } from "./edit.js";
import { inferShapes } from "./shapes/infer.js";
import type { Dim, Graph, Value } from "./types.js";

/** Sizes that are tried along free axes of pictures, in this order: networks that end in a fully connected layer fit one only. */
const usualPixels = [64, 224, 32, 28, 256, 299, 512] as const;

type Shapes = ReadonlyMap<string, readonly number[]>;

/**
 * The inputs' shapes with every axis a number: as given, as the model states, or else batch 1, the channels that the first
 * convolution reads, and the first usual number of pixels with which no shapes of the model contradict each other.
 * @throws FilterBasisError `shape-mismatch` where none of these fits
 */
export function concreteInputs(graph: Graph, inputShapes: ReadonlyMap<string, readonly Dim[]>): Shapes {
  const [first, assumed] = fill(graph, inputShapes, usualPixels[0]);
  if (!assumed) return first;
  let failure: unknown;
  for (const pixels of usualPixels) {
    const [shapes] = fill(graph, inputShapes, pixels);
    try {
      inferShapes(graph, shapes);
      return shapes;
    } catch (error) {
      if (!isError(error, "shape-mismatch")) throw error;
      failure ??= error;
    }
  }
  throw new FilterBasisError("shape-mismatch", `no usual size of picture fits the model (${(failure as Error).message})`, {
    cures: ["state the size of its input, as --input 1x3x224x224"],
    cause: failure,
  });
}

/** The shapes with one number of pixels, and whether it was needed. */
function fill(
  graph: Graph,
  inputShapes: ReadonlyMap<string, readonly Dim[]>,
  pixels: number,
): readonly [shapes: Shapes, assumed: boolean] {
  const inputs = feeds(graph);
  const symbols = new Map<string, Dim>();
  for (const [name, given] of inputShapes) {
    const own = inputs.find((input) => input.name === name)?.tensor?.dims;
    for (const [axis, dim] of given.entries()) {
      const symbol = own?.[axis];
      if (typeof dim === "number" && typeof symbol === "string") symbols.set(symbol, dim);
    }
  }
  const shapes = new Map<string, readonly number[]>();
  let assumed = false;
  for (const input of inputs) {
    const { name, tensor } = input;
    const given = inputShapes.get(name);
    const dims = tensor?.dims ?? given;
    if (dims === undefined) continue;
    const concrete = dims.map((dim, axis) => {
      const stated = substitute(given?.[axis] ?? dim, symbols);
      const known = typeof stated === "number" && stated >= 0;
      if (!known && axis > 0) assumed = true;
      const size = known
        ? stated
        : axis === 0
          ? 1
          : axis === 1 && dims.length > 2
            ? (channelsOf(graph, input) ?? pixels)
            : pixels;
      if (typeof dim === "string" && symbolsOf(dim).has(dim)) symbols.set(dim, size);
      return size;
    });
    shapes.set(name, concrete);
  }
  for (const [name, given] of inputShapes) if (!shapes.has(name)) shapes.set(name, given as readonly number[]); // refused by inferShapes
  return [shapes, assumed];
}

/** The channels of the convolution that reads an input. */
function channelsOf(graph: Graph, { name }: Value): number | undefined {
  const reader = consumers(graph)
    .get(name)
    ?.find((node) => node.op === "Conv" && node.domain === "" && node.inputs[0] === name);
  const weight = graph.initializers.get(reader?.inputs[1] ?? "");
  return reader && weight?.dims[1] && weight.dims[1] * readInt(reader, "group", 1);
}

// The option --input: sizes for the free axes of a model's inputs.
import { FilterBasisError } from "../errors/error.js";
import { usable } from "../graph/dims.js";
import { feeds } from "../graph/edit.js";
import type { Graph } from "../graph/types.js";
import { freeSizes } from "../ops/sizes/free-sizes.js";

/** The definition of the option, for a command's `args`. */
export const inputOption = {
  type: "string",
  description: "sizes of an input, 1x3x224x224; with several inputs NAME=1x3x224x224, once for each",
  valueHint: "SHAPE",
} as const;

/**
 * Reads every value given for --input.
 * @throws FilterBasisError `usage` for a text that is no shape, a name that the model does not have, or two shapes for
 * one input; `shape-mismatch` for another number of axes or another size than the model fixes, and where one symbol
 * gets two sizes
 */
export function readInputShapes(graph: Graph, texts: readonly string[]): ReadonlyMap<string, readonly number[]> {
  const inputs = feeds(graph);
  const shapes = new Map<string, readonly number[]>();
  for (const text of texts) {
    const at = text.lastIndexOf("=");
    const name = at < 0 ? inputs[0]?.name : text.slice(0, at);
    const input = inputs.find((candidate) => candidate.name === name);
    if (input === undefined || (at < 0 && inputs.length > 1)) {
      throw new FilterBasisError("usage", "--input must name one of the model's inputs", {
        expected: inputs.map((candidate) => `${candidate.name}=SHAPE`).join(" or "),
        got: text,
      });
    }
    const words = text.slice(at + 1).split("x");
    if (!words.every((word) => /^[1-9]\d{0,8}$/.test(word))) {
      throw new FilterBasisError("usage", "--input needs sizes joined by x", { expected: "1x3x224x224", got: text });
    }
    const dims = words.map(Number);
    const stated = input.tensor?.dims?.map(usable);
    if (
      stated !== undefined &&
      (stated.length !== dims.length || stated.some((dim, axis) => typeof dim === "number" && dim !== dims[axis]))
    ) {
      throw new FilterBasisError("shape-mismatch", "--input does not fit the model", {
        tensor: input.name,
        expected: stated.map((dim) => dim ?? "?").join("x"),
        got: dims.join("x"),
      });
    }
    const before = shapes.get(input.name);
    if (before !== undefined && before.join() !== dims.join()) {
      throw new FilterBasisError("usage", "--input gives an input two shapes", {
        tensor: input.name,
        expected: before.join("x"),
        got: dims.join("x"),
      });
    }
    shapes.set(input.name, dims);
  }
  freeSizes(graph, shapes); // refuses a symbol with two sizes
  return shapes;
}

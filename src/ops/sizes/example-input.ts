// What to say where no sizes are found: the option that states them, for this very model.
import { FilterBasisError } from "../../errors/error.js";
import { readInt } from "../../graph/attributes.js";
import { readBasisConv } from "../../graph/basis-conv.js";
import { indexOf } from "../../graph/graph-index.js";
import type { Dim, Graph } from "../../graph/types.js";
import { freeSizes, shapesOf } from "./free-sizes.js";
import { sizeChoices, sizeDemands } from "./size-choices.js";
import { usualSizes } from "./usual-sizes.js";

/** The error for a model that nothing fits, with an example of what to state. */
export function noSizes(
  graph: Graph,
  stated: ReadonlyMap<string, readonly Dim[]>,
  cause?: FilterBasisError,
): FilterBasisError {
  const images = [...freeSizes(graph, stated).dims.values()].some((dims) => dims.length === 4);
  return new FilterBasisError(
    "shape-mismatch",
    `no usual size ${images ? "of image " : ""}fits the model: state the sizes of its inputs with --input${cause ? ` (${cause.message})` : ""}`,
    { cures: [`state the sizes of its inputs, as ${exampleInput(graph, stated)}`], ...(cause && { cause }) },
  );
}

/** The words that would state this model's open inputs: --input x=1x3x224x224. */
export function exampleInput(graph: Graph, stated: ReadonlyMap<string, readonly Dim[]> = new Map()): string {
  const free = freeSizes(graph, stated);
  const demands = sizeDemands(graph, free);
  const choices = sizeChoices(demands) ?? sizeChoices({ ...demands, equations: [] }) ?? [];
  const shapes = shapesOf(free, new Map(choices.map(({ symbol, list }) => [symbol, list[0]!])));
  const open = [...shapes].filter(([name]) => free.dims.get(name)!.some((dim) => typeof dim === "string"));
  const unranked = free.unknownRank.map(({ name }) => [name, likelyShape(graph)] as const);
  return [...unranked, ...open].map(([name, dims]) => `--input ${name}=${dims.join("x")}`).join(" ");
}

/** A shape for an input of unknown rank: what the first convolution would read. */
function likelyShape(graph: Graph): readonly number[] {
  const constant = indexOf(graph).constant;
  for (const node of graph.nodes) {
    const layer = readBasisConv(node);
    if (layer !== undefined) return pixels(layer.inChannels, layer.kernel.length);
    const weight = node.op === "Conv" && node.domain === "" ? constant(node.inputs[1] ?? "") : undefined;
    if (weight === undefined || weight.dims.length < 3) continue;
    return pixels(weight.dims[1]! * readInt(node, "group", 1), weight.dims.length - 2);
  }
  return pixels(3, 2);
}

/** [1, channels, ...] with a usual size along each of the axes. */
function pixels(channels: number, axes: number): readonly number[] {
  const kind = (["frames", "pixels", "voxels"] as const)[axes - 1] ?? "pixels";
  return [1, channels, ...Array<number>(axes).fill(usualSizes[kind][0]!)];
}

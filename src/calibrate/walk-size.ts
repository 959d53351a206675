// How much of a walk through two networks fits into memory: the values that are kept between layers, and the places
// that all images together show of a layer.
import type { Graph } from "../graph/types.js";
import { type CalibrationImages, type Sampling, samplingOf } from "./engine.js";
import { extentOf } from "./geometry.js";
import type { CalibratedLayer } from "./layers.js";
import { inferred, liveAt, type Types } from "./segment.js";

/** Types at the size of the first image, as far as they are known. */
export async function imageTypes(graph: Graph, images: CalibrationImages): Promise<Types> {
  const fed = await images.feeds(0, 1);
  return inferred(graph, new Map(Object.entries(fed).map(([name, { dims }]) => [name, dims])));
}

/** Fewer images than this say too little. */
const fewest = 4;

/**
 * As many images as can be walked with while all that is read behind a layer is kept; all where that is too few, or
 * where sizes are not known.
 * @param memory bytes for the values of one network
 */
export function fittingImages(
  graph: Graph,
  layers: readonly CalibratedLayer[],
  images: CalibrationImages,
  { types, moving, memory }: { readonly types: Types; readonly moving: ReadonlySet<string>; readonly memory: number },
): CalibrationImages {
  const place = new Map(graph.nodes.map((node, at) => [node, at]));
  let most = 1;
  for (const { nodes } of layers) {
    const live = liveAt(graph, place.get(nodes[0]!.node)!, moving, types) ?? [];
    const bytes = live.reduce((sum, name) => sum + bytesOf(types.get(name)?.dims), 0);
    most = Math.max(most, bytes);
  }
  const count = Math.floor(memory / most);
  if (!Number.isFinite(most) || count >= images.count || count < fewest) return images;
  return { ...(images.each && { each: images.each }), count, feeds: (first, number) => images.feeds(first, number) };
}

const bytesOf = (dims: readonly unknown[] | undefined): number =>
  dims?.every((dim) => typeof dim === "number")
    ? 4 * (dims as readonly number[]).reduce((product, dim) => product * dim, 1)
    : Number.POSITIVE_INFINITY;

/** Places of a layer that are looked at on all images; as many as are asked for where its size is not known. */
export function placesOn(
  { geometry, nodes }: CalibratedLayer,
  images: CalibrationImages,
  types: Types,
  sampling: Partial<Sampling>,
): number {
  const { places } = samplingOf(images, sampling);
  const dims = types.get(nodes[0]!.input)?.dims;
  if (!dims?.every((dim) => typeof dim === "number")) return images.count * (images.each ?? 1) * places;
  const [rows, columns] = extentOf(geometry, dims as readonly number[]).output;
  return images.count * (dims as readonly number[])[0]! * Math.min(places, rows * columns);
}

// What values of a network occur on images: their spread, and the mean of each channel.
import { FilterBasisError } from "../errors/error.js";
import { elements } from "../graph/attributes.js";
import { indexOf } from "../graph/graph-index.js";
import { feeds } from "../graph/index.js";
import type { Graph } from "../graph/types.js";
import { floats } from "../graph/values.js";
import { type CalibrationImages, type Engine, type Hooks, stopIfAborted, type Values } from "./engine.js";
import { addValues, emptyHistogram, type Histogram } from "./histogram.js";
import { inferred, openTap, type Types, typesOf } from "./segment.js";

export interface Activations {
  readonly histogram: Histogram;
  /** Of each index of the second axis; of the only one where there is no second. */
  readonly means: Float64Array;
  /** Of each of them the largest size. */
  readonly peaks: Float64Array;
}

export interface RangeOptions extends Hooks {
  /** Images that are looked at: the first ones. Default: 64. */
  readonly most?: number;
  /** Bytes of values that are held at once. */
  readonly memory?: number;
}

/** Values of one activation of one image that go into a histogram; its ends are those of all values. */
const binned = 2 ** 18;

/**
 * Runs the network on images, one by one, and looks at the named values.
 * @throws FilterBasisError `non-finite`, `interrupted`; what running the network throws
 */
export async function activationRanges(
  graph: Graph,
  values: readonly string[],
  images: CalibrationImages,
  engine: Engine,
  { most = 64, memory = 2 ** 29, ...hooks }: RangeOptions = {},
): Promise<ReadonlyMap<string, Activations>> {
  const count = Math.min(most, images.count);
  const found = new Map(values.map((value) => [value, nothing()]));
  const first = await images.feeds(0, 1);
  const portions = portionsOf(graph, values, first, memory);
  let done = 0;
  for (const portion of portions) {
    const tap = await openTap(engine, graph, new Set(), portion, typesOf(graph));
    try {
      for (let image = 0; image < count; image++) {
        stopIfAborted(hooks);
        const results = await tap.run(await images.feeds(image, 1), {});
        for (const value of portion) look(found.get(value)!, results, value);
        hooks.progress?.("ranges", ++done, portions.length * count);
      }
    } finally {
      await tap.close();
    }
  }
  return new Map(
    [...found].map(([value, { histogram, sums, peaks, seen }]) => [
      value,
      { histogram, peaks, means: sums.map((sum) => sum / Math.max(1, seen)) },
    ]),
  );
}

interface Collected {
  readonly histogram: Histogram;
  sums: Float64Array;
  peaks: Float64Array;
  /** Values of each channel. */
  seen: number;
}

const nothing = (): Collected => ({
  histogram: emptyHistogram(),
  sums: new Float64Array(0),
  peaks: new Float64Array(0),
  seen: 0,
});

function look(collected: Collected, results: Values, name: string): void {
  const tensor = results[name];
  if (tensor === undefined)
    throw new FilterBasisError("internal", "a value that is needed was not computed", { tensor: name });
  const values = floats(tensor);
  const stride = Math.max(1, Math.floor(values.length / binned));
  if (!addValues(collected.histogram, values, stride))
    throw new FilterBasisError("non-finite", "a value is not finite on an image", { tensor: name });
  const channels = tensor.dims.length < 2 ? 1 : tensor.dims[1]!;
  const inner = elements(tensor.dims.slice(2));
  if (collected.sums.length !== channels) {
    collected.sums = new Float64Array(channels);
    collected.peaks = new Float64Array(channels);
    collected.seen = 0;
  }
  for (let start = 0, block = 0; start < values.length; start += inner, block++) {
    let [sum, peak] = [0, 0];
    for (let i = start; i < start + inner; i++) {
      const value = values[i]!;
      sum += value;
      if (Math.abs(value) > peak) peak = Math.abs(value);
    }
    const channel = block % channels;
    collected.sums[channel]! += sum;
    collected.peaks[channel] = Math.max(collected.peaks[channel]!, peak);
  }
  collected.seen += values.length / Math.max(1, channels);
}

/** The values in runs of which one image's take no more than `memory`. */
function portionsOf(
  graph: Graph,
  values: readonly string[],
  fed: Values,
  memory: number,
): readonly (readonly string[])[] {
  const types: Types = inferred(graph, new Map(Object.entries(fed).map(([name, { dims }]) => [name, dims])));
  const place = new Map(graph.nodes.map((node, at) => [node, at]));
  const inputs = new Set(feeds(graph).map(({ name }) => name));
  const { producers } = indexOf(graph);
  const at = (value: string): number => (inputs.has(value) ? -1 : (place.get(producers.get(value)!) ?? 0));
  const portions: string[][] = [];
  let held = Number.POSITIVE_INFINITY;
  for (const value of [...values].sort((a, b) => at(a) - at(b))) {
    const dims = types.get(value)?.dims;
    const bytes = dims?.every((dim) => typeof dim === "number") ? 4 * elements(dims as number[]) : 0;
    if (held + bytes > memory) {
      portions.push([]);
      held = 0;
    }
    portions.at(-1)!.push(value);
    held += bytes;
  }
  return portions;
}

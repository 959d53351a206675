// Where a layer's moments come from: the images, looked at once; kept in memory where they are small and in the cache
// where there is one, looked at again where there is none.
import type { Graph } from "../graph/types.js";
import { collectArrays } from "../runtime/garbage.js";
import type { CalibrationCache } from "./cache.js";
import type { CalibrationImages, Engine } from "./engine.js";
import type { CalibratedLayer } from "./layers.js";
import { activationMoments, type LayerMoments, type MomentOptions } from "./moments.js";
import type { Moments } from "./sums.js";
import type { Lead } from "./together.js";

/** Gives the moments of layers, in their order. May be asked several times. */
export type MomentSource = (layers: readonly CalibratedLayer[]) => AsyncIterable<LayerMoments>;

export interface SourceOptions extends MomentOptions {
  /** Where other processes look at the images too. */
  readonly lead?: Lead;
}

/** Moments that were let go may hold so many bytes until they are collected: V8 alone waits for gigabytes. */
const uncollected = 2 ** 29;
/** Bytes of moments that are kept in memory, without a cache and beside one. */
const [keptBytes, keptBesideCache] = [2 ** 30, 2 ** 28];

export function momentSource(
  graph: Graph,
  images: CalibrationImages,
  engine: Engine,
  { lead, ...options }: SourceOptions = {},
  cache?: CalibrationCache,
): MomentSource {
  const kept = new Map<string, Moments>();
  let bytes = 0;
  const keep = (layer: CalibratedLayer, moments: Moments): void => {
    bytes += moments.covariance.data.byteLength;
    if (bytes <= (cache === undefined ? keptBytes : keptBesideCache)) kept.set(layer.weightName, moments);
  };
  const known = async (layer: CalibratedLayer): Promise<Moments | undefined> => {
    const found = kept.get(layer.weightName) ?? (await cache?.moments(layer));
    if (found !== undefined && !kept.has(layer.weightName)) keep(layer, found);
    return found;
  };
  const computed = async function* (layers: readonly CalibratedLayer[]) {
    if (lead === undefined || layers.length === 0)
      return yield* activationMoments(graph, layers, images, engine, options);
    const { batch, places, seed, memory } = options;
    await lead.call({
      layers: layers.map(({ weightName }) => weightName),
      images: { key: images.key, count: images.count },
      sampling: {
        ...(batch === undefined ? {} : { batch }),
        ...(places === undefined ? {} : { places }),
        ...(seed === undefined ? {} : { seed }),
        ...(memory === undefined ? {} : { memory }),
      },
    });
    yield* activationMoments(graph, layers, images, engine, { ...options, shares: lead });
  };
  return async function* (layers) {
    const missing: CalibratedLayer[] = [];
    for (const layer of layers)
      if (!kept.has(layer.weightName) && !(await cache?.hasMoments(layer))) missing.push(layer);
    const seen = computed(missing);
    try {
      for (const layer of layers) {
        let moments = missing.includes(layer) ? undefined : await known(layer);
        if (moments === undefined) {
          const next = missing.includes(layer)
            ? await seen.next()
            : await activationMoments(graph, [layer], images, engine, options).next(); // what the cache had was of no use
          moments = (next.value as LayerMoments).moments;
          keep(layer, moments);
          await cache?.keepMoments(layer, moments);
        }
        yield { layer, moments };
        collectArrays(uncollected);
      }
    } finally {
      await seen.return(undefined);
    }
  };
}

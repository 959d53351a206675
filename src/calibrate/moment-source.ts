// Where a layer's moments come from: the images, looked at once; kept in memory where they are small, looked at again where
// they are not.
import type { Graph } from "../graph/types.js";
import type { CalibrationImages, Engine } from "./engine.js";
import type { CalibratedLayer } from "./layers.js";
import { inputMoments, type LayerMoments, type MomentOptions } from "./moments.js";

/** Gives the moments of layers, in their order. May be asked several times. */
export type MomentSource = (layers: readonly CalibratedLayer[]) => AsyncIterable<LayerMoments>;

/** Bytes of moments that are kept in memory. */
const keptBytes = 2 ** 30;

export function momentSource(graph: Graph, images: CalibrationImages, engine: Engine, options: MomentOptions = {}): MomentSource {
  const kept = new Map<string, LayerMoments["moments"]>();
  let bytes = 0;
  return async function* (layers) {
    const missing = layers.filter(({ weightName }) => !kept.has(weightName));
    const computed = inputMoments(graph, missing, images, engine, options)[Symbol.asyncIterator]();
    for (const layer of layers) {
      const known = kept.get(layer.weightName);
      if (known !== undefined) {
        yield { layer, moments: known };
        continue;
      }
      const { value } = await computed.next();
      const { moments } = value as LayerMoments;
      bytes += moments.covariance.data.byteLength;
      if (bytes <= keptBytes) kept.set(layer.weightName, moments);
      yield { layer, moments };
    }
  };
}

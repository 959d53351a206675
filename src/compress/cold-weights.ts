// Weights are read from memory when a network runs, and from the caches when one layer of it is timed over and over:
// small maps over wide filters take longer in their network than alone. What a byte costs is found from the network's
// own profile, so that the times of layers add up to it.
import type { Calibration } from "../calibrate/calibrated.js";
import { elements } from "../graph/attributes.js";
import type { TimedLayer } from "../methods/latencies.js";
import type { LatencyTable } from "../runtime/known-times.js";
import { operatorTimes } from "../runtime/operator-times.js";
import type { ChainClock } from "./chain-times.js";
import { networkKey } from "./network-key.js";
import type { CalibratedJob } from "./plan-calibrated.js";

/** Milliseconds of a byte at 10 GB/s: memory is not slower, and what seems so is something else. */
const slowest = 1e-7;
/** Weights that take a smaller share of the network's time at most are not worth a profile. */
const noticed = 0.03;
/** The operators whose time layers take, under the names of ONNX Runtime's own. */
const layerOperators = /Conv|Gemm|MatMul/;

/** Bytes of the weights that a timed layer reads. */
export const weightBytes = ({ shape, chain, type }: TimedLayer): number =>
  (type === "float16" ? 2 : 4) * (chain ?? [{ shape }]).reduce((sum, one) => sum + elements(one.shape), 0);

/**
 * Milliseconds that a byte of a layer's weights takes in its network beyond what the layer takes alone. 0 where that
 * cannot be told: not every layer was timed, the runtime keeps no profile.
 * @param whole - milliseconds of the network
 */
export async function millisecondsPerByte(
  { original, prepared, place, hooks }: CalibratedJob,
  { layers }: Calibration,
  clock: ChainClock,
  table: LatencyTable,
  whole: number,
): Promise<number> {
  const timed = layers.map(({ layer }) => clock.dense(layer));
  const nodes = prepared.nodes.filter(({ op }) => layerOperators.test(op)).length;
  const covered = layers.reduce((sum, { layer }, i) => sum + (timed[i] === undefined ? 0 : layer.nodes.length), 0);
  const bytes = layers.reduce((sum, { layer }) => sum + clock.weightBytes(layer), 0);
  if (place.runtime === "web" || covered < nodes || slowest * bytes < noticed * whole) return 0;
  const key = `${networkKey([original], place.inputs.shapes)} operators`;
  const { written: inNetwork } = await table.networks(key, async () => {
    const { threads } = place;
    const { signal } = hooks;
    const options = { ...(threads === undefined ? {} : { threads }), ...(signal ? { signal } : {}) };
    const operators = await operatorTimes(original, place.inputs, options);
    const sum = (some: typeof operators) => some.reduce((total, { milliseconds }) => total + milliseconds, 1e-6);
    return {
      original: sum(operators),
      written: sum(operators.filter(({ operator }) => layerOperators.test(operator))),
    };
  });
  const alone = timed.reduce<number>((sum, milliseconds) => sum + (milliseconds ?? 0), 0);
  return Math.min(slowest, Math.max(0, inNetwork - alone) / bytes);
}

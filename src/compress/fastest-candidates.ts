// Where a network's time goes among the layers that could be replaced, and the fastest that each was measured to
// become.
import type { Calibration } from "../calibrate/calibrated.js";
import type { LayerChoice } from "../calibrate/choices.js";
import { describeChain } from "../methods/chain-record.js";
import type { ChainClock } from "./chain-times.js";

export interface TimedCandidate {
  readonly layer: string;
  /** Of the layer as it is. */
  readonly milliseconds: number;
  /** The fastest candidate that was timed; the layer itself where none is faster. */
  readonly best: { readonly factors: string; readonly milliseconds: number; readonly error: number };
}

/** The slowest layers first; those that were not timed are not among them. */
export function fastestCandidates(
  { layers }: Pick<Calibration, "layers">,
  clock: ChainClock,
): readonly TimedCandidate[] {
  const found = layers.flatMap(({ layer, choices }): TimedCandidate[] => {
    const milliseconds = clock.dense(layer);
    if (milliseconds === undefined) return [];
    let best = { factors: "dense", milliseconds, error: 0 };
    for (const choice of choices) {
      const own = clock.exact(layer, choice.candidate);
      if (own !== undefined && own < best.milliseconds) best = { ...described(choice), milliseconds: own };
    }
    return [{ layer: layer.name, milliseconds, best }];
  });
  return found.sort((a, b) => b.milliseconds - a.milliseconds);
}

const described = ({ candidate, error }: LayerChoice) => ({ factors: describeChain(candidate), error });

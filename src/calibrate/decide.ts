// What one layer of a refit takes, once its samples were seen: its factors as they were, those with a new bias, or new
// factors; whatever has the least error on images held out. Of a layer that gets a new bias alone, errors and means are
// those behind its ReLU where it has one.
import { matrix } from "../linalg/matrix.js";
import type { Engine } from "./engine.js";
import type { CalibratedLayer } from "./layers.js";
import { outputErrorOf, refitted, withNewBias } from "./regression.js";
import { biasBehindRelu } from "./relu-bias.js";
import { activationRefit } from "./relu-refit.js";
import type { Replacement } from "./replacement.js";
import type { SampleStore } from "./sample-store.js";
import { type CrossMoments, finishCross, type MomentSums, mergedSums } from "./sums.js";
import { best, type RefitOutcome, type Took, type Tried } from "./tries.js";

/** What was seen of one layer. */
export interface Looked {
  readonly layer: CalibratedLayer;
  /** Its factors are fitted again; else the sums are of what its output lacks, without inputs. */
  readonly fits: boolean;
  readonly fit: MomentSums;
  readonly held: MomentSums;
  /** Samples with their shortcuts: where a ReLU stands behind the layer and is taken into account. */
  readonly store: SampleStore | undefined;
}

export interface DecideOptions {
  readonly engine: Engine;
  readonly options: { readonly ridges: readonly number[] };
}

export interface Decision {
  readonly replacement: Replacement;
  readonly outcome: RefitOutcome;
}

/** Patches of more values take seconds to fit: they are fitted once, with the ridge that few places want. */
export const largePatch = 1200;

interface Seen {
  readonly fits: CrossMoments;
  /** Moments of what is held out, or of all where nothing is. */
  readonly deciding: CrossMoments;
  readonly all: CrossMoments;
  readonly holds: boolean;
}

function seenOf({ layer, fit, held }: Looked): Seen {
  const holds = held.places > 0;
  const fits = finishCross(fit, layer.name);
  const deciding = holds ? finishCross(held, layer.name) : fits;
  return { fits, deciding, all: holds ? finishCross(mergedSums(fit, held), layer.name) : fits, holds };
}

export function decide(looked: Looked, replacement: Replacement, job: DecideOptions): Decision {
  const { engine } = job;
  const { layer } = looked;
  const store = looked.store?.kept.length ? looked.store : undefined; // nothing is kept beside what is broadcast
  const seen = seenOf(looked);
  if (!looked.fits) return best(layer.name, store ? behindRelu(store, replacement) : lacking(replacement, seen, job));
  const ways = refitsOf(replacement, seen, job);
  const taken = best(layer.name, plainly(replacement, ways, seen, job));
  const { took, ridge } = taken.outcome;
  if (store === undefined || took !== "refit" || ridge === undefined) return taken;
  const { fits, all } = seen;
  const plain = ways.find((way) => way.ridge === ridge)!.fitted;
  const through = activationRefit(store, plain, { engine, ridge, fits, all });
  return through === undefined ? taken : { replacement: through, outcome: { ...taken.outcome, took: "activation" } };
}

/** New factors of one ridge: fitted without what is held out, and to all. */
interface Refit {
  readonly ridge: number;
  readonly fitted: Replacement;
  final(): Replacement;
}

function refitsOf(replacement: Replacement, { fits, all, holds }: Seen, { engine, options }: DecideOptions): Refit[] {
  const { algebra } = engine;
  const once = replacement.layer.weight.cols > largePatch;
  const ridges = once ? [Math.max(...options.ridges)] : options.ridges;
  return ridges.map((ridge) => {
    const fitted = refitted(replacement, fits, ridge, algebra);
    return { ridge, fitted, final: () => (holds && !once ? refitted(replacement, all, ridge, algebra) : fitted) };
  });
}

/** Errors behind the ReLU, by the energy of what is wanted there. */
function behindRelu(store: SampleStore, replacement: Replacement): readonly Tried[] {
  const { before, after, shift } = biasBehindRelu(store);
  return [
    { took: "symmetric", error: before, result: () => replacement },
    { took: "bias", error: after, result: () => shifted(replacement, shift) },
  ];
}

/** Errors of the output, by its variance. */
function plainly(
  replacement: Replacement,
  ways: readonly Refit[],
  { fits, deciding, all }: Seen,
  { engine: { algebra } }: DecideOptions,
): readonly Tried[] {
  const tried = (took: Took, made: Replacement, result: () => Replacement): Tried => ({
    ...{ took, result, error: outputErrorOf(made, deciding, algebra) },
  });
  return [
    tried("symmetric", replacement, () => replacement),
    tried("bias", withNewBias(replacement, fits), () => withNewBias(replacement, all)),
    ...ways.map(({ ridge, fitted, final }) => ({ ...tried("refit", fitted, final), ridge })),
  ];
}

/** Errors by the variance of what the output lacks. */
function lacking(
  replacement: Replacement,
  { fits, deciding, all }: Seen,
  { engine: { algebra } }: DecideOptions,
): readonly Tried[] {
  const { n } = replacement.layer.shape;
  const lack: Replacement = { ...replacement, filters: matrix(n, 0), biases: [new Float64Array(n)] };
  const errorOf = (made: Replacement) => outputErrorOf(made, deciding, algebra);
  return [
    { took: "symmetric", error: errorOf(lack), result: () => replacement },
    { took: "bias", error: errorOf(withNewBias(lack, fits)), result: () => shifted(replacement, all.outputMean) },
  ];
}

const shifted = (replacement: Replacement, shift: Float64Array): Replacement => ({
  ...replacement,
  biases: replacement.biases.map((bias) => bias.map((value, o) => value + shift[o]!)),
});

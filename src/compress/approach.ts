// From what layers promise to what the whole network keeps: plans are made for a promise, timed as a whole, and made
// again for another promise, until one keeps the target and is not much faster than that, which would cost accuracy.

/** A network that is faster than asked by more than this could lose less. */
const tooFast = 0.95;

/** A plan, what its layers promised for the network, and what that took. */
export interface Timed<P> {
  readonly plan: P;
  readonly predicted: number;
  readonly written: number;
  readonly loss: number;
}

export interface Approach<P> {
  /** Milliseconds that the next plan has to promise. */
  readonly most: number;
  /** Nothing more is to be gained. */
  readonly done: boolean;
  /** Of the plans that keep the target the one that loses least, and what it promised. */
  readonly enough?: { readonly timed: Timed<P>; readonly most: number };
  /** Of those that do not, the fastest. */
  readonly fastest?: Timed<P>;
  /** The least promise that is known not to keep the target. */
  readonly tooSlow: number;
}

/** @param whole milliseconds of the network as it is */
export const beginApproach = <P>(target: number, whole: number): Approach<P> => ({
  most: target,
  done: false,
  tooSlow: whole,
});

/** After a plan for `state.most` was timed. */
export function approached<P>(state: Approach<P>, target: number, timed: Timed<P>): Approach<P> {
  const { most, enough, fastest } = state;
  if (timed.written <= target) {
    const better = enough === undefined || timed.loss < enough.timed.loss;
    const kept = better ? { timed, most: Math.max(most, timed.predicted) } : enough;
    const done = timed.written >= tooFast * target || kept.most >= state.tooSlow;
    return { ...state, enough: kept, done, most: (kept.most + state.tooSlow) / 2 };
  }
  if (enough !== undefined) {
    const tooSlow = Math.min(state.tooSlow, most);
    return { ...state, tooSlow, most: (enough.most + tooSlow) / 2 };
  }
  // The layers promised more than the network kept: promise as much more.
  const further = Math.min(most, timed.predicted) - 1.1 * (timed.written - target);
  return { ...state, most: further, fastest: fastest && fastest.written <= timed.written ? fastest : timed };
}

// The refit through a ReLU: what a layer makes below zero does not matter. With s the compressed shortcut, u0 = W~ x' +
// b + s and r the original's value behind its ReLU, every element gets the u that makes (relu(u) - r)^2 + lambda (u -
// u0)^2 least,
//   u+ = max(0, (r + lambda u0) / (1 + lambda))   or   u- = min(0, u0),
// and the candidate is fitted to u - s; a few rounds with a growing lambda.

import { matrix } from "../linalg/matrix.js";
import type { Engine } from "./engine.js";
import { refitted } from "./regression.js";
import type { Replacement } from "./replacement.js";
import type { Kept, SampleStore } from "./sample-store.js";
import type { CrossMoments } from "./sums.js";

const rounds = [0.03, 0.03, 0.3, 0.3];

export interface ActivationOptions {
  readonly engine: Engine;
  /** rho, as in the plain refit. */
  readonly ridge: number;
  /** Of the images that are fitted to, and of all. */
  readonly fits: CrossMoments;
  readonly all: CrossMoments;
}

/**
 * The replacement with the refit's rounds behind it; undefined where they do not lower the error behind the ReLU on
 * images held out.
 */
export function activationRefit(
  store: SampleStore,
  plain: Replacement,
  options: ActivationOptions,
): Replacement | undefined {
  const held = store.kept.filter((one) => one.held);
  const fit = store.kept.filter((one) => !one.held);
  const deciding = held.length > 0 ? held : fit;
  const found = run(fit, plain, options.fits, options);
  if (!(errorOf(deciding, found, options.engine) < errorOf(deciding, plain, options.engine))) return undefined;
  return held.length === 0 ? found : run(store.kept, plain, options.all, options);
}

function run(
  samples: readonly Kept[],
  plain: Replacement,
  moments: CrossMoments,
  { engine, ridge }: ActivationOptions,
): Replacement {
  const centred = samples.map((one) => ({ ...one, x: minus(one.x, moments.mean) }));
  let present = plain;
  for (const lambda of rounds) {
    const targets = samples.map((one) => targetsOf(one, outputsOf(one, present, engine), lambda));
    present = refitted(present, withTargets(moments, centred, targets, engine), ridge, engine.algebra);
  }
  return present;
}

const minus = (x: Float32Array, mean: Float64Array): Float32Array =>
  x.map((value, i) => value - mean[i % mean.length]!);

/** W~ x + b + s, [rows x n] */
function outputsOf({ rows, x, s }: Kept, { filters, biases: [bias] }: Replacement, { products }: Engine): Float32Array {
  const u = products.project(x, rows, filters);
  const n = filters.rows;
  for (let row = 0, at = 0; row < rows; row++)
    for (let o = 0; o < n; o++, at++) u[at] = u[at]! + bias![o]! + (s?.[at] ?? 0);
  return u;
}

/** u - s, written over u0. */
function targetsOf({ y, s }: Kept, u: Float32Array, lambda: number): Float32Array {
  for (let i = 0; i < u.length; i++) {
    const [shortcut, before] = [s?.[i] ?? 0, u[i]!];
    const r = Math.max(0, y[i]! + shortcut);
    const above = Math.max(0, (r + lambda * before) / (1 + lambda));
    const below = Math.min(0, before);
    const costAbove = (above - r) ** 2 + lambda * (above - before) ** 2;
    const costBelow = r ** 2 + lambda * (below - before) ** 2;
    u[i] = (costAbove <= costBelow ? above : below) - shortcut;
  }
  return u;
}

/** The moments with other outputs. The targets are used up. */
function withTargets(
  moments: CrossMoments,
  centred: readonly Kept[],
  targets: readonly Float32Array[],
  { products }: Engine,
): CrossMoments {
  const [n, d] = [moments.cross.rows, moments.cross.cols];
  const places = centred.reduce((sum, { rows }) => sum + rows, 0);
  const outputMean = new Float64Array(n);
  for (const target of targets)
    for (let i = 0; i < target.length; i++) outputMean[i % n] = outputMean[i % n]! + target[i]! / places;
  const cross = new Float64Array(n * d);
  for (const [at, { rows, x }] of centred.entries()) {
    const part = products.cross(minus(targets[at]!, outputMean), n, x, d, rows);
    for (let i = 0; i < cross.length; i++) cross[i] = cross[i]! + part[i]! / places;
  }
  return { ...moments, outputMean, cross: matrix(n, d, cross) };
}

/** The squared error behind the ReLU. */
function errorOf(samples: readonly Kept[], replacement: Replacement, engine: Engine): number {
  let error = 0;
  for (const one of samples) {
    const u = outputsOf(one, replacement, engine);
    for (let i = 0; i < u.length; i++) error += (Math.max(0, u[i]!) - Math.max(0, one.y[i]! + (one.s?.[i] ?? 0))) ** 2;
  }
  return error;
}

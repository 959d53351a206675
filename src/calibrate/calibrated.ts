// Calibrated compression in closed form, from a network and images to the compressed network: moments, choices, plan,
// factors, sequential refit. Every step can be called by itself.
import type { Candidate } from "../basis/factors.js";
import { fitCandidate } from "../basis/fit.js";
import { FilterBasisError } from "../errors/error.js";
import type { Graph } from "../graph/types.js";
import type { LinearAlgebra } from "../linalg/linear-algebra.js";
import { isUnreachable, type Solution, solvePlan } from "../plan/solve.js";
import type { CalibrationCache } from "./cache.js";
import {
  type ChoiceOptions,
  dense,
  type Extents,
  extentsOf,
  type LayerChoice,
  type LayerChoices,
  layerChoices,
  usualFloor,
} from "./choices.js";
import type { CalibrationImages, Engine, Hooks } from "./engine.js";
import { type CalibratedLayer, findCalibratedLayers, type Skipped } from "./layers.js";
import { type MomentSource, momentSource, type SourceOptions } from "./moment-source.js";
import { type RefitOptions, refit } from "./refit.js";
import { corrected, type Replacement, unchanged } from "./replacement.js";
import type { RefitOutcome } from "./tries.js";

/** A network that was looked at: what its layers are, what each can become, and where to get their moments again. */
export interface Calibration {
  readonly graph: Graph;
  readonly layers: readonly LayerChoices[];
  readonly skipped: readonly Skipped[];
  readonly extents: Extents;
  readonly moments: MomentSource;
}

export interface CalibrateOptions extends SourceOptions, ChoiceOptions {
  /** Where moments and errors are kept between runs: `openCalibrationCache`. */
  readonly cache?: CalibrationCache | undefined;
}

/**
 * Looks at the images: input moments of every layer, and the output error of every candidate. Batch norms should be
 * folded before. @throws FilterBasisError `non-finite`, `interrupted`, `data-mismatch`; what running the network throws
 */
export async function calibrate(
  graph: Graph,
  images: CalibrationImages,
  engine: Engine,
  options: CalibrateOptions = {},
): Promise<Calibration> {
  if (images.count < 1) throw new FilterBasisError("data-mismatch", "there is no image to calibrate on");
  const { layers, skipped } = findCalibratedLayers(graph);
  const extents = await extentsOf(graph, images);
  const moments = momentSource(graph, images, engine, options, options.cache);
  const choices = await layerChoices(layers, moments, extents, engine.algebra, options);
  return { graph, layers: choices, skipped, extents, moments };
}

/** A choice with what it costs and loses in a plan. */
export interface PlannedChoice extends LayerChoice {
  readonly layer: CalibratedLayer;
  readonly price: number;
  readonly loss: number;
}

export interface PlanBudget {
  /** The most that all layers together may cost, in the price's unit. */
  readonly most: number;
  /** The price of a choice; undefined where it is not to be had. Default: multiply-accumulates. */
  readonly price?: (layer: CalibratedLayer, choice: LayerChoice) => number | undefined;
  /** The loss of a choice. Default: `lostEnergy`. */
  readonly loss?: (layer: LayerChoices, choice: LayerChoice) => number;
}

/** Minus the logarithm of the kept share of a layer's output energy, as often as it counts at the network's output. */
const lostEnergy = ({ sensitivity = 1 }: LayerChoices, { error }: LayerChoice): number =>
  -sensitivity * Math.log(Math.max(1e-12, 1 - error));

/** All layers' choices with price and loss, as the solver takes them. */
export function planItems(
  { layers }: Pick<Calibration, "layers">,
  { price = (_, { macs }) => macs, loss = lostEnergy }: Omit<PlanBudget, "most"> = {},
): readonly (readonly PlannedChoice[])[] {
  return layers.map((one) =>
    one.choices.flatMap((choice) => {
      const { layer } = one;
      const cost = price(layer, choice);
      return cost === undefined ? [] : [{ ...choice, layer, price: cost, loss: loss(one, choice) }];
    }),
  );
}

/** The least price of what no layer brings: of the whole network, less its layers as they are. */
export function fixedMacs({ layers, extents }: Pick<Calibration, "layers" | "extents">): number {
  return extents.macs - layers.reduce((sum, { choices }) => sum + choices[0]!.macs, 0);
}

/**
 * The plan that keeps at most a share of the network's multiply-accumulates.
 * @throws FilterBasisError `budget-unreachable`, saying what is reachable
 */
export function planByMacs(
  calibration: Pick<Calibration, "layers" | "extents">,
  keep: number,
): Solution<PlannedChoice> {
  const { macs } = calibration.extents;
  const fixed = fixedMacs(calibration);
  const found = solvePlan(planItems(calibration), keep * macs - fixed);
  if (!isUnreachable(found)) return found;
  const reachable = (found.least.price + fixed) / macs;
  throw new FilterBasisError("budget-unreachable", "no plan keeps so few multiply-accumulates", {
    expected: `at least ${reachable.toFixed(4)}`,
    got: `${keep}`,
    facts: { reachable },
  });
}

export interface FitOptions extends Hooks {
  readonly floor?: number;
}

/**
 * The factors of a plan, fitted to what every layer reads in the original network, with corrected biases.
 * @param chosen one for each of the calibration's layers, in their order
 */
export async function fitPlan(
  calibration: Calibration,
  chosen: readonly PlannedChoice[],
  algebra: LinearAlgebra,
  { floor = usualFloor, ...hooks }: FitOptions = {},
): Promise<readonly Replacement[]> {
  const made = new Map<CalibratedLayer, Replacement>();
  const wanted = new Map<CalibratedLayer, Candidate>();
  for (const [i, { layer }] of calibration.layers.entries()) {
    const { candidate } = chosen[i] ?? { candidate: dense };
    if (candidate.family === "dense") made.set(layer, unchanged(layer));
    else wanted.set(layer, candidate);
  }
  const fits = fittedBefore(calibration.moments);
  const keyOf = (layer: CalibratedLayer): string => JSON.stringify([wanted.get(layer), floor, algebra.name]);
  for (const layer of wanted.keys()) {
    const known = fits.get(layer)?.get(keyOf(layer));
    if (known !== undefined) made.set(layer, known);
  }
  const open = [...wanted.keys()].filter((layer) => !made.has(layer));
  let done = wanted.size - open.length;
  for await (const { layer, moments } of calibration.moments(open)) {
    const { weight, shape } = layer;
    const factors = fitCandidate(weight, moments.covariance, shape, wanted.get(layer)!, algebra, { floor });
    const fit = corrected(layer, factors, moments.mean, algebra);
    made.set(layer, fit);
    keepFit(fits, layer, keyOf(layer), fit);
    hooks.progress?.("factors", ++done, wanted.size);
  }
  return calibration.layers.map(({ layer }) => made.get(layer)!);
}

type Fits = Map<CalibratedLayer, Map<string, Replacement>>;

/** A plan is fitted to be timed, to be compared and to be written: by whose moments, the fits of each layer. */
const fitsOf = new WeakMap<MomentSource, Fits>();

function fittedBefore(moments: MomentSource): Fits {
  const known = fitsOf.get(moments) ?? new Map();
  fitsOf.set(moments, known);
  return known;
}

/** Fits of a layer that are kept: those of two plans beside each other. */
const keptFits = 2;

function keepFit(fits: Fits, layer: CalibratedLayer, key: string, fit: Replacement): void {
  const own = fits.get(layer) ?? new Map<string, Replacement>();
  own.set(key, fit);
  for (const first of [...own.keys()].slice(0, Math.max(0, own.size - keptFits))) own.delete(first);
  fits.set(layer, own);
}

/** What became of one layer. */
export interface LayerResult {
  readonly layer: string;
  readonly choice: PlannedChoice;
  readonly refit?: RefitOutcome;
}

export interface Compressed {
  /** Of every layer in the order of the graph; `withChains` writes them. */
  readonly replacements: readonly Replacement[];
  readonly layers: readonly LayerResult[];
}

export interface CompressOptions extends FitOptions {
  /** Without it the factors stay those of the original's inputs. */
  readonly refit?: RefitOptions;
}

/** Factors of a plan, refitted in the order of the graph where that is asked for. */
export async function compressCalibrated(
  calibration: Calibration,
  chosen: readonly PlannedChoice[],
  images: CalibrationImages,
  engine: Engine,
  options: CompressOptions = {},
): Promise<Compressed> {
  const symmetric = await fitPlan(calibration, chosen, engine.algebra, options);
  if (options.refit === undefined) {
    return { replacements: symmetric, layers: chosen.map((choice) => ({ layer: choice.layer.name, choice })) };
  }
  const { replacements, outcomes } = await refit(calibration.graph, symmetric, images, engine, options.refit);
  const results = chosen.map((choice, i) => ({ layer: choice.layer.name, choice, refit: outcomes[i]! }));
  return { replacements: symmetric.map(({ layer }) => replacements.get(layer)!), layers: results };
}

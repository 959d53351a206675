// What can be done with every layer, and how much of its output each would lose: candidates of all families, fitted to
// the original's filters under the covariance of the layer's input.
import { type CandidateOptions, candidatesOf } from "../basis/candidates.js";
import { type Candidate, type LayerShape, macsOf, type Pair, weightsOf } from "../basis/factors.js";
import { candidateErrors } from "../basis/fit.js";
import type { Graph } from "../graph/types.js";
import type { LinearAlgebra } from "../linalg/linear-algebra.js";
import { cost } from "../ops/cost/cost.js";
import type { CalibrationCache } from "./cache.js";
import { type CalibrationImages, type Hooks, stopIfAborted } from "./engine.js";
import { extentOf } from "./geometry.js";
import type { CalibratedLayer } from "./layers.js";
import type { MomentSource } from "./moment-source.js";
import { inferred } from "./segment.js";
import type { Moments } from "./sums.js";

/** One way to write a layer. Dense is the first of every layer. */
export interface LayerChoice {
  readonly candidate: Candidate;
  /** The share of the output's energy that is lost. */
  readonly error: number;
  readonly weights: number;
  /** At the size of one calibration image, over all nodes of the layer. */
  readonly macs: number;
}

export interface LayerChoices {
  readonly layer: CalibratedLayer;
  readonly choices: readonly LayerChoice[];
  /** What the network's output loses for each unit that the layer's output loses; 1 where absent. */
  readonly sensitivity?: number;
}

export const dense: Candidate = { family: "dense", ranks: [] };

/**
 * Of the mean of the diagonal: what the covariance gains, so that directions that were not seen still weigh something.
 */
export const usualFloor = 1e-3;

/**
 * Of the families those that are strongest at equal multiply-accumulates. Bases shared by the splits are the strongest
 * at equal weights: a plan by weights adds them.
 */
export const usualCandidates: CandidateOptions = {
  families: ["one-split", "low-rank", "own-bases", "separable", "separable-pointwise"],
  splits: [2, 4, 8, 16, 32, 64],
};

export interface ChoiceOptions extends Hooks {
  /** Which candidates: the same for all layers, or by a layer's shape. Default: `usualCandidates`. */
  readonly candidates?: CandidateOptions | ((shape: LayerShape) => CandidateOptions);
  readonly floor?: number;
  /** A layer of a smaller share of the network's multiply-accumulates stays dense. Default: 0. */
  readonly leastShare?: number;
}

/** A candidate with the share of the output's energy that it loses. */
export interface CandidateError {
  readonly candidate: Candidate;
  readonly error: number;
}

/** Whether a layer takes a smaller share of the network's multiply-accumulates; not where its size is not known. */
export function isBelow(share: number, { shape }: CalibratedLayer, own: readonly NodeExtent[], macs: number): boolean {
  const { macs: taken } = costOf(dense, shape, own);
  return taken > 0 && taken < share * macs;
}

/**
 * The choices of every layer, in their order. Layers whose errors are in the cache need no moments, nor do those that
 * stay dense; of the others a layer's moments are let go before the next are asked for.
 */
export async function layerChoices(
  layers: readonly CalibratedLayer[],
  moments: MomentSource,
  extents: Extents,
  algebra: LinearAlgebra,
  { cache, leastShare = 0, ...options }: ChoiceOptions & { readonly cache?: CalibrationCache | undefined } = {},
): Promise<readonly LayerChoices[]> {
  const settingsOf = ({ shape }: CalibratedLayer) =>
    JSON.stringify([optionsOf(shape, options), options.floor ?? usualFloor, algebra.name]);
  const errors = new Map<CalibratedLayer, readonly CandidateError[]>();
  for (const layer of layers) {
    const stays = isBelow(leastShare, layer, extents.of(layer), extents.macs);
    const known = stays ? [] : await cache?.errors(layer, settingsOf(layer));
    if (known !== undefined) errors.set(layer, known);
  }
  for await (const { layer, moments: own } of moments(layers.filter((layer) => !errors.has(layer)))) {
    stopIfAborted(options);
    const made = errorsOf(layer, own, algebra, options);
    errors.set(layer, made);
    await cache?.keepErrors(layer, settingsOf(layer), made);
    options.progress?.("candidates", errors.size, layers.length);
  }
  return layers.map((layer) => {
    const all = [{ candidate: dense, error: 0 }, ...errors.get(layer)!];
    const choices = all.map(({ candidate, error }) => ({
      candidate,
      error,
      ...costOf(candidate, layer.shape, extents.of(layer)),
    }));
    return { layer, choices };
  });
}

const optionsOf = (
  shape: LayerShape,
  { candidates = usualCandidates }: Pick<ChoiceOptions, "candidates">,
): CandidateOptions => (typeof candidates === "function" ? candidates(shape) : candidates);

function errorsOf(
  { weight, shape, kind }: CalibratedLayer,
  moments: Moments,
  algebra: LinearAlgebra,
  { candidates, floor = usualFloor }: ChoiceOptions,
): readonly CandidateError[] {
  // A product of matrices has no groups: what is written in splits is not for it.
  const all = candidatesOf(shape, optionsOf(shape, { ...(candidates && { candidates }) }));
  const wanted = kind === "conv" ? all : all.filter(({ splits = 1 }) => splits === 1);
  const errors = candidateErrors(weight, moments.covariance, shape, wanted, algebra, { floor });
  return wanted.map((candidate, i) => ({ candidate, error: errors[i]! }));
}

/** Sizes at which layers work. */
export interface Extents {
  /** Input and output of each of the layer's nodes, and images in it. */
  of(layer: CalibratedLayer): readonly NodeExtent[];
  /** Multiply-accumulates of the whole network for one image. */
  readonly macs: number;
  /** Weights of the whole network. */
  readonly weights: number;
}

interface NodeExtent {
  readonly input: Pair;
  readonly output: Pair;
  readonly images: number;
}

/** At the size of the first image. */
export async function extentsOf(graph: Graph, images: CalibrationImages): Promise<Extents> {
  const fed = await images.feeds(0, 1);
  const dims = new Map(Object.entries(fed).map(([name, value]) => [name, value.dims]));
  const types = inferred(graph, dims);
  const { macs, weights } = cost({
    ...graph,
    inputs: graph.inputs.map(({ name, tensor }) => sized(name, tensor, dims)),
  });
  return {
    macs,
    weights,
    of: ({ nodes, geometry }) =>
      nodes.map(({ input }) => {
        const shape = types.get(input)?.dims;
        const known = shape?.every((dim) => typeof dim === "number") ? (shape as readonly number[]) : undefined;
        if (known === undefined) return { input: [0, 0], output: [0, 0], images: 0 };
        return { ...extentOf(geometry, known), images: known[0]! };
      }),
  };
}

function sized(name: string, tensor: Graph["inputs"][number]["tensor"], dims: ReadonlyMap<string, readonly number[]>) {
  const own = dims.get(name);
  if (tensor === undefined) return { name };
  return { name, tensor: own === undefined ? tensor : { type: tensor.type, dims: own } };
}

/** Weights of a layer's candidate, and its multiply-accumulates over all nodes of the layer. */
export function costOf(
  candidate: Candidate,
  shape: LayerShape,
  extents: readonly NodeExtent[],
): Pick<LayerChoice, "weights" | "macs"> {
  const macs = extents.map(({ input, output, images }) => images * macsOf(candidate, shape, output, input));
  return { weights: weightsOf(candidate, shape), macs: macs.reduce((sum, one) => sum + one, 0) };
}

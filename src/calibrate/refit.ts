// The sequential asymmetric refit: layer by layer in the order of the graph, every replaced layer is fitted once more,
// to what it reads in the compressed network so far (x') and to what it should make: the original's output y, plus the
// original's shortcut minus the compressed one's where an addition follows. With t = mean diag C_x'x',
//   T = (C_yx' + rho t W)(C_x'x' + rho t I)^-1,  the chosen candidate fitted to T under C_x'x' + rho t I,  b = E[y] - W~ E[x'].
// A layer takes the new factors only where they lower the error of its output on images that were held out.
import type { Graph } from "../graph/types.js";
import { matrix } from "../linalg/matrix.js";
import { type Following, followingOf } from "./addition.js";
import { fittingSampling } from "./batch-size.js";
import { activationOf, type CalibrationImages, type Engine, type Hooks, type Sampling } from "./engine.js";
import type { CalibratedLayer } from "./layers.js";
import { samplesOf } from "./look.js";
import { type Cut, type Pair, Stash, start, type Walk, walk } from "./prefix.js";
import { outputErrorOf, refitted, withNewBias } from "./regression.js";
import { activationRefit } from "./relu-refit.js";
import { type Replacement, withReplacements } from "./replacement.js";
import { SampleStore } from "./sample-store.js";
import { liveAt, movingValues, typesOf } from "./segment.js";
import { addSamples, finishCross, type MomentSums, mergedSums, newSums } from "./sums.js";
import { best, type RefitOutcome, type Took, type Tried } from "./tries.js";
import { fittingImages, imageTypes, placesOn } from "./walk-size.js";

export interface RefitOptions extends Partial<Sampling>, Hooks {
  /**
   * rho: how much the original's filters weigh, of the mean of the diagonal. Of several, each layer takes the one with
   * the least error on images held out.
   */
  readonly ridges?: readonly number[];
  /** Every so many batches one is held out. */
  readonly holdEvery?: number;
  /** Bytes of activations that are kept between layers. */
  readonly memory?: number;
  /** Takes the ReLU behind a layer into account (step 5 of the method). */
  readonly activation?: boolean;
  /** Takes fewer images where all of them would make values be computed again for every layer. */
  readonly fewer?: boolean;
  note?(text: string): void;
}

export interface Refitted {
  readonly replacements: ReadonlyMap<CalibratedLayer, Replacement>;
  readonly outcomes: readonly RefitOutcome[];
}

/** At 256 images anything between does as well; the larger one keeps wide layers from what few images say. */
const usualRidges: readonly number[] = [1e-2, 1e-1];

interface Job extends Walk {
  readonly graph: Graph;
  readonly moving: ReadonlySet<string>;
  readonly following: (layer: CalibratedLayer) => Following;
  /** Whether the layer's factors are fitted again, not its bias alone. */
  readonly again: (layer: CalibratedLayer) => boolean;
  readonly options: RefitOptions & { readonly ridges: readonly number[]; readonly holdEvery: number };
}

/** Patches of more values are fitted again only where there are so many places for each value. */
const [largePatch, enoughPlaces] = [1200, 8];

async function jobOf(
  graph: Graph,
  given: readonly Replacement[],
  all: CalibrationImages,
  engine: Engine,
  options: RefitOptions,
): Promise<Job> {
  const { ridges = usualRidges, memory = 2 ** 31, fewer = false } = options;
  const moving = movingValues(graph);
  const types = await imageTypes(graph, all);
  const layers = given.map(({ layer }) => layer);
  const images = fewer ? fittingImages(graph, layers, all, { types, moving, memory: memory / 2 }) : all;
  if (images.count < all.count)
    options.note?.(`factors are refitted on ${images.count} of ${all.count} images: more would not fit into memory`);
  const sampling = await fittingSampling(graph, images, options);
  const { holdEvery = images.count / sampling.batch < 8 ? 3 : 8 } = options;
  const known = { ...options, images, engine, sampling, memory, types: typesOf(graph), graph, moving };
  return {
    ...known,
    following: followingOf(graph, moving),
    again: (layer) =>
      layer.weight.cols <= largePatch || placesOn(layer, images, types, sampling) >= enoughPlaces * layer.weight.cols,
    options: { ...options, ridges, holdEvery },
  };
}

/** @param given every layer of the network in the order of the graph, replaced or as it is */
export async function refit(
  graph: Graph,
  given: readonly Replacement[],
  images: CalibrationImages,
  engine: Engine,
  options: RefitOptions = {},
): Promise<Refitted> {
  const job = await jobOf(graph, given, images, engine, options);
  const present = new Map(given.map((one) => [one.layer, one]));
  const outcomes: RefitOutcome[] = [];
  const first = given.findIndex(({ factors }) => factors !== undefined);
  let cut = start;
  for (const [i, { layer }] of given.entries()) {
    options.progress?.("refit", i, given.length);
    if (i <= first || first < 0) {
      outcomes.push({ layer: layer.name, took: "symmetric", reason: "nothing before it was replaced", errors: {} });
    } else if (layer.nodes.length > 1) {
      outcomes.push({ layer: layer.name, took: "symmetric", reason: "its weight serves several nodes", errors: {} });
    } else {
      const { replacement, outcome, next } = await refitOne(job, present, layer, cut, given[i + 1]?.layer);
      present.set(layer, replacement);
      outcomes.push(outcome);
      cut = next;
    }
  }
  options.progress?.("refit", given.length, given.length);
  return { replacements: present, outcomes };
}

interface One {
  readonly replacement: Replacement;
  readonly outcome: RefitOutcome;
  readonly next: Cut;
}

async function refitOne(
  job: Job,
  present: ReadonlyMap<CalibratedLayer, Replacement>,
  layer: CalibratedLayer,
  cut: Cut,
  following: CalibratedLayer | undefined,
): Promise<One> {
  const { graph } = job;
  const replacement = present.get(layer)!;
  const [{ input, output }] = layer.nodes as [CalibratedLayer["nodes"][0]];
  const { shortcut } = job.following(layer);
  const extra = shortcut === undefined ? [] : [shortcut];
  const live = following && liveAt(graph, graph.nodes.indexOf(following.nodes[0]!.node), job.moving, job.types);
  const stash = new Stash(live === undefined ? -1 : job.memory / 2);
  const compressed = withReplacements(graph, present.values());
  const seen = replacement.factors === undefined || !job.again(layer) ? output : input;
  const wanted = { original: [output, ...extra, ...(live ?? [])], compressed: [...new Set([input, seen, ...extra])] };
  const looked = newLook(job, replacement);
  for await (const pair of walk({ original: graph, compressed }, cut, wanted, job)) {
    look(job, looked, pair, shortcut);
    if (live !== undefined) stash.add(pair.original, live);
  }
  const { replacement: taken, outcome } = decide(job, looked, replacement);
  const changed = new Map(present).set(layer, taken);
  const next = live && stash.values && (await advance(job, changed, cut, live, stash.values));
  return { replacement: taken, outcome, next: next ?? cut };
}

/** The cut before the next layer; undefined where its values are too many. */
async function advance(
  job: Job,
  present: ReadonlyMap<CalibratedLayer, Replacement>,
  cut: Cut,
  names: readonly string[],
  original: Cut["original"],
): Promise<Cut | undefined> {
  const compressed = withReplacements(job.graph, present.values());
  const stash = new Stash(job.memory / 2);
  for await (const pair of walk({ original: job.graph, compressed }, cut, { original: [], compressed: names }, job))
    stash.add(pair.compressed, names);
  return stash.values && { names, original, compressed: stash.values };
}

/** What was seen of one layer. */
interface Looked {
  readonly layer: CalibratedLayer;
  readonly fit: MomentSums;
  readonly held: MomentSums;
  /** Samples with their shortcuts, for the refit through the ReLU. */
  readonly store: SampleStore | undefined;
}

function newLook({ following, again, options }: Job, { layer, factors }: Replacement): Looked {
  const fits = factors !== undefined && again(layer);
  const sums = () => newSums(fits ? layer.weight.cols : 0, layer.shape.n);
  const through = fits && options.activation === true && following(layer).relu;
  return {
    layer,
    fit: sums(),
    held: sums(),
    store: through ? new SampleStore(layer.weight.cols, layer.shape.n) : undefined,
  };
}

function look(
  job: Job,
  looked: Looked,
  { batch, first, original, compressed }: Pair,
  shortcut: string | undefined,
): void {
  const { layer, store } = looked;
  const { holdEvery } = job.options;
  const held = batch % holdEvery === holdEvery - 1;
  const [{ input, output }] = layer.nodes as [CalibratedLayer["nodes"][0]];
  const wanted = activationOf(original, output);
  const added = shortcut === undefined ? [] : [activationOf(original, shortcut), activationOf(compressed, shortcut)];
  const fits = added.every(({ dims }) => dims.join() === wanted.dims.join()); // else it is broadcast
  const dense = looked.fit.mean.length === 0;
  const outputs = [wanted, ...(dense ? [activationOf(compressed, output)] : []), ...(fits ? added : [])];
  for (const samples of samplesOf({ layer, input: activationOf(compressed, input), outputs, first }, job.sampling)) {
    const { rows, input: patches } = samples;
    const [y, ...rest] = samples.outputs as [Float32Array, ...Float32Array[]];
    // Of a layer whose bias alone is fitted the inputs do not matter: the output that it lacks is looked at.
    if (dense) subtract(y, rest.shift()!);
    const [own, other] = rest;
    if (own !== undefined && other !== undefined) for (let i = 0; i < y.length; i++) y[i] = y[i]! + own[i]! - other[i]!;
    store?.add(rows, patches, y, other, held);
    addSamples(held ? looked.held : looked.fit, rows, dense ? new Float32Array(0) : patches, job.engine.products, y);
  }
}

function subtract(from: Float32Array, values: Float32Array): void {
  for (let i = 0; i < from.length; i++) from[i] = from[i]! - values[i]!;
}

function decide(job: Job, looked: Looked, replacement: Replacement): Pick<One, "replacement" | "outcome"> {
  const { engine, options } = job;
  const { layer, fit, held, store } = looked;
  const { algebra } = engine;
  const holds = held.places > 0;
  const fits = finishCross(fit, layer.name);
  const deciding = holds ? finishCross(held, layer.name) : fits;
  const all = holds ? finishCross(mergedSums(fit, held), layer.name) : fits;
  const tried: Tried[] = [];
  const consider = (took: Took, evaluated: Replacement, result: () => Replacement, ridge?: number): void => {
    tried.push({
      took,
      error: outputErrorOf(evaluated, deciding, algebra),
      ...(ridge === undefined ? {} : { ridge }),
      result,
    });
  };
  if (fit.mean.length === 0) {
    const lacking: Replacement = {
      ...replacement,
      filters: matrix(layer.shape.n, 0),
      biases: [new Float64Array(layer.shape.n)],
    };
    consider("symmetric", lacking, () => replacement);
    consider("bias", withNewBias(lacking, fits), () => shifted(replacement, all.outputMean));
    return best(layer.name, tried);
  }
  consider("symmetric", replacement, () => replacement);
  consider("bias", withNewBias(replacement, fits), () => withNewBias(replacement, all));
  // A fit of a large patch takes seconds: it is one, with the ridge that few places want.
  const once = layer.weight.cols > largePatch;
  const ridges = once ? [Math.max(...options.ridges)] : options.ridges;
  const plain = new Map(ridges.map((ridge) => [ridge, refitted(replacement, fits, ridge, algebra)]));
  for (const [ridge, made] of plain)
    consider("refit", made, () => (holds && !once ? refitted(replacement, all, ridge, algebra) : made), ridge);
  const taken = best(layer.name, tried);
  const { took, ridge } = taken.outcome;
  if (store === undefined || took !== "refit" || ridge === undefined) return taken;
  const through = activationRefit(store, plain.get(ridge)!, { engine, ridge, fits, all });
  return through === undefined ? taken : { replacement: through, outcome: { ...taken.outcome, took: "activation" } };
}

const shifted = (replacement: Replacement, shift: Float64Array): Replacement => ({
  ...replacement,
  biases: replacement.biases.map((bias) => bias.map((value, o) => value + shift[o]!)),
});

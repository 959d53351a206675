// The sequential asymmetric refit: layer by layer in the order of the graph, every replaced layer is fitted once more,
// to what it reads in the compressed network so far (x') and to what it should make: the original's output y, plus the
// original's shortcut minus the compressed one's where an addition follows. With t = mean diag C_x'x',
//   T = (C_yx' + rho t W)(C_x'x' + rho t I)^-1,  the chosen candidate fitted to T under C_x'x' + rho t I,  b = E[y] - W~ E[x'].
// A layer takes the new factors only where they lower the error of its output on images that were held out. Layers that
// keep their filters get a new bias (relu-bias.ts).
import type { Graph } from "../graph/types.js";
import { type Following, followingOf } from "./addition.js";
import { fittingSampling } from "./batch-size.js";
import { decide, type Looked, largePatch } from "./decide.js";
import { activationOf, type CalibrationImages, type Engine, type Hooks, type Sampling } from "./engine.js";
import type { CalibratedLayer } from "./layers.js";
import { samplesOf } from "./look.js";
import { type Cut, type Pair, Stash, start, type Walk, walk } from "./prefix.js";
import { type Replacement, withReplacements } from "./replacement.js";
import { SampleStore } from "./sample-store.js";
import { liveAt, movingValues, typesOf } from "./segment.js";
import { addSamples, newSums } from "./sums.js";
import type { RefitOutcome } from "./tries.js";
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
  /** Places of the layer that are looked at. */
  readonly places: (layer: CalibratedLayer) => number;
  /** Whether the layer's factors are fitted again, not its bias alone. */
  readonly again: (layer: CalibratedLayer) => boolean;
  readonly options: RefitOptions & { readonly ridges: readonly number[]; readonly holdEvery: number };
}

/** Large patches are fitted again only where there are so many places for each value. */
const enoughPlaces = 8;

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
  const places = (layer: CalibratedLayer): number => placesOn(layer, images, types, sampling);
  return {
    ...{ ...known, places, following: followingOf(graph, moving) },
    again: (layer) => layer.weight.cols <= largePatch || places(layer) >= enoughPlaces * layer.weight.cols,
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
  const { replacement: taken, outcome } = decide(looked, replacement, job);
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

/** Samples that biases behind a ReLU are fitted to, and all numbers of them. */
const [biasRows, biasNumbers] = [2 ** 13, 2 ** 24];

function newLook({ following, again, places, options }: Job, { layer, factors }: Replacement): Looked {
  const fits = factors !== undefined && again(layer);
  const { n } = layer.shape;
  const width = fits ? layer.weight.cols : n;
  const sums = () => newSums(fits ? width : 0, n);
  const rows = fits ? Number.POSITIVE_INFINITY : Math.min(biasRows, Math.ceil(biasNumbers / (3 * n)));
  const stores = following(layer).relu && (!fits || options.activation === true);
  const store = stores ? new SampleStore(width, n, { expected: places(layer), rows }) : undefined;
  return { layer, fits, fit: sums(), held: sums(), store };
}

function look(
  job: Job,
  looked: Looked,
  { batch, first, original, compressed }: Pair,
  shortcut: string | undefined,
): void {
  const { layer, fits, store } = looked;
  const { holdEvery } = job.options;
  const held = batch % holdEvery === holdEvery - 1;
  const [{ input, output }] = layer.nodes as [CalibratedLayer["nodes"][0]];
  const wanted = activationOf(original, output);
  const added = shortcut === undefined ? [] : [activationOf(original, shortcut), activationOf(compressed, shortcut)];
  const same = added.every(({ dims }) => dims.join() === wanted.dims.join()); // else it is broadcast
  const outputs = [wanted, ...(fits ? [] : [activationOf(compressed, output)]), ...(same ? added : [])];
  const seen = { layer, input: activationOf(compressed, input), patches: fits, outputs, first };
  for (const { rows, input: patches, outputs: values } of samplesOf(seen, job.sampling)) {
    const [y, ...rest] = values as [Float32Array, ...Float32Array[]];
    const made = fits ? undefined : rest.shift()!;
    const [own, other] = rest;
    if (own !== undefined && other !== undefined) for (let i = 0; i < y.length; i++) y[i] = y[i]! + own[i]! - other[i]!;
    if (same) store?.add(rows, made ?? patches, y, other, held);
    // Of a layer whose bias alone is fitted the inputs do not matter: the output that it lacks is looked at.
    if (made !== undefined) subtract(y, made);
    addSamples(held ? looked.held : looked.fit, rows, patches, job.engine.products, y);
  }
}

function subtract(from: Float32Array, values: Float32Array): void {
  for (let i = 0; i < from.length; i++) from[i] = from[i]! - values[i]!;
}

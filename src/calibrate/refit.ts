// The sequential asymmetric refit: layer by layer in the order of the graph, every replaced layer is fitted once more, to
// what it reads in the compressed network so far (x') and to what it should make: the original's output y, plus the
// original's shortcut minus the compressed one's where an addition follows. With t = mean diag C_x'x',
//   T = (C_yx' + rho t W)(C_x'x' + rho t I)^-1,  the chosen candidate fitted to T under C_x'x' + rho t I,  b = E[y] - W~ E[x'].
// A layer takes the new factors only where they lower the error of its output on images that were held out.
import type { Graph } from "../graph/types.js";
import { type Following, followingOf } from "./addition.js";
import { activationOf, type CalibrationImages, type Engine, type Hooks, type Sampling, usualSampling } from "./engine.js";
import type { CalibratedLayer } from "./layers.js";
import { samplesOf } from "./look.js";
import { type Cut, type Pair, Stash, start, type Walk, walk } from "./prefix.js";
import { outputErrorOf, refitted, withNewBias } from "./regression.js";
import { activationRefit } from "./relu-refit.js";
import { type Replacement, withReplacements } from "./replacement.js";
import { SampleStore } from "./sample-store.js";
import { liveAt, movingValues, typesOf } from "./segment.js";
import { addSamples, finishCross, type MomentSums, mergedSums, newSums } from "./sums.js";

export interface RefitOptions extends Partial<Sampling>, Hooks {
  /** rho: how much the original's filters weigh, of the mean of the diagonal. 1e-3 for super-resolution. */
  readonly ridge?: number;
  /** Every so many batches one is held out. */
  readonly holdEvery?: number;
  /** Bytes of activations that are kept between layers. */
  readonly memory?: number;
  /** Takes the ReLU behind a layer into account (step 5 of the method). */
  readonly activation?: boolean;
}

/** What a layer took: its factors as they were, those with a new bias, or new factors. */
export type Took = "symmetric" | "bias" | "refit" | "activation";

export interface RefitOutcome {
  readonly layer: string;
  readonly took: Took;
  /** Why nothing else was tried. */
  readonly reason?: string;
  /** Relative errors of the output on images held out, of all that was tried. */
  readonly errors: Readonly<Partial<Record<Took, number>>>;
}

export interface Refitted {
  readonly replacements: ReadonlyMap<CalibratedLayer, Replacement>;
  readonly outcomes: readonly RefitOutcome[];
}

interface Job extends Walk {
  readonly graph: Graph;
  readonly moving: ReadonlySet<string>;
  readonly following: (layer: CalibratedLayer) => Following;
  readonly options: RefitOptions & { readonly ridge: number; readonly holdEvery: number };
}

/** @param given every layer of the network in the order of the graph, replaced or as it is */
export async function refit(
  graph: Graph,
  given: readonly Replacement[],
  images: CalibrationImages,
  engine: Engine,
  options: RefitOptions = {},
): Promise<Refitted> {
  const { ridge = 1e-2, holdEvery = 8, memory = 2 ** 31 } = options;
  const sampling: Sampling = { ...usualSampling, ...options };
  const moving = movingValues(graph);
  const settled = { ...options, ridge, holdEvery };
  const walked = { images, engine, sampling, memory, types: typesOf(graph), ...options };
  const job: Job = { ...walked, memory, graph, moving, following: followingOf(graph, moving), options: settled };
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
  const wanted = { original: [output, ...extra, ...(live ?? [])], compressed: [input, ...extra] };
  const looked = newLook(job, layer);
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

function newLook({ following, options }: Job, layer: CalibratedLayer): Looked {
  const sums = () => newSums(layer.weight.cols, layer.shape.n);
  const through = options.activation === true && following(layer).relu;
  return { layer, fit: sums(), held: sums(), store: through ? new SampleStore(layer.weight.cols, layer.shape.n) : undefined };
}

function look(job: Job, looked: Looked, { batch, first, original, compressed }: Pair, shortcut: string | undefined): void {
  const { layer, store } = looked;
  const { holdEvery } = job.options;
  const held = batch % holdEvery === holdEvery - 1;
  const [{ input, output }] = layer.nodes as [CalibratedLayer["nodes"][0]];
  const outputs = [activationOf(original, output)];
  if (shortcut !== undefined) {
    const [own, other] = [activationOf(original, shortcut), activationOf(compressed, shortcut)];
    if (own.dims.join() === outputs[0]!.dims.join()) outputs.push(own, other); // else it is broadcast
  }
  const samples = samplesOf({ layer, input: activationOf(compressed, input), outputs, first }, job.sampling);
  for (const {
    rows,
    input: x,
    outputs: [y, own, other],
  } of samples) {
    if (own !== undefined && other !== undefined) for (let i = 0; i < y!.length; i++) y![i] = y![i]! + own[i]! - other[i]!;
    store?.add(rows, x, y!, other, held);
    addSamples(held ? looked.held : looked.fit, rows, x, job.engine.products, y);
  }
}

function decide({ engine, options }: Job, looked: Looked, replacement: Replacement): Pick<One, "replacement" | "outcome"> {
  const { layer, fit, held, store } = looked;
  const { algebra } = engine;
  const holds = held.places > 0;
  const fits = finishCross(fit, layer.name);
  const judge = holds ? finishCross(held, layer.name) : fits;
  const all = holds ? finishCross(mergedSums(fit, held), layer.name) : fits;
  const errors: Partial<Record<Took, number>> = {};
  const made = new Map<Took, () => Replacement>();
  const consider = (took: Took, evaluated: Replacement, result: () => Replacement): void => {
    errors[took] = outputErrorOf(evaluated, judge, algebra);
    made.set(took, result);
  };
  consider("symmetric", replacement, () => replacement);
  consider("bias", withNewBias(replacement, fits), () => withNewBias(replacement, all));
  if (replacement.factors === undefined) return chosen(layer, errors, made);
  const { ridge } = options;
  const plain = refitted(replacement, fits, ridge, algebra);
  const onAll = () => (holds ? refitted(replacement, all, ridge, algebra) : plain);
  consider("refit", plain, onAll);
  const best = chosen(layer, errors, made);
  if (store === undefined || best.outcome.took !== "refit") return best;
  const through = activationRefit(store, best.replacement, { engine, ridge, fits, all });
  return through === undefined ? best : { replacement: through, outcome: { ...best.outcome, took: "activation" } };
}

/** The one with the least error. */
function chosen(
  { name }: CalibratedLayer,
  errors: RefitOutcome["errors"],
  made: ReadonlyMap<Took, () => Replacement>,
): Pick<One, "replacement" | "outcome"> {
  const took = [...made.keys()].reduce((a, b) => (errors[b]! < errors[a]! ? b : a));
  return { replacement: made.get(took)!(), outcome: { layer: name, took, errors } };
}

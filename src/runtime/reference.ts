// The original's outputs on inputs that make them move, and how far from them a model may be that claims to compute the
// same. One session at a time: the original needs no more memory here than where it is used.
import { isError } from "../errors/error.js";
import { elements } from "../graph/attributes.js";
import type { Graph, TensorData } from "../graph/types.js";
import { isFloat } from "../graph/values.js";
import { type Dependence, dependenceOf } from "./dependence.js";
import { differences } from "./differences.js";
import { loadModel } from "./files.js";
import { heldStill } from "./hold-still.js";
import { nudgedFeeds, nudgedWeights } from "./nudge.js";
import { openSession } from "./open.js";
import { roundingOf, unit } from "./rounding.js";
import type { Feeds, Port, Session, SessionOptions } from "./session.js";
import { type Noise, nearsOf, noiseOf, type Observed, type OutputRule, ruleFor } from "./tolerance.js";
import { feedKinds, trialFeeds } from "./trial-feeds.js";

export interface ReferenceOptions extends Omit<SessionOptions, "optimisation"> {
  /** Whole shapes by the input's name. */
  readonly shapes?: ReadonlyMap<string, readonly number[]>;
  /** Values of inputs by name, fed as they are. */
  readonly values?: ReadonlyMap<string, TensorData>;
  readonly seed?: number;
  /** Inputs that are given and not chosen: those of another reference. */
  readonly feeds?: readonly TrialFeed[];
  /** How many inputs are taken; 3 by default. Not more than 2 where a run takes a tenth of `budget`. */
  readonly count?: number;
  /** Further kinds of inputs are tried for this many milliseconds; 20,000 by default. */
  readonly budget?: number;
  readonly now?: () => number;
}

/** Inputs, and of what kind they are. */
interface TrialFeed {
  readonly kind: string;
  readonly feeds: Feeds;
}

type Outputs = Readonly<Record<string, TensorData>>;

export interface ReferenceSet {
  readonly feeds: readonly TrialFeed[];
  /** What the original computes, by the feeds' order. */
  readonly outputs: readonly Outputs[];
  /** How each output is compared. */
  readonly rules: readonly OutputRule[];
  /** Nodes of the original that draw at random. */
  readonly random: readonly string[];
  /** Whether these were held still, in the original as in what is compared with it. */
  readonly still: boolean;
  /** How the original was run; what is compared with it runs the same way. */
  readonly options: SessionOptions;
}

/**
 * Runs the original (a graph, or a file as it lies on the disk) in ONNX Runtime: on several kinds of inputs, of which
 * those are kept that move the most outputs; then at another optimisation level and with weights one rounding away,
 * which shows what is noise; and once twice.
 * @throws FilterBasisError what opening and running throw
 */
export async function prepareReference(
  original: Graph | string,
  options: ReferenceOptions = {},
): Promise<ReferenceSet> {
  const graph = typeof original === "string" ? await loadModel(original) : original;
  const dependence = dependenceOf(graph);
  const still = dependence.randomOutputs.size > 0 ? heldStill(graph) : undefined;
  if (still !== undefined) {
    try {
      const made = await observe(still, still, dependence, options);
      // What still draws (in a body, a function) shows in two runs that differ.
      if (dependenceOf(still).randomOutputs.size === 0) return referenceSet(made, dependence, graph, options, true);
    } catch (error) {
      if (!isError(error, "runtime", "unsupported", "invalid-graph")) throw error;
    }
  }
  return referenceSet(await observe(original, graph, dependence, options), dependence, graph, options, false);
}

interface Observation {
  readonly tried: readonly Tried[];
  readonly observed: readonly Observed[];
}

/** The runs: to find inputs, to repeat one, and to see the noise; of these only differences are kept. */
async function observe(
  original: Graph | string,
  graph: Graph,
  dependence: Dependence,
  options: ReferenceOptions,
): Promise<Observation> {
  const session = sessionOptions(options);
  const rounding = roundingOf(graph, options.shapes);
  const { tried, repeated } = await withSession(original, session, (open) => tryFeeds(open, rounding, options));
  const names = Object.keys(tried[0]!.outputs);
  const valuesOf = (name: string) => tried.map(({ outputs }) => outputs[name]!);
  const nears = new Map(names.map((name) => [name, nearsOf(name, valuesOf(name), dependence, rounding)]));
  const noise: NoiseOf = (outputs, input) =>
    new Map(
      names.map((name) => [name, noiseOf(outputs[name]!, tried[input]!.outputs[name]!, nears.get(name)![input]!)]),
    );
  const again = await noiseRuns(original, graph, session, tried, noise);
  const observed = names.map(
    (name): Observed => ({
      name,
      values: valuesOf(name),
      again: again.map((runs) => runs.map((run) => run.get(name))),
      repeated: repeated.get(name),
    }),
  );
  return { tried, observed };
}

/** What another run of an input made of the outputs, beside what the first did. */
type NoiseOf = (outputs: Outputs, input: number) => ReadonlyMap<string, Noise>;

function referenceSet(
  { tried, observed }: Observation,
  dependence: Dependence,
  graph: Graph,
  options: ReferenceOptions,
  still: boolean,
): ReferenceSet {
  const rounding = roundingOf(graph, options.shapes);
  return {
    feeds: tried.map(({ kind, feeds }) => ({ kind, feeds })),
    outputs: tried.map(({ outputs }) => outputs),
    rules: observed.map((one) => ruleFor(one, dependence, rounding, still)),
    random: dependence.random,
    still,
    options: sessionOptions(options),
  };
}

function sessionOptions({ threads, runtime, arena = false }: ReferenceOptions): SessionOptions {
  return { arena, ...(threads === undefined ? {} : { threads }), ...(runtime === undefined ? {} : { runtime }) };
}

async function withSession<T>(
  model: Graph | string,
  options: SessionOptions,
  use: (session: Session) => Promise<T>,
): Promise<T> {
  const session = await openSession(model, options);
  try {
    return await use(session);
  } finally {
    await session.release();
  }
}

interface Tried extends TrialFeed {
  readonly outputs: Outputs;
  /** Share of the outputs that are neither at rest nor beyond all numbers. */
  readonly alive: number;
}

/** Runs kinds of inputs in turn until enough of them move every output, and keeps the best. */
async function tryFeeds(session: Session, rounding: number, options: ReferenceOptions) {
  const { now = () => performance.now(), budget = 20_000 } = options;
  const begun = now();
  const candidates = options.feeds ?? candidatesOf(session.inputs, options);
  let count = options.feeds?.length ?? Math.min(options.count ?? 3, candidates.length);
  let tried: Tried[] = [];
  let failure: unknown;
  for (const { kind, feeds } of candidates) {
    if (tried.length >= count && (tried.every(({ alive }) => alive === 1) || now() - begun > budget)) break;
    try {
      const started = now();
      const outputs = await session.run(feeds);
      if (options.feeds === undefined && now() - started > budget / 10) count = Math.min(count, 2);
      const alive = shareAlive(outputs, rounding);
      // A stable sort: of equals the one that was tried first stays. What is beaten is let go, outputs can be large.
      tried = [...tried, { kind, feeds, outputs, alive }].sort((a, b) => b.alive - a.alive).slice(0, count);
    } catch (error) {
      // Values that the network cannot take (an index out of range, nothing found): another kind may do.
      if (!isError(error, "runtime") || options.feeds !== undefined) throw error;
      failure ??= error;
    }
  }
  if (tried.length === 0) throw failure;
  const [first] = tried;
  const once = await session.run(first!.feeds);
  const repeated = new Map(Object.entries(first!.outputs).map(([name, value]) => [name, noiseOf(once[name]!, value)]));
  return { tried, repeated };
}

function candidatesOf(inputs: readonly Port[], options: ReferenceOptions): readonly TrialFeed[] {
  const { shapes, values, seed = 0 } = options;
  const given = { ...(shapes === undefined ? {} : { shapes }), ...(values === undefined ? {} : { values }) };
  // Where every input is stated there is one kind only.
  const kinds = inputs.every(({ name }) => values?.has(name)) ? feedKinds.slice(0, 1) : feedKinds;
  return kinds.map((kind, index) => ({ kind, feeds: trialFeeds(inputs, kind, { ...given, seed: seed + index }) }));
}

/**
 * An output is alive where its elements differ by far more than rounding can do; one of few elements where it is not
 * near 0.
 */
function shareAlive(outputs: Outputs, relative: number): number {
  const all = Object.values(outputs);
  if (all.some((tensor) => !allFinite(tensor))) return -1;
  const alive = all.filter((tensor) => {
    const { scale, count } = differences(tensor, tensor);
    if (!isFloat(tensor.type)) return count > 0;
    return (count < 8 ? scale.rms : scale.spread) > 100 * (4 * unit.float32 + relative * scale.rms);
  });
  return all.length === 0 ? 1 : alive.length / all.length;
}

const allFinite = (tensor: TensorData): boolean => differences(tensor, tensor).finite === elements(tensor.dims);

/**
 * For each input: the outputs where the runtime rewrites the graph less, and those of weights and inputs that are one
 * rounding away.
 */
async function noiseRuns(
  original: Graph | string,
  graph: Graph,
  options: SessionOptions,
  tried: readonly Tried[],
  noise: NoiseOf,
) {
  const less = await rewrittenLess(original, options, tried, noise);
  const nudged = bytesOf(graph) > largestNudged ? original : nudgedWeights(graph);
  const moved = await withSession(nudged, options, async (session) => {
    const runs: ReturnType<NoiseOf>[] = [];
    for (const [i, { feeds }] of tried.entries()) runs.push(noise(await session.run(nudgedFeeds(feeds)), i));
    return runs;
  });
  return tried.map((_, i) => [moved[i]!, ...(less === undefined ? [] : [less[i]!])]);
}

/** Weights beyond this many bytes are not moved: that needs memory for two more copies of them. */
const largestNudged = 2 ** 28;

const bytesOf = ({ initializers }: Graph): number =>
  [...initializers.values()].reduce((sum, { data }) => sum + data.byteLength, 0);

/**
 * Undefined where the model runs at no other level: a node without an implementation may only go because it is
 * constant.
 */
async function rewrittenLess(
  original: Graph | string,
  options: SessionOptions,
  tried: readonly Tried[],
  noise: NoiseOf,
) {
  for (const optimisation of ["disabled", "basic"] as const) {
    try {
      return await withSession(original, { ...options, optimisation }, async (session) => {
        const runs: ReturnType<NoiseOf>[] = [];
        for (const [i, { feeds }] of tried.entries()) runs.push(noise(await session.run(feeds), i));
        return runs;
      });
    } catch (error) {
      if (!isError(error, "runtime", "unsupported")) throw error;
    }
  }
  return undefined;
}

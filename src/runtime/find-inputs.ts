// What a model is run with wherever it is counted, timed or verified: shapes of its inputs that ONNX Runtime takes,
// found by trying where they are free, and the values of inputs that are settings.
import { FilterBasisError, isError } from "../errors/error.js";
import { elements } from "../graph/attributes.js";
import { feeds } from "../graph/edit.js";
import type { Dim, Graph, TensorData, Value } from "../graph/types.js";
import { isFloat, tensorOf } from "../graph/values.js";
import { type InputSizes, inputCandidates, refusedBefore } from "../ops/sizes/concrete-inputs.js";
import { exampleInput } from "../ops/sizes/example-input.js";
import { freeSizes } from "../ops/sizes/free-sizes.js";
import { inputsRefused, type Refused } from "./inputs-refused.js";
import { openSession } from "./open.js";
import { sampleFeeds } from "./samples.js";
import type { RuntimeName, Session } from "./session.js";

export interface FindInputsOptions {
  /**
   * What the caller states; null leaves an axis open. Where everything is stated, it is tried all the same: a refusal
   * comes first, not last.
   */
  readonly shapes?: ReadonlyMap<string, readonly Dim[]>;
  readonly values?: ReadonlyMap<string, TensorData>;
  readonly runtime?: RuntimeName;
  /** An open session of the same model, which stays open. By default one is opened where something has to be tried. */
  readonly session?: Pick<Session, "inputs" | "run">;
  /** No trial begins after this many milliseconds. */
  readonly budget?: number;
  readonly signal?: AbortSignal;
  readonly now?: () => number;
}

/** What a model is run with; `sampleFeeds` takes it as its options. */
export interface ModelInputs extends InputSizes {
  /** As stated, and integers that had to be found. Inputs that are not here get drawn numbers. */
  readonly values: ReadonlyMap<string, TensorData>;
  /** Integer and bool inputs whose values nobody stated: drawn from 0 and 1, or one number that was found. */
  readonly assumed: readonly { readonly input: string; readonly value: string }[];
  /** Why nothing was tried though something was free: ONNX Runtime is not there. */
  readonly untried?: string;
}

type Candidates = ReturnType<typeof inputCandidates>;

/** Runs that are tried before the search gives up. */
const patience = 32;
/** Numbers for integer inputs, where drawn ones are refused. */
const otherNumbers = [1, 0];

/**
 * Decides the inputs of a model. Where the file fixes every size and every input is of floats, nothing is tried.
 * @throws FilterBasisError those of `freeSizes`; `shape-mismatch`, naming --input, where no sizes were found;
 * `runtime`, naming --value, where sizes are not the question; `interrupted`; what opening the model throws
 */
export async function findInputs(graph: Graph, options: FindInputsOptions = {}): Promise<ModelInputs> {
  const { shapes = new Map(), values = new Map() } = options;
  const stated = new Map([...shapes, ...[...values].map(([name, { dims }]) => [name, dims] as const)]);
  refuseUnknownRank(graph, stated);
  const candidates = inputCandidates(graph, stated);
  const first = candidates.next();
  if (first.done) throw first.value;
  const settings = openSettings(graph, values);
  const likely = withSettings(first.value, values, settings);
  if (freeSizes(graph).symbols.length === 0 && freeSizes(graph).unknownRank.length === 0 && settings.length === 0)
    return likely;
  let own: Session | undefined;
  try {
    const { runtime } = options;
    own = options.session ? undefined : await openSession(graph, { ...(runtime && { runtime }), arena: false });
    const found = await search((options.session ?? own)!, first.value, candidates, { values, settings }, options);
    if ("shapes" in found) return found;
    const example = found.at.guessed
      ? exampleInput(graph, stated)
      : await better(graph, (options.session ?? own)!, options);
    throw inputsRefused(found, { sizes: freeSizes(graph).symbols.length > 0, example, settings });
  } catch (error) {
    if (isError(error, "runtime-missing")) return { ...likely, untried: error.message };
    throw error;
  } finally {
    await own?.release();
  }
}

/** The inputs as they are without a trial: what shapes tell, and drawn numbers. For where there is no runtime. */
function withSettings(
  sizes: InputSizes,
  values: ReadonlyMap<string, TensorData>,
  settings: readonly Value[],
): ModelInputs {
  const assumed = settings.map(({ name, tensor }) => ({
    input: name,
    value: tensor?.type === "bool" ? "false" : "0 or 1",
  }));
  return { ...sizes, values, assumed };
}

/**
 * @throws FilterBasisError `shape-mismatch`, naming --input, for an input that neither the model nor the caller gives
 * axes
 */
export function refuseUnknownRank(graph: Graph, stated: ReadonlyMap<string, readonly Dim[]>): void {
  const [input] = freeSizes(graph, stated).unknownRank;
  if (input === undefined) return;
  throw new FilterBasisError(
    "shape-mismatch",
    "the model does not say how many axes this input has: state its shape with --input",
    {
      tensor: input.name,
      cures: [`state its shape, as ${exampleInput(graph, stated)}`],
    },
  );
}

/** Inputs whose numbers mean something, and that nobody stated. */
const openSettings = (graph: Graph, values: ReadonlyMap<string, TensorData>): readonly Value[] =>
  feeds(graph).filter(({ name, tensor }) => tensor !== undefined && !isFloat(tensor.type) && !values.has(name));

interface Settings {
  readonly values: ReadonlyMap<string, TensorData>;
  /** Without values. */
  readonly settings: readonly Value[];
}

async function search(
  session: Pick<Session, "inputs" | "run">,
  first: InputSizes,
  more: Candidates,
  { values, settings }: Settings,
  { budget = 20_000, now = () => performance.now(), signal }: FindInputsOptions,
): Promise<ModelInputs | Refused> {
  const begun = now();
  const tried: InputSizes[] = [];
  let failure: FilterBasisError | undefined;
  const runs = async (sizes: InputSizes, given: ReadonlyMap<string, TensorData>) => {
    if (signal?.aborted) throw new FilterBasisError("interrupted", "stopped while trying sizes");
    const refused = await attempt(session, sizes, given);
    failure ??= refused;
    return refused === undefined;
  };
  for (
    let sizes: InputSizes | undefined = first;
    sizes !== undefined && tried.length < patience && now() - begun < budget;
  ) {
    if (await runs(sizes, values)) return withSettings(explained(sizes, tried), values, settings);
    tried.push(sizes);
    const next: IteratorResult<InputSizes> = more.next();
    sizes = next.done ? undefined : next.value;
  }
  for (const sizes of settings.length > 0 ? tried.slice(0, 3) : []) {
    for (const number of otherNumbers) {
      const found = new Map([
        ...values,
        ...settings.map((input) => [input.name, filled(input, sizes, number)] as const),
      ]);
      const assumed = settings.map(({ name }) => ({ input: name, value: String(number) }));
      if (await runs(sizes, found)) return { ...sizes, values: found, assumed };
    }
  }
  return { failure: failure!, at: first };
}

/** Runs once. What ONNX Runtime refuses is returned; other errors are thrown. */
async function attempt(
  session: Pick<Session, "inputs" | "run">,
  { shapes }: InputSizes,
  values: ReadonlyMap<string, TensorData>,
): Promise<FilterBasisError | undefined> {
  const ports = session.inputs.filter(({ name }) => shapes.has(name) || values.has(name));
  try {
    await session.run(sampleFeeds(ports, { shapes, values }));
    return undefined;
  } catch (error) {
    if (isError(error, "runtime")) return error;
    throw error;
  }
}

const filled = ({ name, tensor }: Value, { shapes }: InputSizes, number: number): TensorData => {
  const dims = shapes.get(name) ?? [];
  return tensorOf(tensor!.type, dims, new Float64Array(elements(dims)).fill(number));
};

/** The sizes with the reason that others were refused when they ran. */
function explained(sizes: InputSizes, refused: readonly InputSizes[]): InputSizes {
  const before = refused.map(({ shapes }) => shapes);
  return refused.length === 0
    ? sizes
    : { ...sizes, chosen: sizes.chosen.map((one) => ({ ...one, why: refusedBefore(before, one.input) })) };
}

/** Sizes that run instead of those that were stated: --input x=1x3x64x64. */
async function better(
  graph: Graph,
  session: Pick<Session, "inputs" | "run">,
  options: FindInputsOptions,
): Promise<string | undefined> {
  const { values = new Map(), shapes = new Map() } = options;
  const stated = new Map([...values].map(([name, { dims }]) => [name, dims] as const));
  const { symbols, unknownRank } = freeSizes(graph, stated);
  if (symbols.length === 0 || unknownRank.length > 0) return undefined;
  const candidates = inputCandidates(graph, stated);
  const first = candidates.next();
  if (first.done) return undefined;
  const found = await search(
    session,
    first.value,
    candidates,
    { values, settings: openSettings(graph, values) },
    options,
  );
  if (!("shapes" in found)) return undefined;
  const others = [...found.shapes].filter(([name]) => shapes.has(name));
  return others.map(([name, dims]) => `--input ${name}=${dims.join("x")}`).join(" ") || undefined;
}

// In which precision every layer of a network computes: by what is lost on images and, where that is free, by the time
// of whole networks.
import { ortEngine } from "../calibrate/ort-engine.js";
import { FilterBasisError, isError } from "../errors/error.js";
import { compareOnData } from "../evaluate/compare-on-data.js";
import { type LossKind, usualLoss } from "../evaluate/loss.js";
import type { Graph } from "../graph/types.js";
import { type Target, targets, thisTarget, weightFormatsFor } from "../runtime/eight-bits.js";
import { openLatencyTable } from "../runtime/latency-table.js";
import { describeMachine } from "../runtime/machine.js";
import { bestEngine } from "./best-engine.js";
import type { CalibrationData } from "./calibration-data.js";
import { type FloatForm, floatForm } from "./eight-bits.js";
import { type Given, type JobHooks, type JobOptions, placeOf, stepsOf } from "./job.js";
import { type Contestant, contest, type Entrant, entrantsOf, layersIn } from "./precision-contest.js";
import { type Searched, searchPrecision, type Trial } from "./precision-search.js";
import type { Precision } from "./precisions.js";

export interface PrecisionOptions extends Pick<JobOptions, "runtime" | "threads" | "latencies"> {
  /** `auto` takes the fastest of the float network and those in eight bits whose loss is within the limit. */
  readonly precision: Exclude<Precision, "fp32">;
  /** Where the file is to run. Default: this machine. */
  readonly target?: Target;
  /** A result that loses more than this beside the original is not written. Layers stay float to stay below it. */
  readonly maxLoss?: number;
  /** What a loss is beside, where that is not the network that is quantised: the limit is then of both steps. */
  readonly against?: Given;
  /** The output whose loss counts, and what it is. */
  readonly output?: string;
  readonly loss?: Exclude<LossKind, "decibels">;
}

/** The original in eight bits, beside a network that was made of it. */
export interface Alone {
  readonly original: Given;
  /** Why it is timed, but not to be written. */
  readonly excluded?: string;
}

export interface PrecisionChoice {
  readonly chosen: Entrant;
  /** Everything that was tried where the precision was free. */
  readonly contestants: readonly Contestant[];
  /** Layers of the chosen network in eight bits, and the others with the reason. */
  readonly layers: readonly string[];
  readonly float: readonly { readonly name: string; readonly reason: string }[];
  readonly target: Exclude<Target, "this">;
}

/** Images on which roundings are compared; fewer where they are large. */
const chosenOn = { small: 32, large: 4, pixels: 1e5 } as const;

/**
 * @throws FilterBasisError `unsupported` where eight bits are asked for and no layer can run so, or the opset cannot be
 * raised
 */
export async function choosePrecision(
  given: Given,
  data: CalibrationData,
  options: PrecisionOptions,
  alone: Alone | undefined,
  hooks: JobHooks,
): Promise<PrecisionChoice> {
  const target = await targetOf(options);
  if (options.precision === "int8") {
    const { float, searched } = await searchedTrials(given, data, target, options, hooks);
    const chosen = { name: "eight bits", given, float, trial: searched.trials.at(-1)! };
    return { chosen, contestants: [], ...precisionsOf(chosen.trial), target };
  }
  const place = placeOf(options, data.inputs);
  const { latencies: folder } = options;
  const table = await openLatencyTable({ ...sessionOf(options), ...(folder === undefined ? {} : { folder }) });
  const contestants: Contestant[] = [];
  const entrants: [Entrant, ...Entrant[]] = [{ name: "floats", given, float: bare(given.graph) }];
  let own: Trial | undefined;
  const enter = async (name: string, one: Given, excluded?: string): Promise<void> => {
    try {
      const { float, searched, limit } = await searchedTrials(one, data, target, options, hooks);
      if (one === given) own = searched.trials.at(-1);
      const found = await entrantsOf(name, { given: one, float, limit }, searched, { table, place, hooks });
      entrants.push(...found.entrants.map((entrant) => ({ ...entrant, ...(excluded && { excluded }) })));
      contestants.push(...found.skipped);
    } catch (error) {
      if (!isError(error, "unsupported")) throw error;
      contestants.push({ name, layers: 0, reason: error.message });
    }
  };
  await enter("eight bits", given);
  if (alone !== undefined) await enter("the original in eight bits", alone.original, alone.excluded);
  const { chosen, contestants: timed } = await contest(entrants, place, hooks);
  return { chosen, contestants: [...timed, ...contestants], ...precisionsOf(chosen.trial, own), target };
}

const bare = (graph: Graph): FloatForm => ({ graph, outcomes: [], chains: [], lost: [] });

/** @param own what was tried in eight bits where the network in floats was chosen */
function precisionsOf(chosen: Trial | undefined, own?: Trial): Pick<PrecisionChoice, "layers" | "float"> {
  const of = (trial: Trial) => trial.outcomes.filter(({ pass, applied }) => pass === "quantize" && !applied);
  if (chosen !== undefined)
    return { layers: layersIn(chosen), float: of(chosen).map(({ layer, reason }) => ({ name: layer, reason })) };
  if (own === undefined) return { layers: [], float: [] };
  const reason = "no form of the network in eight bits was faster within the loss allowed";
  const others = layersIn(own).map((name) => ({ name, reason }));
  return { layers: [], float: [...of(own).map(({ layer, reason: why }) => ({ name: layer, reason: why })), ...others] };
}

export const sessionOf = ({ runtime, threads }: Pick<JobOptions, "runtime" | "threads">) => ({
  ...(runtime === undefined ? {} : { runtime }),
  ...(threads === undefined ? {} : { threads }),
});

async function targetOf({ target = "this", ...options }: PrecisionOptions): Promise<PrecisionChoice["target"]> {
  if (!targets.includes(target))
    throw new FilterBasisError("usage", "there is no such target", { expected: targets.join(", "), got: target });
  return target === "this" ? thisTarget(describeMachine(), sessionOf(options)) : target;
}

/** Trials on the images that ranges are taken of; their loss is that beside the float network. */
async function searchedTrials(
  given: Given,
  data: CalibrationData,
  target: PrecisionChoice["target"],
  options: PrecisionOptions,
  { signal, ...hooks }: JobHooks,
): Promise<{ readonly float: FloatForm; readonly searched: Searched; readonly limit: number }> {
  const float = floatForm(given.graph);
  const pixels = data.all.dims.slice(1).reduce((product, size) => product * size, 1);
  const most = pixels > chosenOn.pixels ? chosenOn.large : chosenOn.small;
  const feeds = data.all.part(0, Math.max(1, Math.min(most, data.images.count)));
  const { output, loss, maxLoss } = options;
  const compare = {
    ...sessionOf(options),
    ...(output === undefined ? {} : { output }),
    ...(loss === undefined ? {} : { kind: loss }),
    ...(signal ? { signal } : {}),
  };
  let kind: LossKind = "relative";
  const limit = () => maxLoss ?? usualLoss[kind];
  const lossBeside = async (reference: Given, candidate: Graph | string): Promise<number> => {
    const compared = await compareOnData(reference.file ?? reference.graph, candidate, feeds, compare);
    kind = compared.loss.kind;
    return compared.loss.mean;
  };
  // What the network lost before leaves nothing to rounding where it is all that is allowed.
  const { against = given } = options;
  const spent = against === given ? 0 : await lossBeside(against, given.file ?? given.graph);
  const reference = spent < limit() ? against : given;
  const lossOf = (candidate: Graph): Promise<number> => lossBeside(reference, candidate);
  const steps = stepsOf(hooks);
  const searched = await searchPrecision(float.graph, data.images, ortEngine(sessionOf(options)), lossOf, {
    ...{ weights: weightFormatsFor[target], limit, moments: bestEngine(), progress: steps.report },
    ...(signal ? { signal } : {}),
  }).finally(() => steps.stop());
  if (layersIn(searched.trials.at(-1)!).length === 0) throw nothingRuns(searched.trials.at(-1)!);
  return { float, searched, limit: limit() };
}

function nothingRuns({ outcomes }: Trial): FilterBasisError {
  const reasons = outcomes.filter(({ applied }) => !applied).map(({ layer, reason }) => `${layer}: ${reason}`);
  return new FilterBasisError("unsupported", "no layer of the model can run in eight bits", {
    got: reasons.slice(0, 3).join("; ") || "it has no layer with a stored weight",
    cures: ["export --store int8 stores weights in eight bits and computes in floats"],
  });
}

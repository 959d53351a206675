// Which form of a network is written where its precision is free: in floats, in eight bits as far as its loss allows,
// the same with the layers in floats that are slower in eight bits, or the original in eight bits. All are timed in
// turns, and as whole networks, so that every change of precision counts as what it costs.
import { timeInTurns } from "../runtime/compare-times.js";
import { sampleFeeds } from "../runtime/index.js";
import type { LatencyTable } from "../runtime/known-times.js";
import type { FloatForm } from "./eight-bits.js";
import type { Given, JobHooks, Place } from "./job.js";
import type { Searched, Trial } from "./precision-search.js";
import { type PrecisionTimes, precisionTimes } from "./precision-times.js";

/** A network that may be written. */
export interface Entrant {
  readonly name: string;
  /** What it was made of, and that in floats as it was quantised. */
  readonly given: Given;
  readonly float: FloatForm;
  /** Absent: the network as it was given. */
  readonly trial?: Trial;
  /** Why it is timed, but not to be written. */
  readonly excluded?: string;
}

/** What became of an entrant: its time, or why it was not timed. */
export interface Contestant {
  readonly name: string;
  /** On the images that roundings were chosen on; of the float network nothing. */
  readonly loss?: number;
  /** Layers in eight bits. */
  readonly layers: number;
  readonly milliseconds?: number;
  readonly chosen?: true;
  readonly reason?: string;
}

/** Networks whose times differ by less are as fast: the one of fewer bytes is taken. */
const noise = 1.03;

/** Layers in eight bits of a trial. */
export const layersIn = ({ outcomes }: Trial): readonly string[] =>
  outcomes.flatMap(({ pass, applied, layer }) => (pass === "quantize" && applied ? [layer] : []));

/** The forms in eight bits that a search found within a limit, and those without the layers that are slower so. */
export async function entrantsOf(
  name: string,
  { given, float, limit }: Pick<Entrant, "given" | "float"> & { readonly limit: number },
  { trials, keeping }: Searched,
  { table, place, hooks }: { readonly table: LatencyTable; readonly place: Place; readonly hooks: JobHooks },
): Promise<{ readonly entrants: readonly Entrant[]; readonly skipped: readonly Contestant[] }> {
  const within = [...new Set([trials[0]!, trials.at(-1)!])].filter(({ loss }) => loss <= limit);
  const base = within[0];
  if (base === undefined) {
    const { loss } = trials.at(-1)!;
    const reason = `it loses ${loss.toPrecision(2)} where ${limit} is allowed`;
    return { entrants: [], skipped: [{ name, loss, layers: layersIn(trials.at(-1)!).length, reason }] };
  }
  const times = await precisionTimes(float.graph, place, table, hooks);
  const tried = [...within];
  const skipped: Contestant[] = [];
  for (const more of floatsForSpeed(times, new Set(layersIn(base)))) {
    const trial = await keeping(new Map([...base.float, ...more]));
    const layers = layersIn(trial).length;
    if (layers === 0) continue;
    if (trial.loss <= limit) tried.push(trial);
    else skipped.push({ name, loss: trial.loss, layers, reason: `it loses more than ${limit}` });
  }
  const forms = tried.map((trial) => ({ name: `${name}, ${layersIn(trial).length} layers`, given, float, trial }));
  return { entrants: forms, skipped };
}

/** Slower in eight bits by more than timings differ. */
const slower = 1.05;

/** Layers that are slower in eight bits, with the reason of each: those that cost most, more of them, all of them. */
function floatsForSpeed(
  times: readonly PrecisionTimes[],
  inEightBits: ReadonlySet<string>,
): readonly (readonly (readonly [string, string])[])[] {
  const slow = times
    .filter(({ layer, float, int8 }) => inEightBits.has(layer) && int8 > slower * float)
    .sort((a, b) => b.int8 - b.float - (a.int8 - a.float))
    .map(({ layer, float, int8 }): readonly [string, string] => [
      layer,
      `by itself it takes ${float.toPrecision(3)} ms in floats and ${int8.toPrecision(3)} ms in eight bits`,
    ]);
  const counts = [slow.length / 4, slow.length / 2, slow.length].map(Math.ceil);
  return [...new Set(counts)].filter((count) => count > 0).map((count) => slow.slice(0, count));
}

/** Times the entrants in turns: the first in floats, the others by how many layers are in eight bits. */
export async function contest(
  entrants: readonly [Entrant, ...Entrant[]],
  { inputs, ...place }: Place,
  { signal }: JobHooks,
): Promise<{ readonly chosen: Entrant; readonly contestants: readonly Contestant[] }> {
  const models = entrants.map(({ name, given, trial }) => ({
    name,
    model: trial === undefined ? (given.file ?? given.graph) : trial.graph,
  }));
  const timing = { ...place, ...(signal ? { signal } : {}) };
  const { models: times, ratios } = await timeInTurns(models, (ports) => sampleFeeds(ports, inputs), timing);
  const single = place.threads === 1;
  const speeds = ratios.map(({ wall, processor }) => ((single && processor) || wall).median);
  const eligible = speeds.map((speed, i) => (entrants[i + 1]!.excluded === undefined ? speed : 0));
  const best = Math.max(0, ...eligible);
  const at = best * noise < 1 ? 0 : 1 + eligible.findIndex((speed) => speed * noise >= best);
  const first = times[0]!;
  const floats = ((single && first.processorMilliseconds) || first.milliseconds).median;
  const contestants = entrants.map(({ name, trial, excluded: reason }, i): Contestant => {
    const milliseconds = i === 0 ? floats : floats / speeds[i - 1]!;
    const told = trial === undefined ? { layers: 0 } : { layers: layersIn(trial).length, loss: trial.loss };
    return { name, ...told, milliseconds, ...(i === at ? { chosen: true } : {}), ...(reason && { reason }) };
  });
  return { chosen: entrants[at]!, contestants };
}

// A calibrated plan by time: layers are timed as they are asked for, and the whole network with what was chosen, which
// counts.
import { type Calibration, fitPlan, type PlannedChoice } from "../calibrate/calibrated.js";
import type { LayerChoice } from "../calibrate/choices.js";
import type { CalibratedLayer } from "../calibrate/layers.js";
import { isError } from "../errors/error.js";
import type { Graph } from "../graph/types.js";
import type { LatencyTable } from "../runtime/known-times.js";
import { type Approach, approached, beginApproach } from "./approach.js";
import {
  type ChainClock,
  chainQuestions,
  clockOf,
  firstTimed,
  layerInputs,
  neighboursOf,
  opsetOf,
  precisionQuestions,
} from "./chain-times.js";
import { millisecondsPerByte } from "./cold-weights.js";
import { withBar } from "./job.js";
import { type OriginalTimes, originalTimes, plannedTime } from "./network-times.js";
import { fastEnough, isOutOfReach, outOfReach } from "./out-of-reach.js";
import type { CalibratedBudget, CalibratedJob, CalibratedPlan } from "./plan-calibrated.js";
import { type Counts, layersLose, predictedTime, solveTimed } from "./solve-calibrated.js";
import { writeChains } from "./write-chains.js";

/** Rounds in which what a plan chose is timed and the plan made anew. */
const rounds = 4;
/** A plan is sought that is faster than asked by this, so that the file still is when it is timed again. */
const sure = 1.03;
/**
 * Times a plan is made to save more, or less, because the whole network saved less or more than its layers promised.
 */
const attempts = 6;

/** Times what is asked of the choices of layers. */
function measurer(job: CalibratedJob, table: LatencyTable) {
  const { hooks, prepared, precision = "fp32" } = job;
  const [inputs, opset] = [layerInputs(job), opsetOf(prepared)];
  return (label: string, wanted: readonly (readonly [CalibratedLayer, LayerChoice])[]): Promise<void> => {
    const questions = wanted.flatMap(([layer, { candidate }]) => {
      const asked = precisionQuestions(layer, candidate, inputs, opset, precision);
      const original = candidate.family === "dense" ? chainQuestions(layer, candidate, inputs, opset) : [];
      const all = [...Object.values(asked).flat(), ...(original ?? [])];
      return [...all, ...all.flatMap(neighboursOf)];
    });
    const { signal } = hooks;
    return withBar(label, hooks, (progress) => table.measure(questions, { progress, ...(signal ? { signal } : {}) }));
  };
}

/** What is known before the first plan. */
export interface FirstTimes extends OriginalTimes {
  /** Milliseconds of the network's layers. */
  readonly clock: ChainClock;
}

/** Layers that together seem to take this many times as long as their network were disturbed; 1.15 is seen often. */
const doubtful = 1.3;

/** Times the first candidates of every layer, and the whole network as it is. */
export async function firstTimes(
  job: CalibratedJob,
  calibration: Calibration,
  table: LatencyTable,
): Promise<FirstTimes> {
  const wanted = calibration.layers.flatMap((one) => firstTimed(one).map((choice) => [one.layer, choice] as const));
  await measurer(job, table)("timing layers", wanted);
  const { whole, base } = await originalTimes(job, table);
  const ofLayers = async () => {
    const perByte = await millisecondsPerByte(job, calibration, clockOf(job, table), table, whole);
    const clock = clockOf(job, table, { perByte });
    return { perByte, clock, alone: calibration.layers.reduce((sum, { layer }) => sum + (clock.dense(layer) ?? 0), 0) };
  };
  let { perByte, clock, alone } = await ofLayers();
  if (alone > doubtful * base) {
    const dense = wanted.filter(([, { candidate }]) => candidate.family === "dense");
    await measurer(job, table.confirmed())("timing layers again", dense);
    ({ perByte, clock, alone } = await ofLayers());
  }
  // Layers together take no longer than their network: what they seem to is what a run costs, or what else ran then.
  return { whole, base, clock: alone <= base ? clock : clockOf(job, table, { perByte, share: base / alone }) };
}

/** Choices of all ranks, and those alone whose ranks the runtime does not pad (see `channelBlock`). */
export interface TimedChoices {
  readonly all: Calibration;
  readonly onBlocks: Calibration;
}

type TimedBudget = CalibratedBudget & { readonly whole: Counts };

/** Milliseconds of a network whose layers are timed in no time, and so briefly that what else runs shows. */
const small = 10;

/**
 * A plan by time, and the times that it was made by. A small network's budget is not out of reach because something
 * else ran while its layers were timed.
 */
export async function surelyTimedPlan(
  job: CalibratedJob,
  choices: TimedChoices,
  table: LatencyTable,
  budget: TimedBudget,
): Promise<{ readonly plan: CalibratedPlan; readonly known: FirstTimes }> {
  const known = await firstTimes(job, choices.onBlocks, table);
  try {
    return { plan: await timedPlan(job, choices, table, known, budget), known };
  } catch (error) {
    const unreachable = isOutOfReach(error) || isError(error, "budget-unreachable");
    if (!unreachable || known.whole > small) throw error;
    const confirmed = table.confirmed();
    const again = await firstTimes(job, choices.onBlocks, confirmed);
    return { plan: await timedPlan(job, choices, confirmed, again, budget), known: again };
  }
}

async function timedPlan(
  job: CalibratedJob,
  choices: TimedChoices,
  table: LatencyTable,
  { whole, base, clock }: FirstTimes,
  { whole: counts, ...budget }: TimedBudget,
): Promise<CalibratedPlan> {
  const target = budget.latency ?? whole / (budget.speedup ?? 1);
  const timed = budget.latency !== undefined || budget.speedup !== undefined;
  if (budget.latency !== undefined && target >= whole) throw fastEnough(target, whole);
  const aim = target / sure;
  let state: Approach<CalibratedPlan> = beginApproach(aim, whole);
  let first: { readonly predicted: number; readonly written: number } | undefined;
  for (let attempt = 0; attempt < attempts && !state.done; attempt++) {
    const solve = (of: Calibration, anyTime: boolean) =>
      solveTimed(counts, of, clock, { ...budget, timed, anyTime }, base, state.most).chosen;
    const settled = async (calibration: Calibration, anyTime = false): Promise<Chosen> => {
      const chosen = await settledPlan(job, table, clock, () => solve(calibration, anyTime));
      return { calibration, chosen };
    };
    const found: Chosen = await (timed ? settled(choices.onBlocks) : lessLost(job, choices, settled));
    const timesOf = async ({ chosen, graph }: Ran) => {
      const predicted = predictedTime(chosen, clock, base);
      const written = await plannedTime(job, { graph, chosen }, { table, clock, whole, ...(timed && { aim }) });
      return { predicted, written };
    };
    const ran = { ...found, graph: found.graph ?? (await graphOf(job, found)) };
    const { predicted, written } = await timesOf(ran);
    const { calibration, chosen } = ran;
    first ??= { predicted, written };
    const plan = { calibration, chosen, times: { original: whole, predicted, written, first } };
    if (!timed) return whole <= small ? lessCut(job, { plan, graph: ran.graph }, { settled, timesOf }) : plan;
    state = approached(state, aim, { plan, predicted, written, loss: layersLose(plan) });
  }
  if (state.enough !== undefined) return state.enough.timed.plan;
  if (state.fastest!.written <= target) return state.fastest!.plan;
  throw outOfReach(budget, state.fastest!.plan);
}

/** A plan whose network was made. */
type Ran = Chosen & { readonly graph: Graph };

/** Images that tell two plans apart: of classes a few say too little. */
const telling = 256;

/**
 * By multiply-accumulates, in a small network: what single layers take is mostly noise there, and without those that
 * seem slower a few layers are cut to pieces. A plan of all candidates is taken where it loses less on images, by more
 * than it is slower, and its network is not slower than the original.
 */
async function lessCut(
  job: CalibratedJob,
  { plan, graph }: { readonly plan: CalibratedPlan; readonly graph: Graph },
  {
    settled,
    timesOf,
  }: {
    readonly settled: (of: Calibration, anyTime: boolean) => Promise<Chosen>;
    readonly timesOf: (ran: Ran) => Promise<{ readonly predicted: number; readonly written: number }>;
  },
): Promise<CalibratedPlan> {
  const { lossOf: onImages } = job;
  if (onImages === undefined) return plan;
  const found = await settled(plan.calibration, true);
  if (JSON.stringify(candidatesOf(found)) === JSON.stringify(candidatesOf(plan))) return plan;
  const other = { ...found, graph: await graphOf(job, found) };
  const times = await timesOf(other);
  const { original, written, first } = plan.times!;
  if (times.written > original) return plan;
  const [lost, otherLost] = [await onImages(graph, telling), await onImages(other.graph, telling)];
  if (lost <= otherLost * Math.max(1, times.written / written)) return plan;
  return { calibration: plan.calibration, chosen: other.chosen, times: { original, ...times, first } };
}

interface Chosen extends Pick<CalibratedPlan, "calibration" | "chosen"> {
  /** The network with its factors, where it was made already. */
  readonly graph?: Graph;
}

/** A plan of which what it chose was timed. */
async function settledPlan(
  job: CalibratedJob,
  table: LatencyTable,
  clock: ChainClock,
  solve: () => readonly PlannedChoice[],
): Promise<readonly PlannedChoice[]> {
  const measure = measurer(job, table);
  let chosen = solve();
  for (let round = 0; round < rounds; round++) {
    const open = chosen.filter(
      ({ layer, candidate }) => clock.exact(layer, candidate) === undefined && clock.dense(layer),
    );
    if (open.length === 0) break;
    await measure(
      "timing the plan",
      open.map((choice) => [choice.layer, choice] as const),
    );
    chosen = solve();
  }
  return chosen;
}

/** Ranks on the runtime's blocks are worth so many times the loss of free ones: they take less time. */
const worthBlocks = 1.15;

/**
 * By multiply-accumulates, where free ranks may lose less: those on blocks, if they lose hardly more. The errors of
 * layers do not tell (one in an early layer can cost as much as all others), so both networks are run on images.
 */
async function lessLost(
  job: CalibratedJob,
  { all, onBlocks }: TimedChoices,
  settled: (of: Calibration) => Promise<Chosen>,
): Promise<Chosen> {
  const same = all.layers.every(({ choices }, i) => choices.length === onBlocks.layers[i]!.choices.length);
  if (same) return settled(onBlocks);
  const free = await settled(all);
  const blocks = await settled(onBlocks).catch((error: unknown) => {
    if (!isError(error, "budget-unreachable")) throw error;
    return undefined;
  });
  if (blocks === undefined) return free;
  if (JSON.stringify(candidatesOf(blocks)) === JSON.stringify(candidatesOf(free))) return blocks;
  const { lossOf: onImages = () => undefined } = job;
  const ran = async (found: Chosen) => {
    const graph = await graphOf(job, found);
    return { ...found, graph, lost: (await onImages(graph)) ?? layersLose(found) };
  };
  const [first, second] = [await ran(blocks), await ran(free)];
  return first.lost <= worthBlocks * second.lost ? first : second;
}

const candidatesOf = ({ chosen }: Pick<CalibratedPlan, "chosen">) => chosen.map(({ candidate }) => candidate);

/** The network with a plan's factors, which nothing refitted. */
async function graphOf({ engine }: CalibratedJob, { calibration, chosen }: Chosen): Promise<Graph> {
  return writeChains(calibration.graph, await fitPlan(calibration, chosen, engine.algebra), chosen).graph;
}

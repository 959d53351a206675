// A plan by measured times: layers are timed, the budget is solved, the whole network is timed against the original,
// and solved again where it is slower. What cannot be kept is refused with what can, tried on the whole network too.
import type { Layout } from "../basis/layouts.js";
import { FilterBasisError, isError } from "../errors/error.js";
import type { Graph } from "../graph/types.js";
import { inputSizes, latenciesOf, savingLayouts } from "../methods/latencies.js";
import { type Plan, planCompression, withLayouts } from "../methods/plan.js";
import type { PlanOptions } from "../methods/plan-options.js";
import { budgetQuestions, layoutQuestions } from "../methods/questions.js";
import { cost } from "../ops/cost/cost.js";
import type { LatencyTable, NetworkTimes } from "../runtime/known-times.js";
import { type JobHooks, type Place, withBar } from "./job.js";
import { networkKey } from "./network-key.js";
import { type Times, timeNetwork, timeNetworks, timeTillSure } from "./time.js";

/** A whole network counts as slower than the original from here on. */
const slower = 1.015;
/**
 * What the times of single layers may add up to above the original's, as a share of the network's: less than what
 * counts as slower.
 */
const slack = 0.01;
const tries = 4;

/** A plan in the making: the networks, the table of times, and how a plan is carried out. */
export interface Job {
  readonly original: Graph;
  readonly prepared: Graph;
  readonly planOptions: PlanOptions;
  readonly table: LatencyTable;
  readonly place: Place;
  readonly hooks: JobHooks;
  readonly apply: (plan: Plan) => { readonly graph: Graph };
}

/** A plan whose chosen layers were timed in the layouts allowed. */
export async function layoutsFor(job: Job, plan: Plan, layouts: readonly Layout[]): Promise<Plan> {
  const { prepared, planOptions, table, hooks } = job;
  await measure(job, layoutQuestions(prepared, plan, planOptions, layouts), "timing layouts", hooks);
  return withLayouts(
    plan,
    latenciesOf(table.clock, inputSizes(prepared, planOptions.inputs), opsetOf(prepared), { layouts, exact: true }),
  );
}

async function measure(
  { table }: Job,
  questions: Parameters<LatencyTable["measure"]>[0],
  label: string,
  hooks: JobHooks,
) {
  const { signal } = hooks;
  await withBar(label, hooks, (progress) => table.measure(questions, { progress, ...(signal ? { signal } : {}) }));
}

export interface TimedPlan {
  readonly plan: Plan;
  readonly times: NetworkTimes;
}

/**
 * Plans a budget by times; where it is out of reach, looks for what is not, so that the error names what was tried on
 * the whole network.
 */
export async function planInTime(job: Job): Promise<TimedPlan> {
  const { prepared, planOptions, hooks } = job;
  await measure(job, budgetQuestions(prepared, planOptions), "timing layers", hooks);
  try {
    return await planChecked(job, planOptions);
  } catch (error) {
    if (!isError(error, "budget-unreachable")) throw error;
    return await planSurely({ ...job, table: job.table.confirmed() });
  }
}

/** Once more, every time confirmed: a budget is not out of reach because something else ran while layers were timed. */
async function planSurely(job: Job): Promise<TimedPlan> {
  const { prepared, planOptions, hooks } = job;
  await measure(job, budgetQuestions(prepared, planOptions), "timing layers again", hooks);
  try {
    return await planChecked(job, planOptions);
  } catch (error) {
    if (!isError(error, "budget-unreachable")) throw error;
    throw outOfReach(job, await leastReachable(job, error.facts.reachable), error.facts.milliseconds);
  }
}

/**
 * The plan of the least budget that can be kept, up to a quarter of what lies between it and everything; undefined
 * where there is none.
 */
async function leastReachable(job: Job, layers: unknown): Promise<TimedPlan | undefined> {
  const { keepMacs = 1 } = job.planOptions;
  const least = typeof layers === "number" ? layers : keepMacs;
  for (const share of [0, 0.25, 0.5, 0.75]) {
    const keep = least + share * (1 - least);
    if (keep >= 1 || keep <= keepMacs) continue;
    try {
      return await planChecked(job, { ...job.planOptions, keepMacs: keep });
    } catch (error) {
      if (!isError(error, "budget-unreachable")) throw error;
    }
  }
  return undefined;
}

/**
 * Solves, and times the whole network; where that is slower than the original, solves again for a plan that saves more.
 */
async function planChecked(job: Job, options: PlanOptions): Promise<TimedPlan> {
  const alone = await originalTime(job);
  let save = -slack * alone;
  let last: TimedPlan | undefined;
  for (let attempt = 0; ; attempt++) {
    const plan = await solveTimed(job, { ...options, save }).catch((error: unknown) => {
      throw last && isError(error, "budget-unreachable") ? tooSlow(last) : error;
    });
    const times = await timesOf(job, plan);
    if (times.written <= slower * times.original) return { plan, times };
    last = { plan, times };
    if (attempt === tries) throw tooSlow(last);
    save = Math.max(save, predictedSaving(plan)) + (times.written - times.original) + 0.01 * times.original;
  }
}

/** Solves by the times of `timedSizes` alone, then times the sizes that were chosen. */
async function solveTimed(job: Job, options: PlanOptions): Promise<Plan> {
  const { prepared, table } = job;
  const latencies = latenciesOf(table.clock, inputSizes(prepared, options.inputs), opsetOf(prepared));
  return layoutsFor(job, planCompression(prepared, { ...options, latencies }), savingLayouts);
}

export function predictedSaving(plan: Plan): number {
  const layers = plan.groups.flatMap((unit) => unit.layers);
  return layers.reduce((sum, { timed }) => sum + (timed ? timed.original - timed.milliseconds : 0), 0);
}

/** For `planInTime`, which knows what can be reached instead. */
function tooSlow({ times }: TimedPlan): FilterBasisError {
  return new FilterBasisError("budget-unreachable", "the best plan is slower than the original", {
    facts: { milliseconds: times },
  });
}

/** Every layer where none can be better: the best that is not slower is the layer itself. */
function asTheyAre({ original, planOptions }: Job) {
  const { layers } = cost(original, planOptions.inputs);
  return layers.map(({ node, macs }) => ({ name: node, original: macs, best: macs }));
}

/** What cannot be kept, what can, and by what of each layer. */
function outOfReach(job: Job, reached: TimedPlan | undefined, tried: unknown): FilterBasisError {
  const { keepMacs, original } = job.planOptions;
  const whole = original!.macs;
  const units = reached?.plan.groups ?? [];
  const planned = units.map(({ group: unit, macsBefore, macsAfter, layers: members }) => ({
    name: unit.name,
    original: macsBefore,
    best: macsAfter,
    milliseconds: members.map(({ timed }) => timed && { original: timed.original, best: timed.milliseconds }),
  }));
  const layers = planned.length > 0 ? planned : asTheyAre(job);
  const best = reached?.plan.after.macs ?? whole;
  const reachable = Math.ceil((best / whole) * 10_000) / 10_000;
  const fixed = best - layers.reduce((sum, layer) => sum + layer.best, 0);
  return new FilterBasisError(
    "budget-unreachable",
    `the budget --keep-macs ${keepMacs} cannot be met without becoming slower: the least reachable is ${reachable}`,
    {
      field: "keep-macs",
      expected: `at least ${reachable}`,
      got: `${keepMacs}`,
      cures: [...(reachable < 1 ? [`--keep-macs ${reachable}`] : []), "give a budget in weights: --keep-params"],
      facts: { reachable, fixed, original: whole, layers, ...(tried === undefined ? {} : { milliseconds: tried }) },
    },
  );
}

/** Milliseconds of the original by itself. */
async function originalTime({ original, planOptions, table, place, hooks }: Job): Promise<number> {
  const { written } = await table.networks(networkKey([original], planOptions.inputs), async () => {
    const milliseconds = await timeNetwork(original, place, hooks);
    return { original: milliseconds, written: milliseconds };
  });
  return written;
}

/** Times of the original and of a plan carried out, from the table where the same two were timed before. */
export async function timesOf(
  { original, planOptions, table, place, hooks, apply }: Job,
  plan: Plan,
): Promise<NetworkTimes> {
  const { graph } = apply(plan);
  return table.networks(networkKey([original, graph], planOptions.inputs), async () => {
    const time = () => timeNetworks(original, graph, place, hooks);
    const { original: before, written } = await timeTillSure(time, isDoubtful);
    return { original: before, written };
  });
}

/** Slower than is allowed, but not by so much that another timing could not find otherwise. */
const isDoubtful = ({ original, written }: Times): boolean =>
  written > slower * original && written < doubtfulUpTo * original;
const doubtfulUpTo = 1.15;

const opsetOf = (graph: Graph): number => graph.opsets.get("") ?? 17;

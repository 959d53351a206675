// The checked plan: what `plan` prints and `compress` carries out. Layers are timed where times decide, the plan is solved and
// applied, and the whole network is timed against the original; where it is slower the plan has to save more, or its layers
// are written so that they take as long as the original's.
import { createHash } from "node:crypto";
import type { Form } from "../basis/forms.js";
import { FilterBasisError, isError } from "../errors/error.js";
import { writeModel } from "../formats/onnx/index.js";
import { type Cost, cost } from "../graph/cost.js";
import type { Graph, Outcome } from "../graph/types.js";
import { applyPlan } from "../methods/basis.js";
import { describeCompression } from "../methods/compressed-layers.js";
import { inputSizes, latenciesOf, rebuildsAtLoad, savingLayouts } from "../methods/latencies.js";
import { fixedSplits } from "../methods/methods.js";
import { type Plan, planCompression, withLayouts } from "../methods/plan.js";
import type { PlanOptions } from "../methods/plan-options.js";
import { budgetQuestions, layoutQuestions } from "../methods/questions.js";
import { findInputs, type ModelInputs } from "../runtime/index.js";
import { type LatencyTable, type NetworkTimes, openLatencyTable } from "../runtime/latency-table.js";
import { bestLinearAlgebra } from "../torch/linalg.js";
import { type JobHooks, type JobOptions, type Place, placeOf, withBar } from "./job.js";
import { prepare } from "./prepare.js";
import { timeNetwork, timeNetworks } from "./time.js";

export interface PlannedModel {
  readonly plan: Plan;
  /** What the plan was made for: the original after the passes that change nothing of what it computes. */
  readonly prepared: Graph;
  readonly foldOutcomes: readonly Outcome[];
  /** The compressed network, in its layouts. */
  readonly graph: Graph;
  readonly outcomes: readonly Outcome[];
  /** Counts of the original as it was given. */
  readonly before: Cost;
  /** Sizes and values at which all this holds. */
  readonly inputs: ModelInputs;
  /** Milliseconds of the original and of the compressed network, where times decided. */
  readonly times?: NetworkTimes;
}

/** A whole network counts as slower than the original from here on. */
const slower = 1.015;
/** What the times of single layers may add up to above the original's, as a share of the network's: less than what counts as slower. */
const slack = 0.01;
/** A mixture of layouts has to save this much of the time to be worth taking over the dense layout. */
const worthwhile = 0.985;
const tries = 4;

/** @throws FilterBasisError as `planCompression` does; `budget-unreachable` also where every plan is slower than the original */
export async function planModel(original: Graph, options: JobOptions, hooks: JobHooks = {}): Promise<PlannedModel> {
  const { method = "basis", layout = "auto" } = options;
  const given = options.plan ?? {};
  checkLayout(layout, given);
  const { signal } = hooks;
  const { runtime } = options;
  const search = { ...(runtime === undefined ? {} : { runtime }), ...(signal ? { signal } : {}) };
  const inputs = options.inputs ?? (await findInputs(original, search));
  const place = placeOf(options, inputs);
  const asked: PlanOptions = { ...given, inputs: inputs.shapes };
  const { graph: prepared, outcomes: foldOutcomes } = prepare(original, options);
  const before = cost(original, asked.inputs);
  const done = describeCompression(original);
  for (const text of [...(done === undefined ? [] : [done]), ...before.notes]) hooks.note?.(text);
  const linear = asked.linear ?? bestLinearAlgebra();
  const planOptions: PlanOptions = { ...asked, ...fixedSplits(method), linear, original: before, spectra: new Map() };
  const apply = (plan: Plan) =>
    applyPlan(prepared, plan, { ...planOptions, method, ...(layout === "auto" ? {} : { form: layout }) });
  const result = (plan: Plan, times?: NetworkTimes): PlannedModel => ({
    plan,
    prepared,
    foldOutcomes,
    ...apply(plan),
    before,
    inputs,
    ...(times ? { times } : {}),
  });
  if (layout !== "auto") return result(planCompression(prepared, planOptions));
  const table = await openLatencyTable({
    ...(place.runtime === undefined ? {} : { runtime: place.runtime }),
    ...(place.threads === undefined ? {} : { threads: place.threads }),
    ...(options.latencies === undefined ? {} : { folder: options.latencies }),
  });
  const job: Job = { original, prepared, planOptions, table, place, hooks, apply };
  if (asked.keepMacs !== undefined) {
    const { plan, times } = await planInTime(job);
    return result(plan, times);
  }
  const plan = await layoutsFor(job, planCompression(prepared, planOptions), ["dense", ...savingLayouts]);
  const kept = plan.units.every(({ layers }) => layers.every(({ timed }) => timed === undefined || timed.layout === "dense"));
  if (plan.units.length === 0 || kept || isExplicit(plan, asked)) return result(plan);
  const times = await timesOf(job, plan);
  const worth = Math.min(1, 1 - predictedSaving(plan) / times.original) <= worthwhile;
  return worth && times.written <= worthwhile * times.original ? result(plan, times) : result(allDense(plan));
}

interface Job {
  readonly original: Graph;
  readonly prepared: Graph;
  readonly planOptions: PlanOptions;
  readonly table: LatencyTable;
  readonly place: Place;
  readonly hooks: JobHooks;
  readonly apply: (plan: Plan) => { readonly graph: Graph };
}

/** A budget in multiply-accumulates is no use to a layout that computes them all. */
function checkLayout(layout: "auto" | Form, { keepMacs }: PlanOptions): void {
  if (layout !== "dense" || keepMacs === undefined) return;
  throw new FilterBasisError("usage", "the dense layout computes all multiply-accumulates of the original, whatever the budget", {
    field: "form",
    cures: ["leave --form out, or give another layout", "give the budget in weights: --keep-params"],
  });
}

function isExplicit(plan: Plan, { basis, layers = {} }: PlanOptions): boolean {
  return basis !== undefined || (plan.units.length > 0 && Object.values(layers).some((rule) => rule.basis !== undefined));
}

/** A plan whose chosen layers were timed in the layouts allowed. */
async function layoutsFor(job: Job, plan: Plan, layouts: readonly Form[]): Promise<Plan> {
  const { prepared, planOptions, table, hooks } = job;
  await measure(job, layoutQuestions(prepared, plan, planOptions, layouts), "timing layouts", hooks);
  return withLayouts(plan, latenciesOf(table.clock, inputSizes(prepared, planOptions.inputs), opsetOf(prepared), layouts));
}

async function measure({ table }: Job, questions: Parameters<LatencyTable["measure"]>[0], label: string, hooks: JobHooks) {
  const { signal } = hooks;
  await withBar(label, hooks, (progress) => table.measure(questions, { progress, ...(signal ? { signal } : {}) }));
}

interface TimedPlan {
  readonly plan: Plan;
  readonly times: NetworkTimes;
}

/** Plans a budget by times; where it is out of reach, the fraction that the error names was tried on the whole network too. */
async function planInTime(job: Job): Promise<TimedPlan> {
  const { prepared, planOptions, hooks } = job;
  await measure(job, budgetQuestions(prepared, planOptions), "timing layers", hooks);
  try {
    return await planChecked(job, planOptions);
  } catch (error) {
    const reachable = isError(error, "budget-unreachable") ? error.facts.reachable : undefined;
    if (typeof reachable === "number" && reachable < 1) await planChecked(job, { ...planOptions, keepMacs: reachable });
    throw error;
  }
}

/** Solves, and times the whole network; where that is slower than the original, solves again for a plan that saves more. */
async function planChecked(job: Job, options: PlanOptions): Promise<TimedPlan> {
  const alone = await originalTime(job);
  let save = -slack * alone;
  let last: TimedPlan | undefined;
  for (let attempt = 0; ; attempt++) {
    const plan = await solveTimed(job, { ...options, save }).catch((error: unknown) => {
      throw last && isError(error, "budget-unreachable") ? tooSlow(job.planOptions, last) : error;
    });
    const times = await timesOf(job, plan);
    if (times.written <= slower * times.original) return { plan, times };
    last = { plan, times };
    if (attempt === tries) throw tooSlow(job.planOptions, last);
    save = Math.max(save, predictedSaving(plan)) + (times.written - times.original) + 0.01 * times.original;
  }
}

/** Solves, times the basis sizes that were chosen, and solves again until nothing changes. */
async function solveTimed(job: Job, options: PlanOptions): Promise<Plan> {
  const { prepared, table } = job;
  const latencies = latenciesOf(table.clock, inputSizes(prepared, options.inputs), opsetOf(prepared));
  let plan = planCompression(prepared, { ...options, latencies });
  for (let round = 0; round < tries; round++) {
    const measured = await layoutsFor(job, plan, savingLayouts);
    const next = planCompression(prepared, { ...options, latencies });
    if (sameChoices(plan, next)) return measured;
    plan = withLayouts(next, latencies);
  }
  return plan;
}

function predictedSaving(plan: Plan): number {
  const layers = plan.units.flatMap((unit) => unit.layers);
  return layers.reduce((sum, { timed }) => sum + (timed ? timed.original - timed.milliseconds : 0), 0);
}

function sameChoices(a: Plan, b: Plan): boolean {
  const key = ({ units }: Plan) => JSON.stringify(units.map(({ unit, choice }) => [unit.name, choice]));
  return key(a) === key(b);
}

function tooSlow({ keepMacs }: PlanOptions, { plan, times: { original, written } }: TimedPlan): FilterBasisError {
  const { units, refused } = plan;
  const layers = units.flatMap((unit) => unit.layers.map(({ layer, timed }) => ({ name: layer.name, ...timed })));
  const text = `${written.toFixed(2)} ms, the original ${original.toFixed(2)} ms`;
  return new FilterBasisError(
    "budget-unreachable",
    `the budget --keep-macs ${keepMacs} cannot be met without becoming slower: the best plan takes ${text}`,
    {
      field: "keep-macs",
      cures: ["give a budget in weights: --keep-params"],
      facts: { milliseconds: { original, written }, layers, skipped: refused },
    },
  );
}

/** Milliseconds of the original by itself. */
async function originalTime({ original, planOptions, table, place, hooks }: Job): Promise<number> {
  const key = createHash("sha256")
    .update(writeModel(original))
    .update(JSON.stringify([...(planOptions.inputs ?? [])]));
  const { written } = await table.networks(key.digest("hex").slice(0, 32), async () => {
    const milliseconds = await timeNetwork(original, place, hooks);
    return { original: milliseconds, written: milliseconds };
  });
  return written;
}

/** Times of the original and of a plan carried out, from the table where the same two were timed before. */
async function timesOf({ original, planOptions, table, place, hooks, apply }: Job, plan: Plan): Promise<NetworkTimes> {
  const { graph } = apply(plan);
  const key = createHash("sha256")
    .update(writeModel(original))
    .update(writeModel(graph))
    .update(JSON.stringify([...(planOptions.inputs ?? [])]));
  return table.networks(key.digest("hex").slice(0, 32), async () => {
    const { original: milliseconds, written } = await timeNetworks(original, graph, place, hooks);
    return { original: milliseconds, written };
  });
}

/** Every layer in the layout whose speed is the original's, where there is one. */
function allDense(plan: Plan): Plan {
  const units = plan.units.map((planned) => ({
    ...planned,
    layers: planned.layers.map((one) =>
      one.timed && rebuildsAtLoad(one.layer)
        ? { ...one, timed: { ...one.timed, layout: "dense" as const, milliseconds: one.timed.original } }
        : one,
    ),
  }));
  return { ...plan, units };
}

const opsetOf = (graph: Graph): number => graph.opsets.get("") ?? 17;

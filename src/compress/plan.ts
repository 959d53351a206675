// The checked plan: what `plan` prints and `compress` carries out. Layers are timed where times decide, the plan is
// solved and applied, and the whole network is timed against the original; where it is slower the plan has to save
// more, or its layers are written so that they take as long as the original's.
import type { Layout } from "../basis/layouts.js";
import { FilterBasisError } from "../errors/error.js";
import type { Graph, Outcome } from "../graph/types.js";
import { describeCompression } from "../methods/compressed-layers.js";
import { savingLayouts } from "../methods/latencies.js";
import { methods } from "../methods/methods.js";
import { type Plan, planCompression, withoutSpectra } from "../methods/plan.js";
import type { PlanOptions } from "../methods/plan-options.js";
import { type Cost, cost } from "../ops/cost/cost.js";
import { findInputs, type ModelInputs } from "../runtime/index.js";
import type { NetworkTimes } from "../runtime/known-times.js";
import { openLatencyTable } from "../runtime/latency-table.js";
import { modelBytes, writtenBytes } from "../runtime/model-bytes.js";
import { bestLinearAlgebra } from "../torch/linalg.js";
import { type Given, type JobHooks, type JobOptions, placeOf } from "./job.js";
import { checkSize, worthwhile } from "./pays.js";
import { withinBytes } from "./plan-by-bytes.js";
import { type Job, layoutsFor, planInTime, predictedSaving, timesOf } from "./plan-in-time.js";
import { prepare } from "./prepare.js";

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
  /** Of the file that was given, and of the one that the compressed network is written as. */
  readonly bytes: { readonly original: number | undefined; readonly written: number };
  /** Sizes and values at which all this holds. */
  readonly inputs: ModelInputs;
  /** Milliseconds of the original and of the compressed network, where times decided. */
  readonly times?: NetworkTimes;
}

type Spectra = NonNullable<PlanOptions["spectra"]>;

/**
 * @throws FilterBasisError as `planCompression` does; `budget-unreachable` also where every plan is slower than the
 * original; `does-not-pay` where the file would be larger than the one given
 * @example
 * ```ts
 * import { loadModel, planModel } from "filterbasis";
 *
 * const graph = await loadModel("model.onnx");
 * const { plan } = await planModel({ graph }, { plan: { keepParams: 0.5 } });
 * for (const { group, choice, error } of plan.groups) console.log(group.name, choice.basisSize, error);
 * for (const { name, reason } of plan.skipped) console.log(name, reason);
 * ```
 */
export async function planModel(given: Given, options: JobOptions, hooks: JobHooks = {}): Promise<PlannedModel> {
  const original = given.file === undefined ? undefined : await modelBytes(given.file);
  const planned = await (options.keepBytes === undefined
    ? planNetwork(given.graph, options, hooks)
    : planBytes(given.graph, options.keepBytes, original ?? writtenBytes(given.graph), options, hooks));
  const written = writtenBytes(planned.graph);
  checkSize(original, written, options);
  return { ...planned, bytes: { original, written } };
}

/** A plan for a share of the file's bytes: that for a share of the weights whose file has so many. */
async function planBytes(
  graph: Graph,
  keep: number,
  original: number,
  { keepBytes: _, ...options }: JobOptions,
  hooks: JobHooks,
): Promise<Omit<PlannedModel, "bytes">> {
  const spectra: Spectra = new Map();
  const { signal } = hooks;
  const quiet: JobHooks = signal ? { signal } : {};
  const withWeights = (keepParams: number, layout: JobOptions["layout"], told: JobHooks) =>
    planNetwork(graph, { ...options, plan: { ...options.plan, keepParams }, ...(layout && { layout }) }, told, spectra);
  const bytesOf = (planned: Omit<PlannedModel, "bytes">) => writtenBytes(planned.graph);
  // How many bytes a layout takes differs by some nodes: the weights decide, in the layout that needs no timing.
  const plan = (share: number) => withWeights(share, "dense", quiet);
  const { share } = await withinBytes({ keep, original, plan, bytesOf });
  const planned = await withWeights(share, options.layout, hooks);
  if (bytesOf(planned) <= keep * original) return planned;
  const { made } = await withinBytes({
    keep: keep - (bytesOf(planned) - keep * original) / original,
    original,
    plan,
    bytesOf,
  });
  return made;
}

async function planNetwork(
  original: Graph,
  options: JobOptions,
  hooks: JobHooks,
  spectra: Spectra = new Map(),
): Promise<Omit<PlannedModel, "bytes">> {
  const { method = "basis", layout = "auto" } = options;
  const wanted = options.plan ?? {};
  checkLayout(layout, wanted);
  const { signal } = hooks;
  const { runtime } = options;
  const search = { ...(runtime === undefined ? {} : { runtime }), ...(signal ? { signal } : {}) };
  const inputs = options.inputs ?? (await findInputs(original, search));
  const place = placeOf(options, inputs);
  const asked: PlanOptions = { ...wanted, inputs: inputs.shapes };
  const { graph: prepared, outcomes: foldOutcomes } = prepare(original, options);
  const before = cost(original, asked.inputs);
  const done = describeCompression(original);
  for (const text of [...(done === undefined ? [] : [done]), ...before.notes]) hooks.note?.(text);
  const linear = asked.linear ?? bestLinearAlgebra();
  const chosen = methods[method];
  const { candidates } = chosen;
  const planOptions: PlanOptions = {
    ...(chosen.planning?.(asked) ?? asked),
    ...{ linear, original: before, spectra, ...(candidates ? { candidates } : {}) },
  };
  const apply = (plan: Plan) =>
    chosen.apply(prepared, { ...planOptions, ...(layout === "auto" ? {} : { layout }) }, plan);
  const result = (plan: Plan, times?: NetworkTimes): Omit<PlannedModel, "bytes"> => {
    const { graph, outcomes } = apply(plan);
    const done = withoutSpectra(plan);
    return { plan: done, prepared, foldOutcomes, graph, outcomes, before, inputs, ...(times ? { times } : {}) };
  };
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
  const kept = plan.groups.every(({ layers }) =>
    layers.every(({ timed }) => timed === undefined || timed.layout === "dense"),
  );
  if (plan.groups.length === 0 || kept || isExplicit(plan, asked)) return result(plan);
  const times = await timesOf(job, plan);
  const worth = Math.min(1, 1 - predictedSaving(plan) / times.original) <= worthwhile;
  return worth && times.written <= worthwhile * times.original ? result(plan, times) : result(allDense(plan));
}

/** A budget in multiply-accumulates is no use to a layout that computes them all. */
function checkLayout(layout: "auto" | Layout, { keepMacs }: PlanOptions): void {
  if (layout !== "dense" || keepMacs === undefined) return;
  throw new FilterBasisError(
    "usage",
    "the dense layout computes all multiply-accumulates of the original, whatever the budget",
    {
      field: "layout",
      cures: ["leave --layout out, or give another layout", "give the budget in weights: --keep-params"],
    },
  );
}

function isExplicit(plan: Plan, { basis, layers = {} }: PlanOptions): boolean {
  return (
    basis !== undefined || (plan.groups.length > 0 && Object.values(layers).some((rule) => rule.basis !== undefined))
  );
}

/** Every layer in the layout whose speed is the original's, where there is one. */
function allDense(plan: Plan): Plan {
  const groups = plan.groups.map((planned) => ({
    ...planned,
    layers: planned.layers.map((one) =>
      one.timed ? { ...one, timed: { ...one.timed, layout: "dense" as const, milliseconds: one.timed.original } } : one,
    ),
  }));
  return { ...plan, groups };
}

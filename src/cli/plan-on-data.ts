// `plan --data`: what `compress --data` would do to each layer with the same options, and what speed costs.
import { bestEngine } from "../compress/best-engine.js";
import { placeOf } from "../compress/job.js";
import { type CalibratedPlan, openPlanner, type Planner } from "../compress/plan-calibrated.js";
import { prepare } from "../compress/prepare.js";
import { dataHelp } from "../data/table.js";
import { describeChain } from "../methods/chain-record.js";
import { cost } from "../ops/cost/cost.js";
import { columns, grouped } from "./columns.js";
import { budgetOf, imagesFor, type OnData, planningOptions, selectionOf } from "./compress-on-data.js";
import { inputOptions } from "./data-options.js";
import type { Context } from "./frame.js";

/** The options of `plan` that say what to calibrate on. */
export const planOnDataOptions = {
  data: { type: "string" as const, description: `calibrate on this: ${dataHelp}`, valueHint: "DATA" },
  ...inputOptions,
  ...planningOptions,
  scale: { type: "string" as const, description: "for super-resolution: 2, 3 or 4", valueHint: "S" },
  seed: { type: "string" as const, description: "draws the images", valueHint: "N" },
};

/** @throws FilterBasisError as `compress --data`; nothing is written */
export async function planOnData({ graph, file, inputs, options, args }: Omit<OnData, "output">, context: Context) {
  const images = await imagesFor({ graph, inputs, args }, context);
  const budget = budgetOf(options, args);
  const job = {
    ...{ original: graph, prepared: prepare(graph, options).graph, before: cost(graph, images.inputs.shapes) },
    ...{ place: placeOf(options, images.inputs), engine: bestEngine(), data: images, hooks: context },
    selection: selectionOf(options),
  };
  const planner = await openPlanner(job, budget.keepParams === undefined ? "time" : "weights");
  const named = Object.keys(budget).length > 0;
  const plan = await planner.plan(named ? budget : { speedup: 1 });
  const json = { file, method: "calibrated", before: job.before, ...reportOf(plan, planner, named) };
  return { json, text: show(file, json) };
}

function reportOf({ chosen, times }: CalibratedPlan, planner: Planner, named: boolean) {
  const layers = chosen.map(({ layer, candidate, error, weights, macs }, i) => ({
    name: layer.name,
    filters: [layer.shape.n, layer.shape.c, ...layer.shape.kernel],
    factors: candidate.family === "dense" ? "dense" : describeChain(candidate),
    weights,
    macs,
    macsBefore: planner.calibration.layers[i]!.choices[0]!.macs,
    error,
  }));
  return {
    ...(named ? { layers, ...(times ? { milliseconds: times } : {}) } : {}),
    curve: planner.curve(),
    skipped: planner.calibration.skipped,
  };
}

function show(file: string, { layers, milliseconds, curve, skipped }: ReturnType<typeof reportOf>): string {
  const rows = (layers ?? []).map((one) => [
    one.name,
    one.filters.join("x"),
    one.factors,
    grouped(one.weights),
    grouped(one.macs),
    one.error.toFixed(4),
  ]);
  const points = curve.map(({ speedup, milliseconds: time, loss }) => [
    `${speedup.toFixed(2)} x`,
    time.toFixed(2),
    loss.toFixed(4),
  ]);
  return [
    file,
    ...(layers ? [columns([["layer", "filters", "factors", "weights", "MACs", "error"], ...rows]), ""] : []),
    ...skipped.map(({ name, reason }) => `skipped ${name}: ${reason}`),
    ...(milliseconds
      ? [
          `${milliseconds.original.toFixed(2)} ms -> ${milliseconds.written.toFixed(2)} ms in ONNX Runtime, predicted ${milliseconds.predicted.toFixed(2)} ms`,
        ]
      : []),
    ...(curve.length > 0
      ? [
          "",
          "what speed costs, by the times of single layers and the share of their outputs that is lost (-log of what is kept, summed):",
        ]
      : []),
    ...(curve.length > 0 ? [columns([["speed-up", "ms", "loss"], ...points])] : []),
  ].join("\n");
}

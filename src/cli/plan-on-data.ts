// `plan --data`: what `compress --data` would do to each layer with the same options, and what speed costs.
import { bestEngine } from "../compress/best-engine.js";
import { type ChosenPlan, calibratedJob, choosePlan } from "../compress/choose-plan.js";
import type { LayerTime } from "../compress/plan-calibrated.js";
import { dataHelp } from "../data/table.js";
import { describeChain } from "../methods/chain-record.js";
import { columns, grouped } from "./columns.js";
import { deviceOf, imagesFor, type OnData, planningOptions, planOptionsOf } from "./compress-on-data.js";
import { inputOptions } from "./data-options.js";
import { precisionOptions } from "./eight-bits.js";
import type { Context } from "./frame.js";
import { lossLines } from "./loss-text.js";
import { given } from "./values.js";

/** The options of `plan` that say what to calibrate on. */
export const planOnDataOptions = {
  data: { type: "string" as const, description: `calibrate on this: ${dataHelp}`, valueHint: "DATA" },
  ...inputOptions,
  ...planningOptions,
  precision: precisionOptions.precision,
  scale: { type: "string" as const, description: "for super-resolution: 2, 3 or 4", valueHint: "S" },
  seed: { type: "string" as const, description: "draws the images", valueHint: "N" },
};

/** @throws FilterBasisError as `compress --data`; nothing is written */
export async function planOnData(
  { graph, file, inputs, options, args, lead }: Omit<OnData, "output">,
  context: Context,
) {
  const images = await imagesFor({ graph, inputs, args }, context);
  const asked = { ...planOptionsOf(options, args), ...given("lead", lead) };
  const job = calibratedJob({ graph, file }, images, asked, bestEngine(deviceOf(args)), context);
  const chosen = await choosePlan({ graph, file }, job, asked);
  const json = { file, method: "calibrated", before: job.before, ...reportOf(chosen) };
  return { json, text: show(file, json) };
}

function reportOf({ planner, plan, lost }: ChosenPlan) {
  const { chosen, times, calibration } = plan;
  const layerTimes = planner?.layerTimes(chosen) ?? [];
  const layers = chosen.map(({ layer, candidate, error, weights, macs }, i) => ({
    name: layer.name,
    filters: [layer.shape.n, layer.shape.c, ...layer.shape.kernel],
    factors: candidate.family === "dense" ? "dense" : describeChain(candidate),
    weights,
    macs,
    macsBefore: calibration.layers[i]!.choices[0]!.macs,
    error,
    ...given("sensitivity", calibration.layers[i]!.sensitivity),
    ...timesOf(layerTimes[i]),
  }));
  return {
    layers,
    ...(times ? { milliseconds: times } : {}),
    ...(lost ? { lost } : {}),
    curve: planner?.curve() ?? [],
    skipped: calibration.skipped,
  };
}

function timesOf({ original, written, precision }: Partial<LayerTime> = {}) {
  return {
    ...(original === undefined || written === undefined ? {} : { milliseconds: { original, written } }),
    /** In which it was timed faster; what is lost by it decides when the plan is carried out. */
    ...(precision === undefined ? {} : { precision }),
  };
}

function show(file: string, { layers, milliseconds, lost, curve, skipped }: ReturnType<typeof reportOf>): string {
  const free = layers.some(({ precision }) => precision !== undefined);
  const counts = layers.some(({ sensitivity }) => sensitivity !== undefined);
  const rows = layers.map((one) => [
    one.name,
    one.filters.join("x"),
    one.factors,
    grouped(one.weights),
    grouped(one.macs),
    one.error.toFixed(4),
    ...(counts ? [one.sensitivity?.toPrecision(2) ?? ""] : []),
    ...(free ? [one.precision ?? "", one.milliseconds?.written.toFixed(3) ?? ""] : []),
  ]);
  const points = curve.map(({ speedup, milliseconds: time, loss }) => [
    `${speedup.toFixed(2)} x`,
    time.toFixed(2),
    loss.toFixed(4),
  ]);
  return [
    file,
    columns([
      [
        ...["layer", "filters", "factors", "weights", "MACs", "error"],
        ...(counts ? ["counts"] : []),
        ...(free ? ["precision", "ms"] : []),
      ],
      ...rows,
    ]),
    "",
    ...skipped.map(({ name, reason }) => `skipped ${name}: ${reason}`),
    ...(milliseconds
      ? [
          `${milliseconds.original.toFixed(2)} ms -> ${milliseconds.written.toFixed(2)} ms in ONNX Runtime, predicted ${milliseconds.predicted.toFixed(2)} ms`,
        ]
      : []),
    ...(lost ? [`chosen by what ${lost.inputs} images lose:`, ...lossLines(lost)] : []),
    ...(curve.length > 0
      ? ["", "what speed costs, by the times of single layers and by what their errors do to the output:"]
      : []),
    ...(curve.length > 0 ? [columns([["speed-up", "ms", "loss"], ...points])] : []),
  ].join("\n");
}

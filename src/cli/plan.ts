// `plan`: what `compress` would do to each layer with the same options, before anything is done.
import { type PlannedModel, planModel } from "../compress/plan.js";
import { loadModel } from "../runtime/files.js";
import { checkRunnable } from "../runtime/runnable.js";
import { readLaunch } from "../torch/launcher.js";
import { calibrateTogether } from "./calibrate-together.js";
import { columns, grouped } from "./columns.js";
import { checkPatterns, compressionOptions, jobOptions } from "./compress-options.js";
import { isCalibrated, planOnDataRules } from "./compress-rules.js";
import { precisionRules } from "./eight-bits.js";
import { command, stopIfAsked } from "./frame.js";
import { modelFile } from "./model-file.js";
import { modelInputs } from "./model-inputs.js";
import { planOnData, planOnDataOptions } from "./plan-on-data.js";

export default command({
  name: "plan",
  summary: "per-layer splits, basis sizes, layout, expected rate and error, before anything is done",
  examples: ["plan model.onnx --keep-params 0.5", "plan model.onnx --data photos/ --speedup 1.5"],
  args: {
    model: { type: "positional", description: "an ONNX file or a run folder", required: true },
    ...compressionOptions,
    ...planOnDataOptions,
  },
  rules: [...planOnDataRules, ...precisionRules],
  readsOnly: true,
  async run(args, context) {
    const file = await modelFile(args.model);
    const options = jobOptions(args, context);
    if (isCalibrated(context.given)) readLaunch(process.env); // variables that are set by halves
    const graph = await loadModel(file, { note: context.note });
    await stopIfAsked(context.signal);
    checkPatterns(graph, options, context);
    const place = options.runtime === undefined ? {} : { runtime: options.runtime };
    if (options.layout === "auto") await checkRunnable(file, place);
    const inputs = await modelInputs(graph, context, place);
    if (isCalibrated(context.given)) {
      const asked = { graph, file, inputs, options, args };
      return calibrateTogether(asked, context, (own) => planOnData(own, context));
    }
    const planned = await planModel({ graph, file }, { ...options, inputs }, context);
    return { json: { file, method: args.method, ...planReport(planned) }, text: `${file}\n${showPlan(planned)}` };
  },
});

/** The plan as plain data: one entry for each layer, in the order of the graph. */
export function planReport({ plan: { groups, skipped, before, after, why }, bytes, times }: PlannedModel) {
  const layers = groups.flatMap(
    ({ group, choice, layers: members, weightsBefore, weightsAfter, macsBefore, macsAfter, error }) =>
      members.map(({ layer, splits, note, timed }) => ({
        name: layer.name,
        filters: layer.weight.dims,
        splits,
        basis: choice.basisSize,
        channels: choice.channels,
        nodes: layer.nodes.length,
        ...(group.shared ? { shared: group.name } : {}),
        /** Of the layer, or of all that share its basis. */
        weights: weightsAfter,
        weightsBefore,
        macs: macsAfter,
        macsBefore,
        rate: weightsAfter / weightsBefore,
        error,
        ...(timed
          ? { layout: timed.layout, milliseconds: { original: timed.original, expected: timed.milliseconds } }
          : {}),
        ...(note === undefined ? {} : { note }),
        ...(weightsAfter > weightsBefore ? { warning: "it grows" } : {}),
      })),
  );
  return {
    before,
    weights: after.weights,
    macs: after.macs,
    bytes,
    layers,
    skipped,
    ...(why === undefined ? {} : { why }),
    ...(times ? { milliseconds: times } : {}),
  };
}

type LayerEntry = ReturnType<typeof planReport>["layers"][number];

/** The table of layers: a column's title, and what stands in it. */
const layerColumns: Readonly<Record<string, (layer: LayerEntry) => string>> = {
  layer: ({ name }) => name,
  filters: ({ filters }) => filters.join("x"),
  splits: ({ splits }) => String(splits),
  basis: ({ basis }) => String(basis),
  shared: ({ shared = "" }) => shared,
  layout: ({ layout = "" }) => layout,
  weights: ({ weightsBefore }) => grouped(weightsBefore),
  after: ({ weights }) => grouped(weights),
  rate: ({ rate }) => percent(rate),
  error: ({ error }) => error.toFixed(3),
  ms: ({ milliseconds: ms }) => (ms ? `${ms.original.toFixed(3)} -> ${ms.expected.toFixed(3)}` : ""),
  "": ({ note, warning }) => [note, warning && `warning: ${warning}`].filter(Boolean).join("; "),
};

function showPlan(planned: PlannedModel): string {
  const { layers, skipped, before, weights, macs, bytes, why, milliseconds } = planReport(planned);
  const cells = Object.values(layerColumns);
  return [
    columns([Object.keys(layerColumns), ...layers.map((layer) => cells.map((cell) => cell(layer)))]),
    "",
    ...skipped.map(({ name, reason }) => `skipped ${name}: ${reason}`),
    `weights ${grouped(before.weights)} -> ${grouped(weights)} (${percent(weights / (before.weights || 1))})`,
    `MACs ${grouped(before.macs)} -> ${grouped(macs)} (${percent(macs / (before.macs || 1))})`,
    `bytes ${grouped(bytes.original ?? 0)} -> ${grouped(bytes.written)} (${percent(bytes.written / (bytes.original || 1))})`,
    ...(why === undefined ? [] : [`below the budget: ${why}`]),
    ...(milliseconds
      ? [`${milliseconds.original.toFixed(2)} ms -> ${milliseconds.written.toFixed(2)} ms in ONNX Runtime`]
      : []),
  ].join("\n");
}

const percent = (ratio: number): string => `${(100 * ratio).toFixed(1)}%`;

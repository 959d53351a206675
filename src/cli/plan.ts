// `plan`: what `compress` would do to each layer with the same options, before anything is done.
import { type Plan, planCompression } from "../methods/plan.js";
import { loadModel } from "../runtime/files.js";
import { columns, grouped } from "./columns.js";
import { compressionOptions, methodSplits, readPlanOptions } from "./compress-options.js";
import { command } from "./frame.js";
import { modelFile } from "./model-file.js";

export default command({
  name: "plan",
  summary: "per-layer splits, basis sizes, expected rate and error, before anything is done",
  args: { model: { type: "positional", description: "an ONNX file or a run folder", required: true }, ...compressionOptions },
  async run(args, { repeated }) {
    const file = await modelFile(args.model);
    const graph = await loadModel(file);
    const plan = planCompression(graph, { ...readPlanOptions(graph, args, repeated), ...methodSplits(args) });
    return { json: { file, method: args.method, ...planReport(plan) }, text: `${file}\n${showPlan(plan)}` };
  },
});

/** The plan as plain data: one entry for each layer, in the order of the graph. */
export function planReport({ units, refused, before, after }: Plan) {
  const layers = units.flatMap(({ unit, choice, layers: members, weightsBefore, weightsAfter, macsBefore, macsAfter, error }) =>
    members.map(({ layer, splits, note }) => ({
      name: layer.name,
      filters: layer.weight.dims,
      splits,
      basis: choice.basisSize,
      channels: choice.channels,
      nodes: layer.nodes.length,
      ...(unit.shared ? { shared: unit.name } : {}),
      /** Of the layer, or of all that share its basis. */
      weights: weightsAfter,
      weightsBefore,
      macs: macsAfter,
      macsBefore,
      rate: weightsAfter / weightsBefore,
      error,
      ...(note === undefined ? {} : { note }),
      ...(weightsAfter > weightsBefore ? { warning: "it grows" } : {}),
    })),
  );
  return { before, weights: after.weights, macs: after.macs, layers, refused };
}

function showPlan(plan: Plan): string {
  const { layers, refused, before, weights, macs } = planReport(plan);
  const rows = layers.map(
    ({ name, filters, splits, basis, shared, weightsBefore, weights: after, rate, error, note, warning }) => [
      name,
      filters.join("x"),
      String(splits),
      String(basis),
      shared ?? "",
      grouped(weightsBefore),
      grouped(after),
      percent(rate),
      error.toFixed(3),
      [note, warning && `warning: ${warning}`].filter(Boolean).join("; "),
    ],
  );
  return [
    columns([["layer", "filters", "splits", "basis", "shared", "weights", "after", "rate", "error", ""], ...rows]),
    "",
    ...refused.map(({ name, because }) => `left ${name}: ${because}`),
    `weights ${grouped(before.weights)} -> ${grouped(weights)} (${percent(weights / before.weights)})`,
    `MACs ${grouped(before.macs)} -> ${grouped(macs)} (${percent(macs / before.macs)})`,
  ].join("\n");
}

const percent = (ratio: number): string => `${(100 * ratio).toFixed(1)}%`;

// The report's milliseconds: each compressed layer in its fastest layout beside dense, and the whole models, timed in
// ONNX Runtime.
import { fastestLayouts } from "../compress/fastest-layouts.js";
import { timeNetworks } from "../compress/time.js";
import { foldBatchNorm } from "../passes/fold-batch-norm.js";
import type { RunReport } from "../report/page.js";
import type { Context } from "./frame.js";
import { modelInputs } from "./model-inputs.js";
import type { RunModels } from "./report-run.js";

/** The report with measured times, at a batch of one; as it was where there is nothing compressed to time. */
export async function withTimes(
  report: RunReport,
  { original, last }: RunModels,
  context: Context,
  limits: { readonly threads?: number } = {},
): Promise<RunReport> {
  if (!original || !last || report.layers.length === 0) return report;
  const inputs = await modelInputs(original, context);
  const choice = await fastestLayouts(foldBatchNorm(last).graph, { ...limits, inputs }, context);
  const timings = new Map(choice.layers.map((timing) => [timing.name, timing]));
  const layers = report.layers.map((row) => {
    const timing = timings.get(row.name);
    const [before, now] = [timing?.milliseconds.dense, timing?.milliseconds[timing.chosen]];
    return before === undefined || now === undefined
      ? row
      : { ...row, layout: timing!.chosen, latencyBeforeMs: before, latencyMs: now };
  });
  const place = { ...limits, inputs };
  const times = await timeNetworks(foldBatchNorm(original).graph, choice.graph, place, context);
  const [before, now] = [times.original, times.written];
  const at = [...inputs.shapes].map(([name, dims]) => `${name} ${dims.join("x")}`).join(", ");
  const latency: Readonly<Record<string, number>> = { before, compressed: now, trained: now };
  const states = report.states.map(({ name, metrics }) => ({
    name,
    // A metric that the run stated itself stands; compressed and trained are one architecture and take the same time.
    metrics: { ...(latency[name] === undefined ? {} : { latencyMs: latency[name] }), ...metrics },
  }));
  return {
    ...report,
    layers,
    states,
    about: [
      ...report.about,
      `milliseconds were measured when this page was written: for the same input (${at}), each layer in its fastest layout`,
    ],
  };
}

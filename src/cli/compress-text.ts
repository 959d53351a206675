// How `compress` tells counts and times, whatever it did.
import type { Times } from "../compress/time.js";
import type { Cost } from "../ops/cost/cost.js";
import { grouped } from "./columns.js";

export const withBytes = ({ weights, parameters, macs, bytes }: Cost, file = bytes) => ({
  weights,
  parameters,
  macs,
  bytes: file,
});
export type Totals = ReturnType<typeof withBytes>;

export const timesText = ({ original, written, ratio, interval: [low, high], verdict }: Times): string =>
  `${original.toFixed(2)} ms -> ${written.toFixed(2)} ms in ONNX Runtime, original and written file in turns: ` +
  `${ratio.toFixed(2)} x (${low.toFixed(2)} to ${high.toFixed(2)}), ${verdict === "within noise" ? "no difference beyond noise" : verdict}`;

export function changesText(before: Totals, after: Totals): string {
  const change = (key: keyof Totals, label: string) =>
    `${label} ${grouped(before[key])} -> ${grouped(after[key])} (${((100 * after[key]) / (before[key] || 1)).toFixed(1)}%)`;
  return [change("weights", "weights"), change("macs", "MACs"), change("bytes", "bytes")].join(", ");
}

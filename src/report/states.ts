// Counts, times and quality of a model before and after, as a table of a page.
import { escapeHtml, thousands } from "./html.js";
import { metricRows, printMetric, qualityMetrics } from "./metrics.js";
import { short } from "./plots.js";

/** Metrics of one state of the model, as `evaluate` names them. */
export type StateMetrics = Readonly<Record<string, number | undefined>>;

export interface State {
  readonly name: string;
  readonly metrics: StateMetrics;
}

/** Metrics in the order people look for them, with unit and digits; those that no state has are left out. */
const figureRows: readonly {
  readonly key: string;
  readonly label: string;
  readonly print: (value: number) => string;
}[] = [
  ...qualityMetrics.map((key) => ({
    key,
    label: metricRows[key].label,
    print: (value: number) => printMetric(key, value),
  })),
  { key: "weights", label: "weights", print: thousands },
  { key: "parameters", label: "parameters", print: thousands },
  { key: "macs", label: "MACs", print: (value) => `${short(value / 1e6)} M` },
  { key: "bytes", label: "file", print: (value) => `${(value / 1000).toFixed(0)} kB` },
  { key: "int8Layers", label: "layers in eight bits", print: thousands },
  { key: "latencyMs", label: "latency", print: (value) => `${value.toFixed(2)} ms` },
];

/** Counts, times and quality of each state, side by side. */
export function statesTable(states: readonly State[]): string {
  const rows = figureRows.filter(({ key }) => states.some(({ metrics }) => metrics[key] !== undefined));
  if (rows.length === 0) return "";
  const head = `<tr><th></th>${states.map(({ name }) => `<th>${escapeHtml(name)}</th>`).join("")}</tr>`;
  const shares = new Set(["weights", "parameters", "macs", "bytes", "latencyMs"]);
  const body = rows.map(({ key, label, print }) => {
    const first = states[0]?.metrics[key];
    const cells = states.map(({ metrics }, index) => {
      const value = metrics[key];
      if (value === undefined) return "<td>–</td>";
      const share =
        shares.has(key) && index > 0 && first ? ` <small>${((100 * value) / first).toFixed(0)} %</small>` : "";
      return `<td>${print(value)}${share}</td>`;
    });
    return `<tr><th>${label}</th>${cells.join("")}</tr>`;
  });
  return `<div class="scroll"><table id="states"><thead>${head}</thead><tbody>${body.join("")}</tbody></table></div>`;
}

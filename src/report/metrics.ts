// What a metric of quality is called and how it is printed, one row a metric: for tables, plots, pages and the command
// line. What measures it is in `evaluate`.

interface MetricRow {
  readonly label: string;
  readonly unit?: "%" | "dB";
  readonly digits: number;
}

/** In the order people look for them. */
export const metricRows = {
  top1Error: { label: "top-1 error", unit: "%", digits: 2 },
  psnr: { label: "PSNR", unit: "dB", digits: 2 },
  ssim: { label: "SSIM", digits: 4 },
} as const satisfies Readonly<Record<string, MetricRow>>;

export type QualityMetric = keyof typeof metricRows;
export const qualityMetrics = Object.keys(metricRows) as readonly QualityMetric[];

const rowOf = (name: string): MetricRow =>
  Object.hasOwn(metricRows, name) ? metricRows[name as QualityMetric] : { label: name, digits: 2 };

/** "PSNR, dB"; the name itself of a metric that is not known here. */
export function metricTitle(name: string): string {
  const { label, unit } = rowOf(name);
  return unit === undefined ? label : `${label}, ${unit}`;
}

/** With the digits that mean something. */
export const metricDigits = (name: string, value: number): string => value.toFixed(rowOf(name).digits);

/** "31.25 dB" */
export function printMetric(name: string, value: number): string {
  const { unit } = rowOf(name);
  return unit === undefined ? metricDigits(name, value) : `${metricDigits(name, value)} ${unit}`;
}

// The report's charts: Observable Plot on whatever document is handed in, as SVG text that needs no script.
import * as Plot from "@observablehq/plot";
import { thin } from "./run.js";

export interface Series {
  readonly name: string;
  readonly points: readonly { readonly x: number; readonly y: number }[];
  /** Drawn as dots too: few points that each mean something. */
  readonly dots?: boolean;
  /** False: the points are not joined. */
  readonly line?: boolean;
  /** The colour's number, from 1; by default the place among the series that are drawn. */
  readonly color?: number;
}

export interface ChartOptions {
  readonly id: string;
  readonly title: string;
  readonly x: string;
  readonly y: string;
  readonly log?: boolean;
  readonly series: readonly Series[];
}

/** Wide for screens and paper, narrow for phones: letters stay the size they are read at. */
const widths = { wide: 800, narrow: 350 } as const;
const mostPoints = 500;

/**
 * A chart with its title and legend, in both widths. Colours are the page's variables, so that dark mode reaches them.
 */
export function chart({ id, title, x, y, log = false, series }: ChartOptions, document: Document): string {
  const drawn = series
    .map((one) => ({ ...one, points: thin(finite(one.points, log), mostPoints) }))
    .filter(({ points }) => points.length > 0);
  if (drawn.length === 0) return "";
  // One series needs no legend: the title says what it is.
  const legend = (drawn.length > 1 ? drawn : [])
    .map(
      ({ name, color }, index) => `<span><i style="background:var(--series-${color ?? index + 1})"></i>${name}</span>`,
    )
    .join(" ");
  const [xs, ys] = [
    drawn.flatMap(({ points }) => points.map((point) => point.x)),
    drawn.flatMap(({ points }) => points.map((point) => point.y)),
  ];
  const figures = Object.entries(widths).map(([size, width]) => {
    const svg = Plot.plot({
      document,
      width,
      height: width === widths.wide ? 260 : 220,
      marginTop: 26,
      marginLeft: 52,
      marginBottom: 38,
      ariaLabel: title,
      style: { background: "none", fontSize: "12px" },
      x: { label: x, grid: false, ...ticksOfX(xs, width === widths.wide ? 8 : 4) },
      y: {
        label: y,
        type: log ? "log" : "linear",
        grid: true,
        nice: true,
        tickFormat: tick,
        ...(log ? { ticks: 5 } : {}),
        ...(extent(ys) === 0
          ? { ticks: ys.slice(0, 1), tickFormat: (value: number) => tick(Number(value.toPrecision(4))) }
          : {}),
      },
      marks: drawn.flatMap(marksOf),
    });
    return `<div class="${size}">${svg.outerHTML}</div>`;
  });
  return `<figure id="${id}"><figcaption><b>${title}</b> ${legend}</figcaption>${figures.join("")}</figure>`;
}

/** A line, and dots where each point means something. */
function marksOf({ name, points, dots, line: drawn = true, color: own }: Series, index: number): Plot.Markish[] {
  const color = `var(--series-${own ?? index + 1})`;
  const channels = { x: "x", y: "y", ariaLabel: () => name } as const;
  const stroke = { stroke: color, strokeWidth: 1.6, className: "line" };
  const line = drawn ? [Plot.line(points, { ...channels, ...stroke })] : [];
  if (!dots && points.length !== 1) return line;
  const title = ({ x: at, y: value }: Series["points"][number]) => `${name}: ${short(value)} at ${short(at)}`;
  return [...line, Plot.dot(points, { ...channels, fill: color, r: 3, title })];
}

const finite = (points: Series["points"], log: boolean): Series["points"] =>
  points.filter(({ x, y }) => Number.isFinite(x) && Number.isFinite(y) && (!log || y > 0));

const extent = (values: readonly number[]): number =>
  values.reduce((a, b) => Math.max(a, b), Number.NEGATIVE_INFINITY) -
  values.reduce((a, b) => Math.min(a, b), Number.POSITIVE_INFINITY);

/** Steps and epochs are whole: few of them get a tick each, none between. */
function ticksOfX(
  values: readonly number[],
  most: number,
): { readonly ticks: number | number[]; readonly tickFormat?: (value: number) => string } {
  const whole = [...new Set(values)].filter(Number.isInteger).sort((a, b) => a - b);
  return whole.length === new Set(values).size && whole.length <= most
    ? { ticks: whole, tickFormat: String }
    : { ticks: most };
}

/** What stands at a tick: short enough for the margin. */
export function tick(value: number): string {
  const size = Math.abs(value);
  return size > 0 && (size < 1e-3 || size >= 1e6)
    ? Number(value.toPrecision(3)).toExponential()
    : String(Number(value.toPrecision(6)));
}

/** A number in as many digits as one reads. */
export function short(value: number): string {
  if (Number.isInteger(value) && Math.abs(value) < 1e6) return String(value);
  return Math.abs(value) >= 1e6 || Math.abs(value) < 1e-3
    ? value.toExponential(2)
    : String(Number(value.toPrecision(4)));
}

// A small version of the paper's Figure 5: error against multiply-accumulates, methods at several budgets each, as
// `compare --methods` made them. The plot is an SVG file that needs nothing else.
import * as Plot from "@observablehq/plot";
import type { SmallRow, SmallTable } from "./small-table.js";

/** A method at one budget. */
export interface SmallPoint extends SmallRow {
  /** What fraction was to be kept. */
  readonly budget: number;
}

export interface SmallFigure extends Pick<SmallTable, "title" | "note" | "conditions" | "original"> {
  /** The figure of the paper. */
  readonly figure: number;
  /** By method, the largest budget first. */
  readonly points: readonly SmallPoint[];
}

/** Multiply-accumulates as the method's paper counts them, in percent of the original's. */
const macsShare = ({ macs, paperMacs = macs }: SmallPoint, { original }: SmallFigure): number | undefined =>
  paperMacs === undefined ? undefined : (100 * paperMacs) / original.macs;

/** The points as a table, with its head; an empty cell is a dash. */
export function smallFigureCells(figure: SmallFigure): readonly (readonly string[])[] {
  const { original, points } = figure;
  const percent = (value: number | undefined, digits: number): string =>
    value === undefined ? "-" : `${value.toFixed(digits)} %`;
  const share = (value: number | undefined, all: number) => (value === undefined ? undefined : (100 * value) / all);
  return [
    ["method", "budget", "MACs", "executed", "weights", "compressed", "calibrated", "fine-tuned", ""],
    ["original", "", "100 %", "100 %", "100 %", "", "", percent(original.top1Error, 2), ""],
    ...points.map((point) => [
      ...[point.method, percent(100 * point.budget, 0), percent(macsShare(point, figure), 1)],
      ...[percent(share(point.macs, original.macs), 1), percent(share(point.weights, original.weights), 1)],
      ...[point.compressed, point.calibrated, point.tuned].map((error) => percent(error, 2)),
      point.reason ?? "",
    ]),
  ];
}

const colors = ["#0a66c2", "#c2410c", "#15803d", "#7e3fb5"];
const ink = "#1b1f24";

/**
 * The fine-tuned points, a line for each method at the multiply-accumulates that its paper counts, and a dashed one
 * with rings where others are executed; the original's error across. `document` is any DOM that can make SVG elements;
 * it is only used to draw.
 */
export function smallFigureSvg(figure: SmallFigure, document: Document): string {
  const methods = [...new Set(figure.points.map(({ method }) => method))];
  const marks = methods.flatMap((method, i) => {
    const color = colors[i % colors.length]!;
    const own = figure.points.filter((point) => point.method === method);
    const counted = drawn(own, (point) => macsShare(point, figure));
    const executed = own.some(({ paperMacs }) => paperMacs !== undefined)
      ? drawn(own, ({ macs }) => (macs === undefined ? undefined : (100 * macs) / figure.original.macs))
      : [];
    const place = { x: "x", y: "y" } as const;
    const named = { ...place, textAnchor: "start", dx: 9, fill: color } as const;
    return [
      Plot.line(counted, { ...place, stroke: color, strokeWidth: 1.8 }),
      Plot.dot(counted, { ...place, fill: color, r: 4 }),
      Plot.text(counted.slice(-1), { ...named, text: () => method }),
      Plot.line(executed, { ...place, stroke: color, strokeDasharray: "2 4" }),
      Plot.dot(executed, { ...place, stroke: color, fill: "#fff", r: 4 }),
      Plot.text(executed.slice(-1), { ...named, text: () => `${method}, executed` }),
    ];
  });
  const { top1Error } = figure.original;
  const level = { y: top1Error, name: `original ${top1Error.toFixed(2)} %` };
  const svg = Plot.plot({
    ...{ document, width: 720, height: 400, marginLeft: 56, marginRight: 96, marginBottom: 44, marginTop: 30 },
    ariaLabel: figure.title,
    style: { background: "#fff", color: ink, fontFamily: "sans-serif", fontSize: "13px" },
    x: {
      label: "MACs as the method’s paper counts them (rings: as executed), % of the original’s",
      ticks: 8,
      inset: 14,
    },
    y: { label: "top-1 error after fine-tuning, %", grid: true, nice: true, ticks: 7 },
    marks: [
      Plot.ruleY([level], { y: "y", stroke: ink, strokeDasharray: "4 3" }),
      Plot.text([level], { y: "y", text: "name", frameAnchor: "right", textAnchor: "end", dx: -4, dy: 11, fill: ink }),
      ...marks,
    ],
  });
  // not every DOM writes the namespace, without which a file of its own is not drawn
  return svg.outerHTML.replace(/^<svg (?![^>]*xmlns=)/, '<svg xmlns="http://www.w3.org/2000/svg" ');
}

/** The points that have both, from left to right. */
function drawn(points: readonly SmallPoint[], at: (point: SmallPoint) => number | undefined) {
  const both = points.flatMap((point) => {
    const [x, y] = [at(point), point.tuned];
    return x === undefined || y === undefined ? [] : [{ x, y }];
  });
  return both.sort((one, other) => one.x - other.x);
}

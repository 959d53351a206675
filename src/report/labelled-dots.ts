// A plot of points that each have a name beside them: methods by what they cost and how good they are. Names that would
// lie over each other move apart, and a thin line leads from each dot to its name.
import * as Plot from "@observablehq/plot";
import { tick } from "./plots.js";

export interface NamedPoint {
  readonly name: string;
  readonly x: number;
  readonly y: number;
  /** Drawn as a ring: not to be compared with the others without a thought. */
  readonly ring?: boolean;
}

export interface DotsOptions {
  readonly id: string;
  readonly title: string;
  readonly x: string;
  readonly y: string;
  readonly points: readonly NamedPoint[];
  /** What a ring says, for the legend. */
  readonly rings?: string;
  /** A level to compare with, drawn across. */
  readonly level?: { readonly name: string; readonly y: number };
}

/** Of a picture and of a letter in it, in pixels. */
interface Size {
  readonly width: number;
  readonly height: number;
  readonly letter: number;
  readonly line: number;
}

const sizes: Readonly<Record<"wide" | "narrow", Size>> = {
  wide: { width: 800, height: 440, letter: 6.8, line: 15 },
  narrow: { width: 350, height: 400, letter: 5.6, line: 13 },
};
const [top, bottom, left] = [26, 38, 52];
/** From a dot to where its line ends, and to its name. */
const [lineEnd, beside] = [20, 23];

/** Names stay readable where a line crosses them. */
const halo = { stroke: "var(--paper)", strokeWidth: 4 } as const;
/** Beyond this ratio of the largest value to the smallest the axis is logarithmic. */
const wide = 4;
const same = (value: number): number => value;
const fill = ({ ring }: NamedPoint): string => (ring ? "var(--paper)" : "var(--series-1)");

/** The plot in both widths, as `chart` draws; nothing without points. */
export function namedDots({ id, title, points, rings, ...rest }: DotsOptions, document: Document): string {
  if (points.length === 0) return "";
  const legend = rings !== undefined && points.some(({ ring }) => ring) ? ` <span>○ ${rings}</span>` : "";
  const figures = Object.entries(sizes).map(
    ([name, size]) => `<div class="${name}">${drawn({ title, points, ...rest }, size, document)}</div>`,
  );
  return `<figure id="${id}"><figcaption><b>${title}</b>${legend}</figcaption>${figures.join("")}</figure>`;
}

function drawn(
  { title, points, x, y, level }: Omit<DotsOptions, "id" | "rings">,
  size: Size,
  document: Document,
): string {
  const { width, height, line } = size;
  const right = Math.ceil(points.reduce((most, { name }) => Math.max(most, name.length), 0) * size.letter) + beside;
  const domainX = padded(points.map((point) => point.x));
  const values = [...points.map((point) => point.y), ...(level ? [level.y] : [])];
  const log = Math.min(...values) > 0 && Math.max(...values) > wide * Math.min(...values);
  const [to, from] = log ? [Math.log, Math.exp] : [same, same];
  const domainY = padded(values.map(to));
  const [across, down] = [scale(domainX, [left, width - right]), scale(domainY, [height - bottom, top])];
  const places = apart(
    points.map((point) => ({
      x: across(point.x),
      y: down(to(point.y)),
      width: beside + point.name.length * size.letter,
    })),
    { line, top, bottom: height - bottom },
  );
  const [backX, backY] = [scale([left, width - right], domainX), scale([height - bottom, top], domainY)];
  const marks = points.map((point, i) => ({
    ...point,
    end: backX(across(point.x) + lineEnd),
    at: backX(across(point.x) + beside),
    beside: from(backY(places[i]!)),
  }));
  const svg = Plot.plot({
    ...{ document, width, height, marginTop: top, marginLeft: left, marginBottom: bottom, marginRight: right },
    ariaLabel: title,
    style: { background: "none", fontSize: `${line - 3}px`, overflow: "visible" },
    x: { label: x, domain: domainX, ticks: width < 500 ? 3 : 6, tickFormat: tick },
    y: {
      label: log ? `${y} (logarithmic)` : y,
      ...{ type: log ? "log" : "linear", domain: domainY.map(from), grid: true, ticks: 6, tickFormat: tick },
    },
    marks: [
      ...(level ? levelMarks(level) : []),
      Plot.link(marks, { x1: "x", y1: "y", x2: "end", y2: "beside", stroke: "var(--soft)", strokeWidth: 0.7 }),
      Plot.dot(marks, { x: "x", y: "y", r: 3.5, fill, stroke: "var(--series-1)", title: "name" }),
      Plot.text(marks, { x: "at", y: "beside", text: "name", textAnchor: "start", fill: "var(--ink)", ...halo }),
    ],
  });
  return svg.outerHTML;
}

function levelMarks(level: NonNullable<DotsOptions["level"]>): Plot.Markish[] {
  const color = "var(--series-3)";
  const text = { text: "name", y: "y", frameAnchor: "left", textAnchor: "start", dx: 4, dy: -8, fill: color } as const;
  return [Plot.ruleY([level.y], { stroke: color, strokeDasharray: "4 3" }), Plot.text([level], text)];
}

type Range = readonly [number, number];

/** Linear, from one range to another. */
const scale =
  ([a, b]: Range, [c, d]: Range) =>
  (value: number): number =>
    c + ((value - a) / (b - a)) * (d - c);

/** What the values span and a little more; around a single value a tenth of it. */
function padded(values: readonly number[]): Range {
  const [low, high] = [Math.min(...values), Math.max(...values)];
  const more = high > low ? 0.06 * (high - low) : 0.1 * Math.abs(high) || 1;
  return [low - more, high + more];
}

interface Label {
  readonly x: number;
  readonly y: number;
  readonly width: number;
}

/** The heights of names, moved apart where they would lie over each other, in the order of their dots. */
function apart(
  labels: readonly Label[],
  frame: { readonly line: number; readonly top: number; readonly bottom: number },
): readonly number[] {
  const { line } = frame;
  const heights = labels.map(({ y }) => y);
  const order = [...labels.keys()].sort((a, b) => labels[a]!.y - labels[b]!.y);
  const over = (a: Label, b: Label) => a.x < b.x + b.width && b.x < a.x + a.width;
  for (let turn = 0; turn < 300; turn++)
    for (const [place, i] of order.entries())
      for (const j of order.slice(place + 1)) {
        const missing = line - (heights[j]! - heights[i]!);
        if (missing <= 0 || !over(labels[i]!, labels[j]!)) continue;
        heights[i] = Math.max(frame.top, heights[i]! - missing / 2);
        heights[j] = Math.min(frame.bottom, heights[j]! + missing / 2);
      }
  return heights;
}

// A compression as one self-contained HTML page: before and after, what is lost, what speed costs, layer by layer what
// was done, and pictures that both networks make.
import { escapeHtml, htmlPage, section, table, thousands } from "./html.js";
import { chart, short } from "./plots.js";
import { type State, statesTable } from "./states.js";

export interface CompressionReport {
  readonly title: string;
  /** A line or two under the title: what was calibrated on, where times were taken. */
  readonly about: readonly string[];
  /** The original and the compressed network. */
  readonly states: readonly State[];
  /** What was lost, in a sentence, and output by output. */
  readonly lost?: { readonly text: string; readonly outputs: readonly OutputRow[] };
  readonly curve?: Curve;
  readonly layers: readonly CompressedLayerRow[];
  readonly skipped: readonly { readonly name: string; readonly reason: string }[];
  /** Where layers compute in eight bits: which ones, and the reason of each that does not. */
  readonly precision?: { readonly int8: readonly string[]; readonly float: CompressionReport["skipped"] };
  /** Of each input what goes in, what both networks make, and the truth where there is one; images as data URLs. */
  readonly pictures: readonly Picture[];
}

export interface OutputRow {
  readonly output: string;
  readonly loss: string;
  readonly relative: number | null;
  readonly correlation: number | null;
  /** IoU, classes that agree, PSNR: whichever the output has, in words. */
  readonly more: string;
}

/** What speed costs: milliseconds of the network against the loss summed over layers, and against what was measured. */
export interface Curve {
  readonly predicted: readonly CurvePoint[];
  readonly measured: readonly MeasuredPoint[];
  readonly chosen?: MeasuredPoint;
  /** What the measured loss is. */
  readonly lossName: string;
}

export interface CurvePoint {
  readonly milliseconds: number;
  readonly loss: number;
}

export interface MeasuredPoint extends CurvePoint {
  /** Of the task, on images held out. */
  readonly measured: number;
}

export interface CompressedLayerRow {
  readonly name: string;
  readonly filters: readonly number[];
  /** What the layer became. */
  readonly factors: string;
  readonly weights?: number;
  readonly macs?: number;
  /** The share of its output's energy that it loses. */
  readonly error?: number;
  /** Whether the refit was kept. */
  readonly refit?: string | undefined;
  readonly milliseconds?: { readonly original: number; readonly written: number } | undefined;
}

export interface Picture {
  readonly caption: string;
  readonly panels: readonly { readonly label: string; readonly url: string }[];
}

/** The page as HTML. `document` is any DOM that can make SVG elements; it is only used to draw. */
export function compressionPage(report: CompressionReport, document: Document): string {
  const { title, about, states, lost, curve, layers, skipped, precision, pictures } = report;
  return htmlPage(title, [
    `<h1>${escapeHtml(title)}</h1>`,
    ...about.map((line) => `<p class="soft">${escapeHtml(line)}</p>`),
    section("Before and after", statesTable(states)),
    section("What was lost", lost === undefined ? "" : lostTable(lost)),
    section("What speed costs", curve === undefined ? "" : curves(curve, document)),
    section("Pictures", pictures.map(pictureFigure).join("\n")),
    section("Layers", layers.length > 0 ? compressedLayersTable(layers) : ""),
    section("Precision", precision === undefined ? "" : precisionList(precision)),
    section("Skipped", skippedList(skipped)),
  ]);
}

function lostTable({ text, outputs }: NonNullable<CompressionReport["lost"]>): string {
  const rows = outputs.map(({ output, loss, relative, correlation, more }) => [
    escapeHtml(output),
    escapeHtml(loss),
    relative === null ? "–" : short(relative),
    correlation === null ? "–" : correlation.toFixed(4),
    escapeHtml(more),
  ]);
  return `<p>${escapeHtml(text)}</p>\n${table("outputs", ["output", "loss", "relative error", "correlation", ""], rows)}`;
}

function curves({ predicted, measured, chosen, lossName }: Curve, document: Document): string {
  const points = (of: (point: MeasuredPoint) => number, some: readonly MeasuredPoint[]) =>
    some.map((point) => ({ x: point.milliseconds, y: of(point) }));
  const marked = (of: (point: MeasuredPoint) => number) => [
    ...(measured.length > 0
      ? [{ name: "measured", color: 2, dots: true, line: false, points: points(of, measured) }]
      : []),
    ...(chosen ? [{ name: "chosen", color: 3, dots: true, line: false, points: points(of, [chosen]) }] : []),
  ];
  const line = predicted.map(({ milliseconds, loss }) => ({ x: milliseconds, y: loss }));
  return [
    [
      `<p class="soft">The curve is made of the times of single layers and of the share e of its output’s energy`,
      `that each loses: −log(1 − e), as often as the layer’s error counts at the network’s output, summed.`,
      `Dots are whole networks that were timed.</p>`,
    ].join(" "),
    chart(
      {
        ...{ id: "curve", title: "Milliseconds and the loss of the layers", x: "milliseconds", y: "loss of layers" },
        series: [{ name: "predicted", points: line }, ...marked(({ loss }) => loss)],
      },
      document,
    ),
    chart(
      {
        ...{
          id: "measured",
          title: "Milliseconds and the loss on images held out",
          x: "milliseconds",
          y: escapeHtml(lossName),
        },
        series: marked(({ measured: own }) => own),
      },
      document,
    ),
  ].join("\n");
}

export function compressedLayersTable(layers: readonly CompressedLayerRow[]): string {
  const cell = (value: number | undefined, print: (value: number) => string) =>
    value === undefined ? "–" : print(value);
  const timed = layers.some(({ milliseconds }) => milliseconds !== undefined);
  const rows = layers.map(({ name, filters, factors, weights, macs, error, refit = "", milliseconds }) => [
    escapeHtml(name),
    filters.join(" × "),
    escapeHtml(factors),
    cell(weights, thousands),
    cell(macs, (value) => `${short(value / 1e6)} M`),
    cell(error, (value) => value.toFixed(4)),
    escapeHtml(refit),
    ...(timed
      ? [
          cell(milliseconds?.original, (value) => value.toFixed(3)),
          cell(milliseconds?.written, (value) => value.toFixed(3)),
        ]
      : []),
  ]);
  const head = [
    "layer",
    "filters",
    "became",
    "weights",
    "MACs",
    "loss",
    "refit",
    ...(timed ? ["ms<br>before", "ms<br>now"] : []),
  ];
  return `<p class="soft">Filters: n × c × h × w. Loss: the share of the layer’s output energy that its factors lose on the calibration images, before the refit.</p>
${table("layers", head, rows)}`;
}

function skippedList(skipped: CompressionReport["skipped"]): string {
  if (skipped.length === 0) return "";
  const items = skipped.map(({ name, reason }) => `<li>${escapeHtml(name)}: ${escapeHtml(reason)}</li>`);
  return `<details><summary>layers that calibration does not know: ${skipped.length}</summary><ul>${items.join("")}</ul></details>`;
}

function precisionList({ int8, float }: NonNullable<CompressionReport["precision"]>): string {
  const items = float.map(({ name, reason }) => `<li>${escapeHtml(name)}: ${escapeHtml(reason)}</li>`);
  const others = `<details><summary>layers in floats: ${float.length}</summary><ul>${items.join("")}</ul></details>`;
  return `<p>Layers in eight bits: ${int8.length}; a layer that was replaced by factors is several.</p>${float.length === 0 ? "" : others}`;
}

function pictureFigure({ caption, panels }: Picture): string {
  const parts = panels.map(
    ({ label, url }) =>
      `<div><img src="${url}" alt="${escapeHtml(`${caption}, ${label}`)}"><small>${escapeHtml(label)}</small></div>`,
  );
  return `<figure><figcaption>${escapeHtml(caption)}</figcaption><div class="pieces side">${parts.join("\n")}</div></figure>`;
}

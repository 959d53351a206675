// A run as one self-contained HTML page: no script, no file beside it, nothing fetched.

import { type CompressedLayerRow, compressedLayersTable } from "./compression.js";
import { escapeHtml, htmlPage, section } from "./html.js";
import type { LayerRow } from "./layers.js";
import { metricTitle } from "./metrics.js";
import { chart, type Series } from "./plots.js";
import type { Metrics } from "./run.js";
import { type StateMetrics, statesTable } from "./states.js";

export interface RunReport {
  readonly title: string;
  /** A line or two under the title: state, machine, versions, seed. */
  readonly about: readonly string[];
  readonly metrics: Metrics;
  /** Before, compressed, trained: whichever there are, in this order. */
  readonly states: readonly { readonly name: string; readonly metrics: StateMetrics }[];
  readonly layers: readonly LayerRow[];
  /** Layers that are chains of convolutions. */
  readonly chains?: readonly CompressedLayerRow[];
  /** Super-resolved pieces of pictures. */
  readonly crops?: readonly Crops[];
  /** Images that lay in the folder, as data URLs. */
  readonly pictures: readonly { readonly caption: string; readonly url: string }[];
  /** The resolved recipe, printed as it is. */
  readonly recipe: string;
}

/** A picture, and the same piece of it as each network makes it; pictures are data URLs. */
export interface Crops {
  readonly picture: string;
  readonly whole: string;
  /** Where the piece lies, in percent of the whole. */
  readonly piece: { readonly left: number; readonly top: number; readonly width: number; readonly height: number };
  /** PSNR is of the whole picture, in dB. */
  readonly panels: readonly { readonly label: string; readonly url: string; readonly psnr?: number }[];
}

/** The page as HTML. `document` is any DOM that can make SVG elements; it is only used to draw. */
export function reportPage(report: RunReport, document: Document): string {
  const { title, about, layers } = report;
  const body = [
    `<h1>${escapeHtml(title)}</h1>`,
    ...about.map((line) => `<p class="soft">${escapeHtml(line)}</p>`),
    section("Before and after", statesTable(report.states)),
    section("FineTuning", curves(report.metrics, document)),
    section("Super-resolved", cropsFigures(report.crops ?? [])),
    section("Layers", layers.length > 0 ? layersTable(layers) : ""),
    section("Chains", report.chains?.length ? compressedLayersTable(report.chains) : ""),
    section("Filters", filterImages(layers)),
    section(
      "Images",
      report.pictures
        .map(
          ({ caption, url }) =>
            `<figure class="crops"><figcaption>${escapeHtml(caption)}</figcaption><img src="${url}" alt="${escapeHtml(caption)}"></figure>`,
        )
        .join(""),
    ),
    section(
      "Recipe",
      report.recipe &&
        `<details><summary>everything this run was told</summary><pre>${escapeHtml(report.recipe)}</pre></details>`,
    ),
  ];
  return htmlPage(title, body);
}

/** A number of every step that has it. */
function along(steps: Metrics["steps"], key: keyof Metrics["steps"][number]): Series["points"] {
  return steps.flatMap((step) => {
    const y = step[key];
    return y === undefined ? [] : [{ x: step.step, y }];
  });
}

/** The loss and its parts over the steps; over the epochs where a run states no more. */
function losses({ steps, epochs }: Metrics): readonly Series[] {
  const parts: Series[] = [
    { name: "task", points: along(steps, "task") },
    { name: "approximation", points: along(steps, "approximation") },
    { name: "distillation", points: along(steps, "distillation") },
  ].filter(({ points }) => points.some(({ y }) => y !== 0));
  const whole: Series = { name: "loss", points: along(steps, "loss") };
  // The parts are worth a line each where there is more than one of them.
  if (steps.length > 0) return [whole, ...(parts.length > 1 ? parts : [])];
  const points = epochs.flatMap(({ epoch, trainLoss }) =>
    trainLoss === undefined ? [] : [{ x: epoch, y: trainLoss }],
  );
  return [{ name: "loss", dots: true, points }];
}

function curves({ steps, epochs }: Metrics, document: Document): string {
  const series = losses({ steps, epochs });
  const values = series.flatMap(({ points }) => points.map(({ y }) => y)).filter((y) => y > 0);
  const log = values.length > 1 && smallest(values) * 20 < largest(values);
  const metrics = [...new Set(epochs.flatMap((epoch) => Object.keys(epoch.metrics)))].filter(
    (name) => name !== "bicubicPsnr",
  );
  return [
    chart(
      {
        id: "loss",
        title: log ? "Loss (logarithmic)" : "Loss",
        x: steps.length > 0 ? "step" : "epoch",
        y: "loss",
        log,
        series,
      },
      document,
    ),
    ...metrics.map((name) => {
      const points = (key: string) =>
        epochs.flatMap(({ epoch, metrics: all }) => (all[key] === undefined ? [] : [{ x: epoch, y: all[key] }]));
      const bicubic = name === "psnr" ? points("bicubicPsnr") : [];
      const label = escapeHtml(metricTitle(name));
      return chart(
        {
          id: `figure-${escapeHtml(name)}`,
          title: `${label} on the test data`,
          x: "epoch",
          y: label,
          series: [
            { name: label, points: points(name), dots: true },
            ...(bicubic.length > 0 ? [{ name: "bicubic enlargement", points: bicubic }] : []),
          ],
        },
        document,
      );
    }),
    chart(
      {
        id: "rate",
        title: "FineTuning rate",
        x: "step",
        y: "rate",
        series: [{ name: "learning rate", points: along(steps, "rate") }],
      },
      document,
    ),
  ].join("\n");
}

const smallest = (values: readonly number[]): number =>
  values.reduce((a, b) => Math.min(a, b), Number.POSITIVE_INFINITY);
const largest = (values: readonly number[]): number =>
  values.reduce((a, b) => Math.max(a, b), Number.NEGATIVE_INFINITY);

function cropsFigures(crops: readonly Crops[]): string {
  if (crops.length === 0) return "";
  const network = crops[0]?.panels[2]?.label ?? "network";
  return `<p class="soft">The piece is where “${escapeHtml(network)}” gains most over bicubic enlargement. PSNR is of the whole picture’s luma.</p>
${crops.map(cropsFigure).join("\n")}`;
}

function cropsFigure({ picture, whole, piece, panels }: Crops): string {
  const [name, box] = [
    escapeHtml(picture),
    Object.entries(piece)
      .map(([side, part]) => `${side}:${part.toFixed(2)}%`)
      .join(";"),
  ];
  const pieces = panels.map(({ label, url, psnr }) => {
    const decibels = psnr === undefined ? "" : ` <b>${psnr.toFixed(2)} dB</b>`;
    return `<div><img src="${url}" alt="${name}, ${escapeHtml(label)}"><small>${escapeHtml(label)}${decibels}</small></div>`;
  });
  return `<figure class="pieces"><div><span class="whole"><img src="${whole}" alt="${name}"><i style="${box}"></i></span><small>${name}</small></div>
${pieces.join("\n")}</figure>`;
}

function layersTable(layers: readonly LayerRow[]): string {
  const timed = layers.some(({ latencyMs }) => latencyMs !== undefined);
  const heads = [
    "layer",
    "filters",
    "splits",
    "basis",
    "rate",
    "layout",
    "error<br>at first",
    "error<br>now",
    ...(timed ? ["ms<br>before", "ms<br>now"] : []),
  ];
  const part = (value: number | undefined, print: (value: number) => string) =>
    `<td>${value === undefined ? "–" : print(value)}</td>`;
  const rows = layers.map((layer) => {
    const share = Math.min(1, layer.rate);
    return `<tr><td class="name">${escapeHtml(layer.name)}${layer.shared === undefined ? "" : ` <small>shares ${escapeHtml(layer.shared)}</small>`}</td>${[
      `<td>${layer.shape.join(" × ")}</td><td>${layer.splits}</td><td>${layer.basisSize}</td>`,
      `<td>${(100 * layer.rate).toFixed(1)} %<span class="bar"><i style="width:${(100 * share).toFixed(0)}%"></i></span></td><td>${layer.layout}</td>`,
      part(layer.errorBefore, (value) => value.toFixed(3)),
      part(layer.errorAfter, (value) => value.toFixed(3)),
      ...(timed
        ? [part(layer.latencyBeforeMs, (value) => value.toFixed(3)), part(layer.latencyMs, (value) => value.toFixed(3))]
        : []),
    ].join("")}</tr>`;
  });
  return `<p class="soft">Filters: n × c × h × w. Rate: weights with the basis over weights without, a shared basis counted whole (Eq. 6). Error: ‖W − BA‖ / ‖W‖ against the original filters, when compressed and as trained.</p>
<div class="scroll"><table id="layers"><thead><tr>${heads.map((head) => `<th>${head}</th>`).join("")}</tr></thead><tbody>${rows.join("")}</tbody></table></div>`;
}

function filterImages(layers: readonly LayerRow[]): string {
  const drawn = layers.flatMap(({ name, pictures }) => (pictures ? [{ name, pictures }] : []));
  if (drawn.length === 0) return "";
  const zoom = 5;
  const image = (url: string, [width, height]: readonly [number, number], label: string) =>
    `<div><small>${label}</small><img src="${url}" width="${width * zoom}" height="${height * zoom}" alt="${label}"></div>`;
  const blocks = drawn.map(
    (
      { name, pictures },
      index,
    ) => `<details${index < 2 ? " open" : ""}><summary>${escapeHtml(name)} <small>${pictures.shown}</small></summary><div class="filters">
${image(pictures.basis, pictures.basisSize, "learned basis")}
${image(pictures.original, pictures.filterSize, "original filters")}
${image(pictures.rebuilt, pictures.filterSize, "filters from the basis")}
</div></details>`,
  );
  return `<p class="soft">One row a filter, one column a channel; blue below zero, red above. Original and rebuilt filters share one scale.</p>\n${blocks.join("\n")}`;
}

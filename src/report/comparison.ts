// A comparison of methods at one budget as one self-contained HTML page: a plot of error against what the budget is of,
// and a table of all methods with what each costs. Methods that failed are rows with their reason.
import { escapeHtml, htmlPage, section, thousands } from "./html.js";
import { namedDots } from "./labelled-dots.js";
import { short } from "./plots.js";

export interface ComparedMethod {
  readonly method: string;
  /** The error as the method left the network, after calibration, and after fine-tuning. */
  readonly compressed?: number;
  readonly calibrated?: number;
  readonly tuned?: number;
  readonly weights?: number;
  readonly parameters?: number;
  readonly macs?: number;
  /** As the method's paper counts them. */
  readonly paperMacs?: number;
  readonly bytes?: number;
  readonly milliseconds?: { readonly written: number; readonly ratio: number };
  /** Why the row ends where it does. */
  readonly reason?: string;
}

/** The network as it was. */
export interface ComparedOriginal extends Pick<ComparedMethod, "weights" | "parameters" | "macs" | "bytes"> {
  readonly error?: number;
  readonly milliseconds?: number;
}

export interface ComparisonReport {
  readonly title: string;
  readonly about: readonly string[];
  /** What the errors are: top-1 in percent, or the loss against the original. */
  readonly error: { readonly name: string; readonly percent: boolean };
  /** What the budget is of. */
  readonly against: "weights" | "macs" | "milliseconds";
  readonly original: ComparedOriginal;
  readonly methods: readonly ComparedMethod[];
}

const against = {
  weights: { label: "weights", of: ({ weights }: ComparedMethod) => weights },
  macs: { label: "MACs", of: ({ macs }: ComparedMethod) => macs },
  milliseconds: { label: "milliseconds", of: ({ milliseconds }: ComparedMethod) => milliseconds?.written },
} as const;

/** The error of a method at its last stage. */
const lastError = ({ compressed, calibrated, tuned }: ComparedMethod): number | undefined =>
  tuned ?? calibrated ?? compressed;

/** The page as HTML. `document` is any DOM that can make SVG elements; it is only used to draw. */
export function comparisonPage(report: ComparisonReport, document: Document): string {
  const { title, about } = report;
  return htmlPage(title, [
    `<h1>${escapeHtml(title)}</h1>`,
    ...about.map((line) => `<p class="soft">${escapeHtml(line)}</p>`),
    section(`Error against ${against[report.against].label}`, plot(report, document)),
    section("All methods", methodsTable(report)),
  ]);
}

function plot({ error, against: which, original, methods }: ComparisonReport, document: Document): string {
  const { label, of } = against[which];
  const tuned = methods.some((method) => method.tuned !== undefined);
  const points = methods.flatMap((method) => {
    const [x, y] = [of(method), lastError(method)];
    const ring = tuned && method.tuned === undefined;
    return x === undefined || y === undefined ? [] : [{ name: method.method, x, y, ring }];
  });
  return namedDots(
    {
      id: "errors",
      title: `${capital(error.name)}${tuned ? " after fine-tuning" : ""}, and ${label}`,
      rings: "not fine-tuned",
      ...{ x: label, y: `${error.name}${error.percent ? ", %" : ""}`, points },
      ...(original.error === undefined
        ? {}
        : { level: { name: `original ${printError(error, original.error)}`, y: original.error } }),
    },
    document,
  );
}

/** The best first, behind those that came further; those without an error last. */
const ranked = (methods: readonly ComparedMethod[]): readonly ComparedMethod[] =>
  methods.toSorted((a, b) => stages(b) - stages(a) || (lastError(a) ?? 0) - (lastError(b) ?? 0));

const stages = ({ compressed, calibrated, tuned }: ComparedMethod): number =>
  [compressed, calibrated, tuned].filter((error) => error !== undefined).length;

const printError = ({ percent }: ComparisonReport["error"], value: number): string =>
  percent ? `${value.toFixed(2)} %` : value.toPrecision(3);

const capital = (text: string): string => text.charAt(0).toUpperCase() + text.slice(1);

const heads = [
  "method",
  "com-<br>pressed",
  "cali-<br>brated",
  "fine-<br>tuned",
  "weights",
  "parameters",
  "MACs",
  "bytes",
  "ms",
  "faster",
] as const;

function methodsTable({ error, original, methods }: ComparisonReport): string {
  const quality = (value: number | undefined): string => (value === undefined ? "–" : printError(error, value));
  const count = (value: number | undefined, of: number | undefined): string =>
    value === undefined
      ? "–"
      : `${thousands(value)}${of === undefined ? "" : `<small>${((100 * value) / of).toFixed(1)} %</small>`}`;
  const counts = (row: ComparedMethod, of: ComparedOriginal | undefined): readonly string[] =>
    (["weights", "parameters", "macs", "bytes"] as const).map((key) => count(row[key], of?.[key]));
  const body = ranked(methods).map((row) => {
    const { method, compressed, calibrated, tuned, milliseconds, reason } = row;
    const cells = [
      ...[compressed, calibrated, tuned].map(quality),
      ...counts(row, original),
      milliseconds === undefined ? "–" : milliseconds.written.toFixed(2),
      milliseconds === undefined ? "–" : `${milliseconds.ratio.toFixed(2)} ×`,
    ];
    const failed = reason === undefined ? "" : `<small class="reason">${escapeHtml(reason)}</small>`;
    // what never came to a network has its reason instead of empty cells
    return row.weights === undefined
      ? line(method, `<td class="reason" colspan="${heads.length - 1}">${escapeHtml(reason ?? "not finished")}</td>`)
      : line(method, cells.map((cell) => `<td>${cell}</td>`).join(""), failed);
  });
  const before = [
    ...["", "", quality(original.error)],
    ...counts({ method: "", ...omitMilliseconds(original) }, undefined),
    original.milliseconds === undefined ? "–" : original.milliseconds.toFixed(2),
    "",
  ];
  const first = line("original", before.map((cell) => `<td>${cell}</td>`).join(""));
  return `${notes(error.name, methods, original)}
<div class="scroll"><table id="methods"><thead><tr>${heads.map((head) => `<th>${head}</th>`).join("")}</tr></thead><tbody>${[first, ...body].join("")}</tbody></table></div>`;
}

const omitMilliseconds = ({ milliseconds: _, error: __, ...counts }: ComparedOriginal) => counts;

const line = (name: string, cells: string, more = ""): string =>
  `<tr><td class="name">${escapeHtml(name)}${more}</td>${cells}</tr>`;

/** What the columns are, and counts of papers that differ. */
function notes(error: string, methods: readonly ComparedMethod[], { macs: all }: ComparedOriginal): string {
  const otherwise = methods.flatMap(({ method, macs, paperMacs }) =>
    paperMacs === undefined || paperMacs === macs || all === undefined
      ? []
      : [`${method} ${short(paperMacs / 1e6)} M (${((100 * paperMacs) / all).toFixed(1)} %)`],
  );
  return [
    `<p class="soft">${escapeHtml(capital(error))} as the method left the network, after calibration and after fine-tuning. Weights are those of convolutions and fully connected layers, as papers count them; parameters are all trained numbers; milliseconds are of the written file in ONNX Runtime, in turns with the original.</p>`,
    otherwise.length === 0
      ? ""
      : `<p class="soft">MACs as the method’s paper counts them: ${escapeHtml(otherwise.join(", "))}.</p>`,
  ]
    .filter(Boolean)
    .join("\n");
}

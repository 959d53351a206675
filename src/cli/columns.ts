// Text in columns, for the results that people read. JSON holds the same names in full.
import { displayWidth, shortened, wrapped } from "./fitting.js";
import { oneLine } from "./visible.js";

/** Where the width of a terminal is not known: in a pipe, a file, a test. */
const usualWidth = 120;
const gap = "  ";
/** A name is not shortened below this. */
const leastName = 12;
/** A sentence is not wrapped into a narrower column than this. */
const leastProse = 24;

/**
 * Rows as aligned columns, two spaces apart; columns whose cells (but the first row's) are all numbers stand to the
 * right. Where a line would be wider than `width`, sentences are wrapped and the longest names are shortened in the
 * middle.
 */
export function columns(rows: readonly (readonly string[])[], width = process.stdout.columns ?? usualWidth): string {
  const cells = rows.map((row) => row.map(oneLine));
  const count = Math.max(0, ...cells.map((row) => row.length));
  const column = (at: number): readonly string[] => cells.map((row) => row[at] ?? "");
  const right = Array.from({ length: count }, (_, at) =>
    column(at)
      .slice(1)
      .every((cell) => /^[-\d.,%]*$/.test(cell)),
  );
  const figures = Array.from({ length: count }, (_, at) =>
    column(at)
      .slice(1)
      .every((cell) => /^([-+\d].{0,23})?$/.test(cell)),
  );
  // A name has no spaces, a sentence several.
  const prose = figures.map((rigid, at) => !rigid && column(at).some((cell) => cell.split(" ").length > 2));
  const natural = figures.map((_, at) => Math.max(...column(at).map(displayWidth)));
  const least = natural.map((size, at) => (figures[at] ? size : prose[at] ? leastProse : leastName));
  const widths = fitted(natural, least, width);
  const parts = (cell: string, at: number): readonly string[] =>
    prose[at] ? wrapped(cell, widths[at]!) : [shortened(cell, widths[at]!)];
  return cells
    .flatMap((row) => {
      const split = widths.map((_, at) => parts(row[at] ?? "", at));
      const lines = Math.max(1, ...split.map(({ length }) => length));
      return Array.from({ length: lines }, (_, line) =>
        split
          .map((texts, at) => padded(texts[line] ?? "", widths[at]!, right[at]))
          .join(gap)
          .trimEnd(),
      );
    })
    .join("\n");
}

/** The columns' widths: of those wider than they must be, the widest gives way first. */
function fitted(natural: readonly number[], least: readonly number[], most: number): readonly number[] {
  const widths = [...natural];
  for (;;) {
    const over = widths.reduce((sum, size) => sum + size, gap.length * (widths.length - 1)) - most;
    if (over <= 0) return widths;
    const giving = widths.map((_, at) => at).filter((at) => widths[at]! > least[at]!);
    if (giving.length === 0) return widths;
    const [first, second] = giving.sort((a, b) => widths[b]! - widths[a]!) as [number, number?];
    // down to the next widest one, so that two long columns share what has to be given
    const target = Math.max(least[first]!, Math.min(widths[first]! - 1, second === undefined ? 0 : widths[second]!));
    widths[first] = Math.max(target, widths[first]! - over);
  }
}

function padded(text: string, size: number, right: boolean | undefined): string {
  const space = " ".repeat(Math.max(0, size - displayWidth(text)));
  return right ? space + text : text + space;
}

/** The first of many names, and how many more there are. */
export function someNames(names: readonly string[], most = 5): string {
  const shown = names.slice(0, most).map((name) => shortened(oneLine(name), 60));
  return names.length > most ? `${shown.join(", ")} and ${grouped(names.length - most)} more` : shown.join(", ");
}

/** A count with separators: 1,234,567. */
export const grouped = (count: number): string => String(count).replace(/\B(?=(\d{3})+(?!\d))/g, ",");

// A table that can be sorted by its columns and searched.
import { el } from "./dom.js";

export interface Column<Row> {
  readonly title: string;
  readonly text: (row: Row) => string;
  /** What is sorted by; the text without it. */
  readonly value?: (row: Row) => number;
}

interface Order {
  readonly column: number;
  readonly down: boolean;
}

export interface SortedTable<Row> {
  show(rows: readonly Row[]): void;
  search(text: string): void;
}

export function sortedTable<Row>(
  table: HTMLElement,
  caption: string,
  columns: readonly Column<Row>[],
): SortedTable<Row> {
  let rows: readonly Row[] = [];
  let wanted = "";
  let order: Order | undefined;
  const body = el("tbody");
  const heads = columns.map(({ title, value }, column) => {
    const button = el("button", { type: "button" }, title);
    const head = el("th", { scope: "col", ...(value && { class: "number" }) }, button);
    button.addEventListener("click", () => {
      order = { column, down: order?.column === column ? !order.down : value !== undefined };
      draw();
    });
    return head;
  });
  table.replaceChildren(el("caption", { class: "unseen" }, caption), el("thead", {}, el("tr", {}, ...heads)), body);
  const draw = (): void => {
    for (const [i, head] of heads.entries())
      head.setAttribute("aria-sort", order?.column !== i ? "none" : order.down ? "descending" : "ascending");
    const found = rows.filter((row) => columns.some(({ text }) => text(row).toLowerCase().includes(wanted)));
    body.replaceChildren(...sorted(found, columns, order).map((row) => rowOf(row, columns)));
  };
  return {
    show(given) {
      rows = given;
      draw();
    },
    search(text) {
      wanted = text.trim().toLowerCase();
      draw();
    },
  };
}

function sorted<Row>(rows: readonly Row[], columns: readonly Column<Row>[], order: Order | undefined): readonly Row[] {
  if (order === undefined) return rows;
  const { text, value } = columns[order.column]!;
  const compare = (a: Row, b: Row) => (value ? value(a) - value(b) : text(a).localeCompare(text(b)));
  return [...rows].sort((a, b) => (order.down ? compare(b, a) : compare(a, b)));
}

function rowOf<Row>(row: Row, columns: readonly Column<Row>[]): HTMLElement {
  const cells = columns.map(({ text, value }, i) => {
    const name = value ? "number" : "name";
    return i === 0 ? el("th", { scope: "row", class: name }, text(row)) : el("td", { class: name }, text(row));
  });
  return el("tr", {}, ...cells);
}

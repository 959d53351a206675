// Text in columns, for the results that people read.

/** Rows as aligned columns, two spaces apart; columns whose cells (but the first row's) are all numbers stand to the right. */
export function columns(rows: readonly (readonly string[])[]): string {
  const count = Math.max(0, ...rows.map((row) => row.length));
  const layout = Array.from({ length: count }, (_, at) => ({
    width: Math.max(...rows.map((row) => row[at]?.length ?? 0)),
    right: rows.slice(1).every((row) => /^[-\d.,%]*$/.test(row[at] ?? "")),
  }));
  const line = (row: readonly string[]) =>
    layout.map(({ width, right }, at) => (right ? (row[at] ?? "").padStart(width) : (row[at] ?? "").padEnd(width))).join("  ");
  return rows.map((row) => line(row).trimEnd()).join("\n");
}

/** A count with separators: 1,234,567. */
export const grouped = (count: number): string => String(count).replace(/\B(?=(\d{3})+(?!\d))/g, ",");

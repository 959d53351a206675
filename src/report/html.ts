// What every page is made of: a document without scripts, sections, escaped text.
import { style } from "./style.js";

/** A self-contained page. */
export const htmlPage = (title: string, body: readonly string[]): string => `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${escapeHtml(title)}</title>
<style>
${style}
</style>
</head>
<body>
${body.filter(Boolean).join("\n")}
</body>
</html>
`;

/** A section with its heading; nothing where there is no content. */
export const section = (title: string, content: string): string =>
  content === "" ? "" : `<section><h2>${title}</h2>\n${content}</section>`;

export function escapeHtml(text: string): string {
  return text.replace(
    /[&<>"]/g,
    (character) => ({ "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;" })[character]!,
  );
}

/** A table, its cells as HTML. */
export function table(id: string, head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[], tag: "th" | "td") => cells.map((cell) => `<${tag}>${cell}</${tag}>`).join("");
  const body = rows.map(([first = "", ...rest]) => `<tr><td class="name">${first}</td>${line(rest, "td")}</tr>`);
  return `<div class="scroll"><table id="${id}"><thead><tr>${line(head, "th")}</tr></thead><tbody>${body.join("")}</tbody></table></div>`;
}

export function thousands(value: number): string {
  return String(Math.round(value)).replace(/\B(?=(\d{3})+$)/g, " ");
}

// docs/cards/: a page for each network of results/bench-compress.json, what it was and what it became, and
// results/cards.json, the table of all that the README shows. Every number comes from that file.
//
//   npm run cards              writes them
//   npm run cards -- --check   exit code 1 where they are not what the file says
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import type { Wanted } from "../bench/compress/rows.js";
import { wanted } from "../bench/compress/rows.js";
import { type CardTable, cardPages, overview } from "./cards/page.js";

const path = (name: string) => fileURLToPath(new URL(`../${name}`, import.meta.url));
const table = JSON.parse(readFileSync(path("results/bench-compress.json"), "utf8")) as CardTable;
const known: readonly Wanted[] = Object.values(wanted).flat();
const files = new Map([
  ...[...cardPages(table, known)].map(([name, page]) => [`docs/cards/${name}.md`, page] as const),
  ["results/cards.json", `${JSON.stringify(overview(table, known), null, 2)}\n`] as const,
]);
if (process.argv.includes("--check")) {
  const stale = [...files].filter(
    ([name, text]) => !existsSync(path(name)) || readFileSync(path(name), "utf8") !== text,
  );
  for (const [name] of stale) console.error(`${name} is not what results/bench-compress.json says: npm run cards`);
  process.exitCode = stale.length > 0 ? 1 : 0;
} else {
  mkdirSync(path("docs/cards"), { recursive: true });
  for (const [name, text] of files) writeFileSync(path(name), text);
}

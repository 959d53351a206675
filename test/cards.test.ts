// The cards say what results/bench-compress.json says.
import { readdirSync, readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { wanted } from "../bench/compress/rows.js";
import { type CardTable, cardPages, overview } from "../scripts/cards/page.js";

const read = (name: string): string => readFileSync(new URL(`../${name}`, import.meta.url), "utf8");
const table = JSON.parse(read("results/bench-compress.json")) as CardTable;
const known = Object.values(wanted).flat();

test("each network that was compressed has its card, and no other", () => {
  const pages = cardPages(table, known);
  const names = readdirSync(new URL("../docs/cards", import.meta.url)).sort();
  expect(names).toEqual([...pages.keys()].map((name) => `${name}.md`).sort());
  for (const [name, text] of pages) expect(read(`docs/cards/${name}.md`), `npm run cards (${name})`).toBe(text);
});

test("the README's table is theirs", () => {
  expect(JSON.parse(read("results/cards.json"))).toEqual(overview(table, known));
});

test("a network that could not be compressed has the reason where others have times", () => {
  const [first] = known;
  const { name, budget } = first!;
  const made = { name, budget, threads: 2, commit: "", date: "", outcome: "does-not-pay", message: "it is not faster" };
  const page = cardPages({ ...table, rows: [made] }, known).get(name)!;
  expect(page).toContain("| does-not-pay | it is not faster |");
  expect(cardPages({ ...table, rows: [{ ...made, outcome: "skipped" }] }, known).size).toBe(0);
});

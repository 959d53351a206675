// docs/comparing.md says what the files of results/ say: the numbers of the tables in small, the estimates.
import { readdir, readFile } from "node:fs/promises";
import { expect, test } from "vitest";
import { filled, fullLengthTable } from "../scripts/full-length.js";
import { type SmallFigure, smallFigureCells } from "../src/report/small-figure.js";
import { type SmallTable, smallTableCells } from "../src/report/small-table.js";
import { type SmallTrainings, smallTrainingCells } from "../src/report/small-trainings.js";

const root = new URL("../", import.meta.url);
const text = (file: string): Promise<string> => readFile(new URL(file, root), "utf8");
const page = await text("docs/comparing.md");

const cellsOf = (one: SmallTable | SmallFigure | SmallTrainings) =>
  "trainings" in one ? smallTrainingCells(one) : "points" in one ? smallFigureCells(one) : smallTableCells(one);

test("every number with decimals about the tables in small is one of theirs", async () => {
  const files = (await readdir(new URL("results/", root))).filter((name) => /^(table|figure)\d-small/.test(name));
  const shown = await Promise.all(files.map(async (file) => cellsOf(JSON.parse(await text(`results/${file}`)))));
  const known = new Set(shown.flat(2).flatMap((cell) => cell.match(/\d+\.\d+/g) ?? []));
  const [, section = ""] = /## Tables in small\n([\s\S]*?)\*\*To make them again/.exec(page) ?? [];
  const numbers = section.match(/\d+\.\d+/g) ?? [];
  expect(numbers.length).toBeGreaterThan(20);
  expect(numbers.filter((number) => !known.has(number))).toEqual([]);
});

test("the estimates at the paper's length are those that the measured speeds give", async () => {
  const bench = JSON.parse(await text("results/bench-cuda.json"));
  expect(filled(page, await fullLengthTable(bench))).toBe(page);
});

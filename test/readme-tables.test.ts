import { expect, test } from "vitest";
// @ts-expect-error: a plain script without types
import { fillTables } from "../scripts/readme-tables.mjs";

const readme = "# a\n\n<!-- table demo -->\nold\n<!-- end -->\n\nrest\n";
const demo = {
  before: { top1Error: 8.5, weights: 268336 },
  trained: { top1Error: 9, weights: 67000 },
  machine: "a machine",
  seed: 1,
  date: "2026-01-01",
};

test("a table is made from its file, with the conditions under it", () => {
  const filled: string = fillTables(readme, () => demo);
  expect(filled).toContain(
    "|  | before | trained |\n| --- | ---: | ---: |\n| top-1 error | 8.50 % | 9.00 % |\n| weights | 268 336 | 67 000 |",
  );
  expect(filled).toContain("2026-01-01, a machine, seed 1.");
  expect(filled).toMatch(/<!-- end -->\n\nrest\n$/);
  expect(fillTables(filled, () => demo)).toBe(filled);
});

test("without a file there is no table", () => {
  expect(fillTables(readme, () => undefined)).toBe("# a\n\n<!-- table demo -->\n<!-- end -->\n\nrest\n");
});

test("what demo --json prints is a table too", () => {
  const rows = [
    { label: "original", top1Error: 8.5 },
    { label: "trained", top1Error: 9, latencyMs: 1.5 },
  ];
  expect(fillTables(readme, () => ({ rows }))).toContain(
    "|  | original | trained |\n| --- | ---: | ---: |\n| top-1 error | 8.50 % | 9.00 % |\n| latency | – | 1.50 ms |",
  );
});

test("a file may bring its own columns", () => {
  const filled: string = fillTables(readme, () => ({
    title: "Speed",
    columns: ["network", "ms"],
    rows: [["a", 1]],
    machine: { cpu: "x", cores: 2 },
  }));
  expect(filled).toContain("Speed:\n\n| network | ms |\n| --- | ---: |\n| a | 1 |\n");
  expect(filled).toContain("x 2.");
});

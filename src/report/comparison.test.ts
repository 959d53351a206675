// The page of a comparison of methods: a row for each, the best first, and a dot for each that has an error and a
// count.
import { parseHTML } from "linkedom";
import { expect, test } from "vitest";
import { type ComparedMethod, type ComparisonReport, comparisonPage } from "./comparison.js";

const counts = { weights: 250, parameters: 300, macs: 5000, paperMacs: 5000, bytes: 1400 };
const milliseconds = { written: 0.8, ratio: 1.25 };
const methods: readonly ComparedMethod[] = [
  { method: "svd", ...counts, compressed: 40, calibrated: 20, tuned: 11, milliseconds },
  { method: "kse", ...counts, paperMacs: 4000, compressed: 40, calibrated: 9, reason: "the training diverged" },
  { method: "basis", ...counts, compressed: 30, calibrated: 15, tuned: 9.5, milliseconds },
  { method: "transition", reason: "it has no <budget>" },
];

const report: ComparisonReport = {
  title: "Methods at 25 % of the weights",
  about: ["on cifar10"],
  error: { name: "top-1 error", percent: true },
  against: "weights",
  original: { weights: 1000, parameters: 1100, macs: 10_000, bytes: 4400, error: 8.27, milliseconds: 1 },
  methods,
};

function pageOf(one: ComparisonReport) {
  const { document } = parseHTML("<!doctype html><html><body></body></html>");
  return parseHTML(comparisonPage(one, document as unknown as Document)).document;
}

test("has a row for every method, the best behind the original, those that ended early with their reason", () => {
  const page = pageOf(report);
  const rows = [...page.querySelectorAll("#methods tbody tr")].map((row) =>
    [...row.querySelectorAll("td")].map((cell) => cell.textContent),
  );
  expect(rows.map(([name]) => name)).toEqual(["original", "basis", "svd", "ksethe training diverged", "transition"]);
  expect(rows[1]!.slice(1)).toEqual([
    ...["30.00 %", "15.00 %", "9.50 %", "25025.0 %", "30027.3 %", "5 00050.0 %", "1 40031.8 %", "0.80", "1.25 ×"],
  ]);
  expect(rows[4]).toEqual(["transition", "it has no <budget>"]);
  expect(page.body.textContent).toContain("kse 0.004 M (40.0 %)");
  expect(page.querySelector("script, link")).toBeNull();
});

test("draws those that have an error, ringed where they were not fine-tuned, and the original as a line", () => {
  const wide = pageOf(report).querySelector("#errors .wide")!;
  const dots = [...wide.querySelectorAll("circle")].map((dot) => [dot.textContent, dot.getAttribute("fill")]);
  expect(dots).toEqual([
    ["svd", "var(--series-1)"],
    ["kse", "var(--paper)"],
    ["basis", "var(--series-1)"],
  ]);
  expect(wide.textContent).toContain("original 8.27 %");
});

test("names that would lie over each other are moved apart", () => {
  const same = ["svd", "zhang", "enc", "cp"].map((method) => ({ method, ...counts, tuned: 10 }));
  const { original } = report;
  const svg = pageOf({ ...report, methods: same, original: { weights: original.weights! } });
  const heights = [...svg.querySelectorAll("#errors .wide text")]
    .filter(({ textContent }) => same.some(({ method }) => method === textContent))
    .map((text) => Number(/translate\([^,]+,([^)]+)\)/.exec(text.getAttribute("transform") ?? "")?.[1]))
    .sort((a, b) => a - b);
  expect(heights).toHaveLength(4);
  for (const [i, height] of heights.slice(1).entries()) expect(height - heights[i]!).toBeGreaterThan(14);
});

test("without methods that came to an error there is a table alone, and without labels the loss is told", () => {
  const bare = pageOf({ ...report, methods: methods.slice(3) });
  expect(bare.querySelector("#errors")).toBeNull();
  const loss = pageOf({ ...report, error: { name: "1 - IoU", percent: false } });
  expect(loss.querySelector("#errors figcaption")!.textContent).toContain("1 - IoU after fine-tuning");
});

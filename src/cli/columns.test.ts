import { describe, expect, test } from "vitest";
import { columns, someNames } from "./columns.js";
import { displayWidth, shortened, wrapped } from "./fitting.js";

const long = (at: number) => `/model/backbone/stage${at}/${"block/".repeat(30)}conv${at}/Conv`;

describe("a table", () => {
  test("stands in columns, numbers to the right", () => {
    expect(
      columns([
        ["layer", "weights"],
        ["a", "1,000"],
        ["conv", "5"],
      ]),
    ).toBe("layer  weights\na        1,000\nconv         5");
  });

  test("shortens long names in the middle so that every line fits, and leaves the numbers whole", () => {
    const rows = [
      ["layer", "op", "weights", "basis"],
      ...[1, 2, 3].map((at) => [long(at), "Conv", "1,234,567", long(at)]),
    ];
    for (const width of [60, 80, 120]) {
      const lines = columns(rows, width).split("\n");
      for (const line of lines) expect(line.length).toBeLessThanOrEqual(width);
      expect(lines[2]).toMatch(/^\/model.*….*2\/Conv\s+Conv\s+1,234,567/);
    }
  });

  test("takes at most 120 columns where no terminal says how wide it is", () => {
    for (const line of columns([["layer"], [long(1)]]).split("\n")) expect(line.length).toBeLessThanOrEqual(120);
  });

  test("keeps names whole where there is room", () => {
    expect(columns([["layer"], [long(1)]], 400)).toContain(long(1));
  });

  test("wraps a sentence in the last column", () => {
    const reason = "it is a grouped convolution, whose filters read different channels and cannot share one basis";
    const lines = columns(
      [
        ["layer", ""],
        ["conv1", reason],
        ["conv2", "fits"],
      ],
      60,
    ).split("\n");
    expect(lines.length).toBeGreaterThan(3);
    for (const line of lines) expect(line.length).toBeLessThanOrEqual(60);
    expect(
      lines
        .slice(1, -1)
        .map((line) => line.slice(7))
        .join(" "),
    ).toBe(reason);
    expect(lines.at(-1)).toBe("conv2  fits");
  });

  test("keeps a name with a line end or an escape code in its cell", () => {
    const text = columns([["layer"], ["a\u001b[31m\nverified"]]);
    expect(text).toBe("layer\na\\u001b[31m\\nverified");
  });

  test("aligns names of scripts whose letters are twice as wide", () => {
    const [, first, second] = columns([
      ["layer", "op"],
      ["卷积层", "Conv"],
      ["conv", "Relu"],
    ]).split("\n");
    expect(displayWidth(first!.slice(0, first!.indexOf("Conv")))).toBe(second!.indexOf("Relu"));
  });

  test("of no rows is empty", () => expect(columns([])).toBe(""));
});

test.each([1, 2, 3, 10, 33, 200])("a name shortened to %d columns takes no more", (most) => {
  for (const text of [long(1), "卷积".repeat(40), "e\u0301".repeat(50), "🚀".repeat(30)]) {
    const short = shortened(text, most);
    expect(displayWidth(short)).toBeLessThanOrEqual(most);
    expect(short).not.toMatch(/\p{Cs}/u);
  }
});

test("wrapping loses no word", () => {
  const text = `one two ${"x".repeat(50)} three`;
  expect(wrapped(text, 20).join("").replaceAll(" ", "")).toBe(text.replaceAll(" ", ""));
  for (const line of wrapped(text, 20)) expect(line.length).toBeLessThanOrEqual(20);
});

test("of many names the first are told, and how many more there are", () => {
  expect(someNames(["a", "b"])).toBe("a, b");
  expect(someNames(Array.from({ length: 1205 }, (_, at) => `n${at}`))).toBe("n0, n1, n2, n3, n4 and 1,200 more");
});

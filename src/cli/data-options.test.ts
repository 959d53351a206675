// The options of --data are read into what data sets take; mistakes are told before anything is loaded.
import { expect, test } from "vitest";
import { guessedText, readInputOptions } from "./data-options.js";

test("only what was given is said", () => {
  expect(readInputOptions({})).toEqual({});
  const all = {
    size: "320x240",
    fit: "cover",
    normalize: "0.5/0.5",
    channels: "bgr",
    range: "255",
    limit: "8",
  } as const;
  expect(readInputOptions(all)).toEqual({ ...all, size: { width: 320, height: 240 }, range: 255, limit: 8 });
});

test.each([
  { size: "320" },
  { size: "0x5" },
  { size: "320x240x3" },
  { size: "-1x5" },
  { normalize: "imagenets" },
  { normalize: "0.5/0" },
  { limit: "0" },
])("%j is wrong use", (args) => {
  expect(() => readInputOptions(args)).toThrow(expect.objectContaining({ code: "usage" }));
});

test("what was guessed is told with the options that state it", () => {
  expect(guessedText(["normalize none", "range 1"])).toBe(
    "images: normalize none, range 1 (guessed; state others with --normalize, --range)",
  );
});

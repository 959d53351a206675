import { expect, test } from "vitest";
import { message, oneLine, visible, visibleJson } from "./visible.js";

const hostile = "a\u001b[2J\u009b1m\r\u202etxt\u200b\u2028b\u007f\u{e0041}";

test("characters that steer a terminal or hide text are written as their codes", () => {
  expect(visible(hostile)).toBe("a\\u001b[2J\\u009b1m\\r\\u202etxt\\u200b\\u2028b\\u007f\\u{e0041}");
  expect(visible("\ud800 alone")).toBe("\\ud800 alone");
});

test("letters of any script stay as they are", () => {
  for (const text of ["Größe", "层/卷积", "слой", "طبقة", "レイヤー", "e\u0301", "🚀"])
    expect(visible(text)).toBe(text);
});

test("a name stays on its line, a text keeps its lines, and a message's further lines are set apart", () => {
  expect(oneLine("conv\nverified in ONNX Runtime")).toBe("conv\\nverified in ONNX Runtime");
  expect(visible("one\ntwo\t3")).toBe("one\ntwo\\t3");
  expect(message("left a\nwrote b")).toBe("left a\n  | wrote b");
});

test("JSON keeps its value", () => {
  const value = { [hostile]: [hostile, "\n", "\u{1f680}", "\ud800"] };
  const json = visibleJson(JSON.stringify(value, null, 2));
  expect(JSON.parse(json)).toEqual(value);
  expect(json).toMatch(/^[\x20-\x7e\n🚀]*$/u);
});

// Broken models, rebuilt by hand after the kinds that ONNX's own checker is tested with (onnx/test/checker_test.py
// names them), and the valid ones beside them. Each gets a typed error that says where, or is read.
import { describe, expect, test } from "vitest";
import { isError } from "../src/errors/error.js";
import { readModel } from "../src/formats/onnx/index.js";
import { graphs } from "./malformed/graphs.js";
import { models } from "./malformed/models.js";
import { nodes } from "./malformed/nodes.js";
import { tensors } from "./malformed/tensors.js";

describe.each(Object.entries({ nodes, graphs, tensors, models }))("what is broken or unusual: %s", (_, rows) => {
  for (const [name, file, expected, says] of rows) {
    test(name, () => {
      let error: unknown;
      try {
        readModel(file, { file: "model.onnx" });
      } catch (thrown) {
        error = thrown;
      }
      if (expected === "valid") return expect(error).toBeUndefined();
      if (!isError(error)) throw new Error(`no typed error: ${error}`);
      expect(error.code).toBe(expected);
      expect(error.place.file).toBe("model.onnx");
      if (says !== undefined) expect(error.message).toMatch(says);
    });
  }
});

test("the table has at least the 60 kinds of broken models that ONNX's checker is tested with", () => {
  const rows = [...nodes, ...graphs, ...tensors, ...models];
  expect(rows.filter(([, , expected]) => expected !== "valid").length).toBeGreaterThanOrEqual(60);
});

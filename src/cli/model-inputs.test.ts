// A command says on what it runs a model where that is not what one expects.
import { expect, test } from "vitest";
import { runtimeLines } from "./model-inputs.js";

test("that the fast runtime is missing is said with its cure, unless the slower one was asked for", () => {
  expect(runtimeLines("node", undefined)).toEqual([]);
  expect(runtimeLines("web", "web")).toEqual([]);
  expect(runtimeLines("web", undefined).join("\n")).toMatch(/onnxruntime-node is missing: .*\n {2}cure: .*npm install/);
});

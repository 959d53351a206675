import { describe, expect, test } from "vitest";
// @ts-expect-error: a plain script without types
import { layerFaults } from "../scripts/check-layers.mjs";

const faults = (path: string, text: string): string[] => layerFaults(new Map([[path, `// What it is for.\n${text}\n`]]));

describe("the layer check", () => {
  test.each([
    ["graph/edit.ts", 'import { a } from "../errors/error.js";'],
    ["graph/edit.ts", 'import type { Node } from "./types.js";'],
    ["graph/edit.ts", 'const say = "process and Buffer"; // process.exit, import("node:fs")'],
    ["graph/edit.ts", "const of = graph.process; interface A { process: number }"],
    ["cli/main.ts", 'import { readFileSync } from "node:fs";\nimport("../graph/types.js");'],
    ["browser.ts", 'export { a } from "./graph/types.js";'],
    ["index.ts", 'export { a } from "./engine/index.js";'],
    ["graph/edit.test.ts", 'import { a } from "../engine/index.js";'],
  ])("passes %s with %s", (path, text) => {
    expect(faults(path, text)).toEqual([]);
  });

  test.each([
    ["graph/edit.ts", 'import { a } from "../engine/index.js";', "graph may not import engine"],
    ["graph/edit.ts", 'import {\n  a,\n} from "../engine/index.js";', "graph may not import engine"],
    ["graph/edit.ts", 'export * from "../onnx/index.js";', "graph may not import onnx"],
    ["graph/edit.ts", 'const load = () => import("../onnx/index.js");', "graph may not import onnx"],
    ["graph/edit.ts", 'import { readFileSync } from "node:fs";', "graph is pure and may not import node:fs"],
    ["graph/edit.ts", "const start = process.hrtime();", "graph is pure and may not use process"],
    ["graph/edit.ts", "const bytes = Buffer.from(text);", "graph is pure and may not use Buffer"],
    ["browser.ts", 'export { a } from "./engine/index.js";', "browser.ts may import pure layers only, not engine"],
    ["graph/edit.ts", 'import { a } from "../index.js";', "graph may not import a door"],
    ["graph/edit.ts", 'import { a } from "./types";', "needs its .js ending"],
    ["nothing/edit.ts", "", "nothing is not a layer"],
    ["graph/edit.ts", "\n".repeat(301), "lines, at most 300"],
  ])("finds the fault of %s with %s", (path, text, fault) => {
    expect(faults(path, text).join("\n")).toContain(fault);
  });

  test("wants every file to say what it is for", () => {
    expect(layerFaults(new Map([["graph/edit.ts", "export const a = 1;\n"]]))[0]).toContain("does not open with a comment");
  });
});

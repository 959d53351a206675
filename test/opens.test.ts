// What ONNX Runtime opens, we open: every model file within reach, and files that break the standard's rules in ways
// that ONNX Runtime bears.
import { spawnSync } from "node:child_process";
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import { readModel } from "../src/formats/onnx/index.js";
import { loadModel } from "../src/runtime/files.js";
import { openOrtSession } from "../src/runtime/session.js";
import { graphs } from "./malformed/graphs.js";
import { models } from "./malformed/models.js";
import { nodes } from "./malformed/nodes.js";
import { tensors } from "./malformed/tensors.js";
import { type GraphInit, Kind, type ModelInit, modelBytes, node, reluGraph, tensor, value } from "./onnx-models.js";
import { noTestdata, testCases } from "./onnx-testdata.js";
import { outputsDiffer } from "./same-outputs.js";
import { noShared, shared } from "./shared.js";

/** Files that ONNX Runtime opens and we refuse, with the reason. */
const refusedFiles: Readonly<Record<string, string>> = {};

/** The files that ONNX Runtime opens and we do not, with our error. */
async function refusedOf(files: readonly string[]): Promise<Record<string, string>> {
  const refused: Record<string, string> = {};
  for (const file of files) {
    const error = await loadModel(file).then(
      () => undefined,
      (thrown: Error) => thrown.message,
    );
    if (error === undefined) continue;
    const opened = await openOrtSession(file, { threads: 1 }).then(
      (session) => session.release().then(() => true),
      () => false,
    );
    if (opened && refusedFiles[file] === undefined) refused[file] = error;
  }
  return refused;
}

describe.skipIf(testCases().length === 0)(`ONNX's conformance models (else skipped: ${noTestdata})`, () => {
  test("are opened wherever ONNX Runtime opens them", async () => {
    expect(await refusedOf(testCases().map(({ model }) => model))).toEqual({});
  });
});

describe.each(["wild", "data/models", "cases"])(`the models of %s (else skipped: ${noShared})`, (folder) => {
  const path = shared(folder);
  test.skipIf(path === undefined)("are opened wherever ONNX Runtime opens them", async () => {
    const files = readdirSync(path!).filter((name) => name.endsWith(".onnx"));
    expect(files.length).toBeGreaterThan(5);
    expect(await refusedOf(files.map((name) => join(path!, name)))).toEqual({});
  });
});

describe.each(["cases/half_casts_last.onnx", "wild/nodes_out_of_order.onnx"])(
  `%s (else skipped: ${noShared})`,
  (name) => {
    const path = shared(name);
    test.skipIf(path === undefined)("is read with a note, and written in order it computes the same", async () => {
      const notes: string[] = [];
      const graph = await loadModel(path!, { note: (text) => notes.push(text) });
      expect(notes).toEqual([expect.stringMatching(/^the nodes of the graph were not in order: .* moved up$/)]);
      expect((await outputsDiffer(path!, { ...graph, name: "rewritten" })).absolute).toBe(0);
    });
  },
);

const two = (...values: number[]) => tensor("W", "float32", [2], { floatData: values });
const constant = (name: string, ...values: number[]) =>
  node(
    "Constant",
    [],
    ["W"],
    [{ name: "value", type: Kind.TENSOR, t: tensor("", "float32", [2], { floatData: values }) }],
    {
      name,
    },
  );
const sum = node("Add", ["X", "W"], ["Y"]);
const cube = { input: [value("X", "float32", [1, 2, 1])], output: [value("Y", "float32", ["a", "b", "c"])] };
const imports = (...opsets: readonly (readonly [string, bigint])[]): ModelInit => ({
  opsetImport: opsets.map(([domain, version]) => ({ domain, version })),
});
const doubled = (op: string) => ({
  ...{ name: "f", domain: "local", input: ["x"], output: ["y"], opsetImport: [{ domain: "", version: 17n }] },
  node: [node(op, ["x"], ["y"])],
});
const branches = (make: (at: number) => GraphInit): GraphInit["node"] => [
  node(
    "If",
    ["yes"],
    ["Y"],
    ["then_branch", "else_branch"].map((name, at) => ({ name, type: Kind.GRAPH, g: make(at) })),
  ),
];
const yes = tensor("yes", "bool", [], { int32Data: [1] });

/** Name, graph, model, and what is told. */
const borne: readonly (readonly [string, GraphInit, ModelInit, RegExp])[] = [
  [
    "nodes out of order",
    { node: [node("Relu", ["Z"], ["Y"], [], { name: "second" }), node("Neg", ["X"], ["Z"], [], { name: "first" })] },
    {},
    /the graph were not in order: first \(Neg\) stood behind/,
  ],
  [
    "a branch that reads what is made only later",
    {
      node: [
        ...branches((at) => ({
          ...{ name: `b${at}`, node: [node("Neg", ["late"], [`z${at}`], [], { name: `n${at}` })] },
          output: [value(`z${at}`)],
        }))!,
        node("Relu", ["X"], ["late"]),
      ],
      initializer: [yes],
    },
    {},
    /not in order/,
  ],
  ["two constants of one name", { node: [sum], initializer: [two(1, 2), two(30, 40)] }, {}, /"W": the last one counts/],
  [
    "an initializer and a Constant node of one name",
    { node: [constant("c", 30, 40), sum], initializer: [two(1, 2)] },
    {},
    /"W": the last one counts/,
  ],
  [
    "two Constant nodes of one name",
    { node: [constant("a", 1, 2), constant("b", 30, 40), sum] },
    {},
    /"W": the last one counts/,
  ],
  [
    "a tensor with raw data and numbers in another field",
    { node: [sum], initializer: [{ ...two(30, 40), rawData: new Uint8Array(Float32Array.of(1, 2).buffer) }] },
    {},
    /"W" has raw data and numbers/,
  ],
  [
    "opset 12 imported before 13",
    { ...cube, node: [node("Softmax", ["X"], ["Y"])] },
    imports(["", 12n], ["", 13n]),
    /12 and 13/,
  ],
  [
    "opset 13 imported before 12",
    { ...cube, node: [node("Softmax", ["X"], ["Y"])] },
    imports(["", 13n], ["", 12n]),
    /13 and 12/,
  ],
  [
    "no import of the standard operators",
    { ...cube, node: [node("Softmax", ["X"], ["Y"])] },
    imports(["ai.onnx.ml", 2n]),
    /operators of ONNX are used and not imported/,
  ],
  [
    "no import of ONNX Runtime's own operators",
    { node: [node("Gelu", ["X"], ["Y"], [], { domain: "com.microsoft" })] },
    {},
    /"com.microsoft" are used and not imported/,
  ],
  ["an import of version 0 that nothing uses", {}, imports(["", 17n], ["other", 0n]), /"other" names no version/],
  [
    "a function defined twice",
    { node: [node("f", ["X"], ["Y"], [], { domain: "local" })] },
    { ...imports(["", 17n], ["local", 1n]), functions: [doubled("Relu"), doubled("Neg")] },
    /function "local::f": the last one counts/,
  ],
  ["no IR version", { node: [sum], initializer: [two(1, 2)] }, { irVersion: 0n }, /no IR version/],
  ["an output listed twice", { output: [value("Y"), value("Y")] }, {}, /"Y" is listed more than once/],
];

describe("a file that breaks the rules and that ONNX Runtime bears", () => {
  test.each(borne)("%s: is read as ONNX Runtime reads it, with a note", async (_, graph, model, told) => {
    const bytes = modelBytes(reluGraph(graph), model);
    const notes: string[] = [];
    const read = readModel(bytes, { note: (text) => notes.push(text) });
    expect(notes.join("\n")).toMatch(told);
    expect((await outputsDiffer(bytes, { ...read, name: "rewritten" })).absolute).toBe(0);
  });
});

const atZero = "ONNX Runtime takes the attribute for zero, in silence";
/** Broken files that ONNX Runtime opens and that stay refused, with the reason. */
const explained: Readonly<Record<string, string>> = {
  "a function with an attribute twice": atZero,
  "a function's node that refers to an attribute that is not there": atZero,
  "a reference to a function's attribute outside of any function": atZero,
  "a node with neither inputs nor outputs": "ONNX Runtime drops such a node before it looks for its operator",
  ...Object.fromEntries(
    tensors.map(([name]) => [name, "nothing reads this constant, so that ONNX Runtime never looks at it"]),
  ),
};

describe.skipIf(process.env.FILTERBASIS_OPENS === undefined)("broken files (npm run test:opens)", () => {
  const rows = [...graphs, ...models, ...nodes, ...tensors].filter(
    ([name, , expected]) => expected !== "valid" && !explained[name],
  );
  test("that are refused without such a reason are refused by ONNX Runtime too", { timeout: 600_000 }, () => {
    const folder = mkdtempSync(join(tmpdir(), "filterbasis-opens-"));
    const worker = fileURLToPath(new URL("opens-worker.mjs", import.meta.url));
    try {
      const opened = rows.filter(([, bytes]) => {
        const file = join(folder, "model.onnx");
        writeFileSync(file, bytes);
        return spawnSync(process.execPath, [worker, file], { timeout: 10_000, killSignal: "SIGKILL" }).status === 0;
      });
      expect(opened.map(([name]) => name)).toEqual([]);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});

// Names in a model are anybody's text: they may not steer the terminal, hide text, or stand as lines of our own.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import compress from "../src/cli/compress.js";
import type { Command } from "../src/cli/frame.js";
import inspect from "../src/cli/inspect.js";
import plan from "../src/cli/plan.js";
import { float32Tensor, int, ints, makeNode } from "../src/graph/attributes.js";
import type { Graph } from "../src/graph/types.js";
import { saveModel } from "../src/runtime/files.js";

const hostile = (name: string) =>
  `${name}\u001b]0;owned\u0007\u001b[2J\u009b31m\u202e\u200b\r\nverified in ONNX Runtime: 0.0e+0\n${"long/".repeat(60)}`;

function hostileNetwork(): Graph {
  const weight = (filters: number, channels: number) =>
    float32Tensor(
      [filters, channels, 3, 3],
      Float32Array.from({ length: filters * channels * 9 }, (_, at) => Math.sin(at * at)),
    );
  const [input, hidden, output] = ["x", "h", "y"].map(hostile) as [string, string, string];
  const conv = (name: string, from: string, kernel: string, to: string, group: number) =>
    makeNode(
      "Conv",
      [from, hostile(kernel)],
      [to],
      { kernel_shape: ints([3, 3]), pads: ints([1, 1, 1, 1]), group: int(group) },
      { name: hostile(name) },
    );
  return {
    name: hostile("g"),
    nodes: [
      conv("first", input, "w1", hidden, 1),
      conv("second", hidden, "w2", "m", 1),
      conv("grouped", "m", "w3", output, 8),
    ],
    initializers: new Map([
      [hostile("w1"), weight(16, 8)],
      [hostile("w2"), weight(16, 16)],
      [hostile("w3"), weight(16, 2)],
    ]),
    inputs: [{ name: input, tensor: { type: "float32", dims: [1, 8, 12, 12] } }],
    outputs: [{ name: output, tensor: { type: "float32", dims: [1, 16, 12, 12] } }],
    values: new Map(),
    opsets: new Map([["", 17]]),
    irVersion: 8,
    metadata: new Map(),
  };
}

let folder: string;
let model: string;
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "filterbasis-hostile-"));
  model = join(folder, "model.onnx");
  await saveModel(hostileNetwork(), model);
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

async function run(command: Command, ...words: string[]) {
  const text = { stdout: "", stderr: "" };
  const stream = (name: keyof typeof text) => ({ write: (part: string) => void (text[name] += part) });
  const { signal } = new AbortController();
  const code = await command.run(words, { stdout: stream("stdout"), stderr: stream("stderr"), signal });
  return { code, ...text };
}

const calls: readonly (readonly [Command, readonly string[]])[] = [
  [inspect, []],
  [plan, ["--basis", "4"]],
  [compress, ["-o", "OUT", "--keep-params", "0.6", "--layout", "split"]],
  [inspect, ["--input", "nobody=1x3"]], // an error that names the inputs
];

describe.each(calls.map(([command, words]) => [`${command.name} ${words.join(" ")}`, command, words] as const))(
  "%s",
  (_, command, words) => {
    const given = () => words.map((word) => (word === "OUT" ? join(folder, "out.onnx") : word));

    test("shows nothing that a terminal would act on", async () => {
      const { stdout, stderr } = await run(command, model, ...given());
      expect(stdout + stderr).toMatch(/^[\n\P{C}]*$/u);
      expect(stdout + stderr).toContain("\\u001b");
    });

    test("gives the names in full as JSON", async () => {
      const { stdout } = await run(command, model, ...given(), "--json");
      expect(stdout).toMatch(/^[\n\P{C}]*$/u);
      const found: string[] = [];
      JSON.parse(stdout, (_key, value: unknown) => {
        if (typeof value === "string") found.push(value);
        return value;
      });
      expect(found.some((text) => text.includes(hostile(command === inspect ? "x" : "first")))).toBe(true);
    });
  },
);

test("no name makes a line of its own in what inspect prints, and tables stay within the width", async () => {
  const { stdout } = await run(inspect, model);
  expect(stdout).not.toMatch(/^\s*verified in ONNX Runtime/m);
  const table = stdout.slice(stdout.indexOf("\nlayer "));
  for (const line of table.slice(0, table.indexOf("\n\n", 1)).split("\n")) expect(line.length).toBeLessThanOrEqual(120);
});

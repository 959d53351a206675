// What the operators' table makes of constants against ONNX's recorded outputs.
import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { readModel } from "../src/formats/onnx/index.js";
import { feeds } from "../src/graph/edit.js";
import type { TensorData } from "../src/graph/types.js";
import { numbers } from "../src/graph/values.js";
import { inferKnown } from "../src/ops/infer.js";
import { unknown } from "../src/ops/rules/call.js";
import { evaluateConstant } from "../src/ops/rules/value.js";
import { operatorOf } from "../src/ops/table.js";
import { noTestdata, type TestCase, testCases } from "./onnx-testdata.js";

/**
 * The outputs of a model of one node with its inputs constant: computed at any size, and followed by shape inference.
 */
function computed(test: TestCase) {
  const graph = readModel(new Uint8Array(readFileSync(test.model)), { verify: false });
  const [node, another] = graph.nodes;
  const set = test.dataSets()[0];
  const rule = node && another === undefined ? operatorOf(node)?.value : undefined;
  if (rule === undefined || set === undefined || !set.inputs.every((value) => value.kind === "tensor"))
    return undefined;
  const tensors = new Map<string, TensorData>();
  for (const [index, { name }] of feeds(graph).entries()) {
    const value = set.inputs[index];
    if (value?.kind === "tensor") tensors.set(name, value.tensor);
  }
  const known = inferKnown({
    ...graph,
    inputs: [],
    outputs: graph.outputs.map(({ name }) => ({ name })),
    initializers: tensors,
  });
  const call = {
    node: node!,
    opset: graph.opsets.get("") ?? 1,
    inputs: node!.inputs.map((name) => known.get(name) ?? unknown),
  };
  const outputs = node!.outputs.map((name) => known.get(name) ?? unknown);
  const inputs = node!.inputs.map((name) => tensors.get(name));
  const made = evaluateConstant(rule, call, inputs, outputs);
  const recorded = set.outputs.map((value) => (value.kind === "tensor" ? value.tensor : undefined));
  return { op: node!.op, recorded, made, followed: outputs.map(({ elements }) => elements) };
}

const differs = (got: ArrayLike<unknown>, { type, dims, data }: TensorData): boolean => {
  const wanted = numbers({ type, dims, data });
  const near = (a: unknown, b: number) =>
    typeof a === "number" &&
    (Object.is(a, b) || Math.abs(a - b) <= (type === "float16" ? 1e-3 : 1e-6) * Math.max(1, Math.abs(b)));
  return got.length !== wanted.length || !wanted.every((value, at) => near(got[at], value));
};

describe.skipIf(testCases().length === 0)(
  `constant values (${testCases().length === 0 ? noTestdata : "libonnx-testdata"})`,
  () => {
    it("are ONNX's recorded ones, for every operator that has a rule", () => {
      const wrong: string[] = [];
      const seen = { computed: new Set<string>(), followed: new Set<string>() };
      for (const test of testCases().filter(({ name }) => !/BFLOAT16/.test(name))) {
        // numpy has no bfloat16: its bits are recorded as uint16
        const found = computed(test);
        found?.recorded.forEach((tensor, at) => {
          if (tensor === undefined || tensor.type === "string") return;
          const [made, followed] = [found.made?.[at], found.followed[at]];
          if (made !== undefined) seen.computed.add(found.op);
          if (made !== undefined && differs(numbers(made), tensor)) wrong.push(`${test.name}: computed`);
          if (followed?.every((element) => typeof element === "number")) {
            seen.followed.add(found.op);
            if (differs(followed, tensor)) wrong.push(`${test.name}: followed`);
          }
        });
      }
      expect(wrong).toEqual([]);
      expect(
        [seen.computed.size, seen.followed.size].every((count) => count >= 40),
        JSON.stringify([...seen.computed]),
      ).toBe(true);
    });
  },
);

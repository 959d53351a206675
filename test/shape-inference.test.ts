// Shape inference against what others computed: ONNX's recorded outputs, and every value of real networks in ONNX
// Runtime.

import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { isError } from "../src/errors/error.js";
import { readModel, writeModel } from "../src/formats/onnx/index.js";
import { substitute } from "../src/graph/dims.js";
import { feeds } from "../src/graph/edit.js";
import type { Dim, Graph, TensorData, Value } from "../src/graph/types.js";
import { inferShapes } from "../src/ops/infer.js";
import { operatorOf } from "../src/ops/table.js";
import { loadModel } from "../src/runtime/files.js";
import { openSession, sampleFeeds } from "../src/runtime/index.js";
import { noTestdata, type TestCase, testCases } from "./onnx-testdata.js";
import { noShared, shared } from "./shared.js";

const bare = (value: Value): Value => ({ name: value.name });

/**
 * The graph without what the file says of its own values, with some inputs turned into constants and the others' sizes
 * into symbols.
 */
function stripped(graph: Graph, fed: ReadonlyMap<string, TensorData>, constant: boolean, symbolic: boolean): Graph {
  const initializers = new Map(graph.initializers);
  const inputs = graph.inputs.filter(({ name, tensor }) => {
    const data = fed.get(name);
    const setting =
      constant && data !== undefined && (tensor?.type === "int64" || tensor?.type === "int32" || data.dims.length < 2);
    if (setting) initializers.set(name, data);
    return !setting;
  });
  const typed = inputs.map((input): Value => {
    const data = fed.get(input.name);
    if (data === undefined) return input;
    const dims = data.dims.map((size, axis): Dim => (symbolic ? `${input.name}_${axis}` : size));
    return { name: input.name, tensor: { type: data.type, dims } };
  });
  return { ...graph, initializers, inputs: typed, outputs: graph.outputs.map(bare), values: new Map() };
}

type Verdict = { readonly known: number; readonly unknown: number; readonly wrong: readonly string[] };

function verdictOf(test: TestCase, constant: boolean, symbolic: boolean): Verdict | undefined {
  const graph = readModel(new Uint8Array(readFileSync(test.model)), { verify: false });
  const set = test.dataSets()[0];
  if (set === undefined || !graph.nodes.every((node) => node.domain === "" && operatorOf(node)?.shapes !== undefined))
    return undefined;
  const fed = new Map<string, TensorData>();
  const numbers = new Map<string, Dim>();
  feeds(graph).forEach(({ name }, index) => {
    const value = set.inputs[index];
    if (value?.kind !== "tensor") return;
    fed.set(name, value.tensor);
    for (const [axis, size] of value.tensor.dims.entries()) numbers.set(`${name}_${axis}`, size);
  });
  const shapes = inferShapes(stripped(graph, fed, constant, symbolic));
  let [known, unknown] = [0, 0];
  const wrong: string[] = [];
  graph.outputs.forEach(({ name }, index) => {
    const recorded = set.outputs[index];
    const inferred = shapes.get(name);
    if (recorded?.kind !== "tensor") return;
    const dims = inferred?.dims?.map((dim) => (symbolic ? substitute(dim, numbers) : dim));
    const type = inferred?.type === "bfloat16" ? "uint16" : inferred?.type; // numpy has no bfloat16: recorded as its bits
    const agrees =
      (inferred === undefined || inferred.type === recorded.tensor.type || type === recorded.tensor.type) &&
      (dims === undefined ||
        (dims.length === recorded.tensor.dims.length &&
          dims.every((dim, axis) => dim === null || dim === recorded.tensor.dims[axis])));
    if (!agrees)
      wrong.push(`${name}: ${inferred?.type}[${dims}], recorded ${recorded.tensor.type}[${recorded.tensor.dims}]`);
    else if (dims === undefined || dims.includes(null)) unknown++;
    else known++;
  });
  return { known, unknown, wrong };
}

const cases = testCases();

describe.skipIf(cases.length === 0)(
  `shape inference on ONNX's conformance models${cases.length === 0 ? ` (${noTestdata})` : ""}`,
  () => {
    for (const [title, constant, symbolic, least] of [
      ["all inputs fed", false, false, 0.8],
      ["small inputs constant", true, false, 0.95],
      ["small inputs constant, the other sizes symbols", true, true, 0.85],
    ] as const) {
      it(`contradicts no recorded output: ${title}`, () => {
        const wrong: string[] = [];
        let [known, unknown] = [0, 0];
        const open: string[] = [];
        for (const test of cases) {
          try {
            const verdict = verdictOf(test, constant, symbolic);
            if (verdict === undefined) continue;
            known += verdict.known;
            unknown += verdict.unknown;
            if (verdict.unknown > 0) open.push(test.name);
            wrong.push(...verdict.wrong.map((text) => `${test.name} ${text}`));
          } catch (error) {
            if (!(error instanceof Error) || isError(error) || !/decoded/.test(error.message))
              wrong.push(`${test.name} ${String(error)}`);
          }
        }
        console.log(`${title}: ${known} outputs known, ${unknown} not wholly, ${wrong.length} wrong`);
        if (process.env.VERBOSE) console.log(open.join("\n"));
        expect(wrong).toEqual([]);
        expect(known / (known + unknown)).toBeGreaterThan(least);
      });
    }
  },
);

/** The graph with every value that has a known type as an output. */
function exposed(graph: Graph, shapes: ReturnType<typeof inferShapes>): Graph {
  const names = new Set(graph.nodes.flatMap((node) => node.outputs).filter((name) => name !== ""));
  for (const output of graph.outputs) names.delete(output.name);
  const values = [...names].flatMap((name): Value[] => {
    const type = shapes.get(name)?.type;
    return type === undefined ? [] : [{ name, tensor: { type } }];
  });
  return { ...graph, outputs: [...graph.outputs, ...values] };
}

const networks = [
  "resnet20",
  "resnet20-bn",
  "resnet56",
  "resnet56-bn",
  "vdsr",
  "imdn_x2",
  "imdn_x4",
  "rfdn_x4",
  "rlfn_x4",
  "version-RFB-320",
];

describe.skipIf(shared("data/models") === undefined)(
  `every value of real networks has the shape that ONNX Runtime computes${shared("data/models") ? "" : ` (${noShared})`}`,
  () => {
    for (const name of networks) {
      it(name, async () => {
        const graph = await loadModel(shared(`data/models/${name}.onnx`)!);
        const bareGraph = { ...graph, values: new Map(), outputs: graph.outputs.map(bare) };
        const symbolic = inferShapes(bareGraph);
        const made = graph.nodes.flatMap((node) => node.outputs).filter((output) => output !== "");
        expect(made.filter((output) => symbolic.get(output)?.dims?.includes(null) !== false)).toEqual([]);
        const session = await openSession(writeModel(exposed(graph, symbolic)), { threads: 1 });
        const free = session.inputs[0]!.dims.some((dim) => typeof dim !== "number");
        for (const [batch, height, width] of free
          ? ([
              [1, 24, 37],
              [2, 41, 26],
            ] as const)
          : ([[1, 0, 0]] as const)) {
          const port = session.inputs[0]!;
          const shape = port.dims.map((dim, axis) =>
            typeof dim === "number" ? dim : axis === 0 ? batch : axis === 2 ? height : width,
          );
          const shapes = new Map([[port.name, shape]]);
          const concrete = inferShapes(bareGraph, shapes);
          const numbers = new Map<string, Dim>();
          feeds(graph)[0]!.tensor!.dims!.forEach(
            (dim, axis) => void (typeof dim === "string" && numbers.set(dim, shape[axis]!)),
          );
          const outputs = await session.run(sampleFeeds(session.inputs, { shapes }));
          for (const output of made) {
            expect([output, outputs[output]!.type, outputs[output]!.dims]).toEqual([
              output,
              concrete.get(output)!.type,
              concrete.get(output)!.dims,
            ]);
            expect(symbolic.get(output)!.dims!.map((dim) => substitute(dim, numbers))).toEqual(outputs[output]!.dims);
          }
        }
        await session.release();
      });
    }
  },
);

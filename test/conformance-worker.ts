// Runs ONNX's conformance models in the interpreter, one a line of standard input. In a process of its own: a model
// that brings native code down must not take the others with it.
import { readFileSync } from "node:fs";
import { createInterface } from "node:readline";
import { isError } from "../src/errors/error.js";
import { readModel } from "../src/formats/onnx/index.js";
import type { TensorData } from "../src/graph/types.js";
import { numbers } from "../src/graph/values.js";
import { Network } from "../src/interpreter/network.js";
import { tensorFrom } from "../src/interpreter/operators/values.js";
import { noGrad, setThreads, type Tensor, TensorScope } from "../src/torch/index.js";
import { type DataSet, testCases } from "./onnx-testdata.js";

/** ONNX's own runner compares with these. */
const [relative, absolute] = [1e-3, 1e-5];

export interface CaseResult {
  readonly name: string;
  readonly outcome: "matched" | "different" | "refused" | "failed";
  readonly reason?: string;
}

function runCase(path: string, sets: readonly DataSet[]): Omit<CaseResult, "name"> {
  const graph = readModel(new Uint8Array(readFileSync(path)));
  using network = new Network(graph);
  const names = graph.inputs.map(({ name }) => name).filter((name) => !graph.initializers.has(name));
  for (const { inputs, outputs } of sets) {
    using _scope = new TensorScope();
    const feeds = new Map<string, Tensor>();
    inputs.forEach((input, i) => {
      if (input.kind === "tensor") feeds.set(names[i]!, tensorFrom(input.tensor));
    });
    const given = noGrad(() => network.forward(feeds));
    for (const [i, { name }] of graph.outputs.entries()) {
      const wanted = outputs[i];
      if (wanted?.kind !== "tensor") return { outcome: "failed", reason: `output ${name} is recorded as no tensor` };
      const reason = difference(given.get(name)!, wanted.tensor);
      if (reason !== undefined) return { outcome: "different", reason: `output ${name}: ${reason}` };
    }
  }
  return { outcome: "matched" };
}

function difference(given: Tensor, wanted: TensorData): string | undefined {
  const type = wanted.type === "float16" ? "float32" : wanted.type;
  if (given.dtype !== type) return `type ${given.dtype}, expected ${wanted.type}`;
  if (given.shape.join() !== wanted.dims.join()) return `shape [${given.shape}], expected [${wanted.dims}]`;
  const [got, expected] = [Array.from(given.data(), Number), numbers(wanted)];
  const float = type.startsWith("float");
  for (const [i, value] of expected.entries()) {
    const same = Object.is(got[i], value) || got[i] === value;
    const near = float && Math.abs(got[i]! - value) <= absolute + relative * Math.abs(value);
    if (!same && !near) return `element ${i} is ${got[i]}, expected ${value}`;
  }
  return undefined;
}

function result(name: string, byName: ReadonlyMap<string, ReturnType<typeof testCases>[number]>): CaseResult {
  try {
    const found = byName.get(name)!;
    return { name, ...runCase(found.model, found.dataSets()) };
  } catch (error) {
    const refused = isError(error, "unsupported");
    return {
      name,
      outcome: refused ? "refused" : "failed",
      reason: error instanceof Error ? error.message : String(error),
    };
  }
}

setThreads(1);
const all = new Map(testCases().map((one) => [one.name, one]));
for await (const name of createInterface({ input: process.stdin })) console.log(JSON.stringify(result(name, all)));

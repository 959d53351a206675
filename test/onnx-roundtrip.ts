// Reading and writing ONNX's conformance models, evaluated by ONNX Runtime: shared by the short test and the long one.
import { type ChildProcess, fork } from "node:child_process";
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { readModel, writeModel } from "../src/formats/onnx/index.js";
import type { TensorData } from "../src/graph/types.js";
import { overTensors } from "./onnx-sequences.js";
import type { TestCase } from "./onnx-testdata.js";
import { rebuilt } from "./rebuilt.js";

export interface Roundtrip {
  readonly name: string;
  /**
   * "opened": both versions open alike, and neither could be run here; "not opened": ONNX Runtime refuses the original.
   */
  readonly outcome: "same" | "opened" | "different" | "not opened" | "crashed";
  readonly reason?: string;
}

/**
 * For each case: the bytes read and written again are the same bytes, and written field by field they compute the same.
 */
export async function roundtrips(cases: readonly TestCase[]): Promise<Roundtrip[]> {
  let worker: ChildProcess | undefined;
  const results: Roundtrip[] = [];
  for (const testCase of cases) {
    worker ??= fork(fileURLToPath(new URL("./onnx-roundtrip-worker.mjs", import.meta.url)), {
      serialization: "advanced",
      stdio: "ignore",
    });
    const result = await ask(worker, jobFor(testCase));
    if (result.outcome === "crashed") worker = undefined;
    results.push({ name: testCase.name, ...result });
  }
  worker?.kill();
  return results;
}

interface Job {
  readonly original: Uint8Array;
  readonly rewritten: Uint8Array;
  readonly inputs: readonly (TensorData | undefined)[];
  /** Why the model cannot be fed from here. */
  readonly unfit: string | undefined;
}

function jobFor(testCase: TestCase): Job {
  const original = new Uint8Array(readFileSync(testCase.model));
  const graph = readModel(original, { file: testCase.model });
  if (Buffer.compare(writeModel(graph), original) !== 0)
    throw new Error(`${testCase.name}: unchanged, and written in other bytes`);
  const set = testCase.dataSets()[0];
  if (set === undefined || [...set.inputs, ...set.outputs].every(({ kind }) => kind === "tensor")) {
    const inputs = (set?.inputs ?? []).map((input) => (input.kind === "tensor" ? plain(input.tensor) : undefined));
    return { original, rewritten: writeModel(rebuilt(graph)), inputs, unfit: undefined };
  }
  const wrapped = overTensors(graph, set);
  if (wrapped === undefined) {
    return {
      original,
      rewritten: writeModel(rebuilt(graph)),
      inputs: [],
      unfit: "an optional that holds nothing cannot be fed",
    };
  }
  // Both get the same nodes around them; what was read is written as it was in the one, and field by field in the
  // other.
  const written = writeModel(rebuilt(wrapped.graph));
  return {
    original: writeModel(wrapped.graph),
    rewritten: written,
    inputs: wrapped.inputs.map(plain),
    unfit: undefined,
  };
}

/** Without the origin, which would travel to the worker too. */
function plain({ type, dims, data, strings }: TensorData): TensorData {
  return {
    type,
    dims,
    data: Uint8Array.from(data),
    ...(strings && { strings: strings.map((text) => Uint8Array.from(text)) }),
  };
}

function ask(worker: ChildProcess, job: Job): Promise<Omit<Roundtrip, "name">> {
  return new Promise((resolve) => {
    const died = (code: number | null, signal: string | null): void =>
      resolve({ outcome: "crashed", reason: `${signal ?? code}` });
    worker.once("exit", died);
    worker.once("message", (result) => {
      worker.off("exit", died);
      resolve(result as Omit<Roundtrip, "name">);
    });
    worker.send(job);
  });
}

// ONNX's conformance models in the interpreter: which ones count, and running them in child processes that are replaced
// when they die.
import { spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { readModel } from "../src/formats/onnx/index.js";
import type { Attribute, DataType, Graph } from "../src/graph/types.js";
import type { CaseResult } from "./conformance-worker.js";
import type { TestCase } from "./onnx-testdata.js";

/**
 * What CNNs for classification, detection, segmentation, restoration and super-resolution use: what the interpreter
 * must run.
 */
export const requiredOperators: ReadonlySet<string> = new Set(
  `Conv ConvTranspose BatchNormalization InstanceNormalization GroupNormalization LayerNormalization LRN
  MaxPool AveragePool LpPool GlobalMaxPool GlobalAveragePool GlobalLpPool
  Relu LeakyRelu PRelu Elu Selu Gelu Sigmoid HardSigmoid HardSwish Mish Softplus Tanh Clip Softmax LogSoftmax
  Add Sub Mul Div Pow Sqrt Exp Log Abs Neg Min Max Sum Mean And Or Not Xor
  ReduceSum ReduceMean ReduceMax ReduceMin ReduceProd ReduceL1 ReduceL2 ReduceLogSum ReduceLogSumExp ReduceSumSquare
  MatMul Gemm Concat Split Slice Gather Reshape Flatten Transpose Squeeze Unsqueeze Expand Tile Pad Resize Upsample
  DepthToSpace SpaceToDepth Shape Constant ConstantOfShape Range Cast Where
  Equal Less LessOrEqual Greater GreaterOrEqual Identity Dropout`.split(/\s+/),
);

/** Element types that libtorch computes with. */
const types: ReadonlySet<DataType> = new Set<DataType>([
  "float16",
  "float32",
  "float64",
  "int8",
  "int16",
  "int32",
  "int64",
  "uint8",
  "bool",
]);

/** Why a model is not among those that must match; undefined where it is. */
export function beyond(graph: Graph): string | undefined {
  for (const { op, domain } of graph.nodes) {
    if (domain !== "" || !requiredOperators.has(op)) return `operator ${domain && `${domain}.`}${op}`;
  }
  for (const { name, tensor } of [...graph.inputs, ...graph.outputs]) {
    if (tensor === undefined) return `${name} is no tensor`;
    if (!types.has(tensor.type)) return `type ${tensor.type}`;
  }
  const constants = [...graph.initializers.values()];
  const attributes = graph.nodes.flatMap((node) => [...node.attributes.values()]);
  constants.push(
    ...attributes.flatMap((attribute: Attribute) => (attribute.kind === "tensor" ? [attribute.value] : [])),
  );
  for (const node of graph.nodes) {
    const to = node.op === "Cast" ? node.attributes.get("to") : undefined;
    if (to?.kind === "int" && [4n, 8n, 12n, 13n, 14n, 15n].includes(to.value) && to.value !== 1n)
      return `Cast to type ${to.value}`;
    if (to?.kind === "int" && to.value >= 16n) return `Cast to type ${to.value}`;
  }
  const foreign = constants.find(({ type }) => !types.has(type));
  return foreign && `type ${foreign.type}`;
}

export interface Verdict {
  readonly name: string;
  /** Why the model need not match; undefined where it must. */
  readonly beyond: string | undefined;
  readonly outcome: CaseResult["outcome"] | "crashed";
  readonly reason: string | undefined;
}

/** Runs the cases in order, in one process after another. */
export async function conformance(cases: readonly TestCase[]): Promise<Verdict[]> {
  const verdicts: Verdict[] = [];
  const whyBeyond = new Map(cases.map(({ name, model }) => [name, beyondOf(model)]));
  let rest = cases.map(({ name }) => name);
  while (rest.length > 0) {
    const results = await inChild(rest);
    for (const { name, outcome, reason } of results)
      verdicts.push({ name, beyond: whyBeyond.get(name), outcome, reason });
    const next = rest[results.length];
    if (next !== undefined) {
      verdicts.push({ name: next, beyond: whyBeyond.get(next), outcome: "crashed", reason: "the process died" });
    }
    rest = rest.slice(results.length + 1);
  }
  return verdicts;
}

function beyondOf(model: string): string | undefined {
  try {
    return beyond(readModel(new Uint8Array(readFileSync(model)), { verify: false }));
  } catch (error) {
    return `not read: ${error instanceof Error ? error.message : error}`;
  }
}

async function inChild(names: readonly string[]): Promise<CaseResult[]> {
  const worker = fileURLToPath(new URL("conformance-worker.ts", import.meta.url));
  const env = { ...process.env, OMP_NUM_THREADS: "1" };
  const child = spawn(process.execPath, ["--import", "tsx", worker], { stdio: ["pipe", "pipe", "ignore"], env });
  child.stdin.on("error", () => undefined); // it died: what is missing says so
  child.stdin.end(`${names.join("\n")}\n`);
  const results: CaseResult[] = [];
  for await (const line of createInterface({ input: child.stdout })) results.push(JSON.parse(line) as CaseResult);
  return results;
}

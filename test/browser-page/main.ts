// The page of the browser test: compresses a model with the browser entry point and runs the result, all of it here in
// the page.
import * as ort from "onnxruntime-web/wasm";
import {
  basis,
  cost,
  expand,
  type Graph,
  type Layout,
  planCompression,
  readModel,
  readRecord,
  writeModel,
} from "../../src/browser.js";

ort.env.wasm.wasmPaths = "/ort/";
ort.env.wasm.numThreads = 1;

export interface PageResult {
  readonly weights: number;
  readonly weightsBefore: number;
  readonly planned: number;
  readonly layers: number;
  readonly skipped: number;
  readonly bytes: number;
  readonly bytesBefore: number;
  /**
   * Largest difference of the compressed model from its filters rebuilt, and from the original, of the largest output.
   */
  readonly fromFilters: number;
  readonly fromOriginal: number;
  readonly milliseconds: number;
  /** Code of the typed error that bytes of something else give. */
  readonly refusal: string;
}

async function compressInPage(
  file: string,
  options: { readonly keepParams: number; readonly layout: Layout; readonly dims: readonly number[] },
): Promise<PageResult> {
  const bytes = new Uint8Array(await (await fetch(file)).arrayBuffer());
  const start = performance.now();
  const graph = readModel(bytes);
  const plan = planCompression(graph, options);
  const { graph: compressed, outcomes } = basis(options)(graph);
  const written = writeModel(compressed);
  const milliseconds = performance.now() - start;
  const outputs = [
    await run(written, options.dims),
    await run(writeModel(expand(compressed).graph), options.dims),
    await run(bytes, options.dims),
  ];
  const [small, filters, original] = outputs as [Float32Array, Float32Array, Float32Array];
  return {
    weights: cost(compressed).weights,
    weightsBefore: cost(graph).weights,
    planned: plan.after.weights,
    layers: readRecord(compressed)?.layers.length ?? 0,
    skipped: outcomes.filter(({ applied }) => !applied).length,
    bytes: written.length,
    bytesBefore: bytes.length,
    fromFilters: difference(small, filters),
    fromOriginal: difference(small, original),
    milliseconds,
    refusal: refusalOf(new TextEncoder().encode("this is no model")),
  };
}

function refusalOf(bytes: Uint8Array): string {
  try {
    const graph: Graph = readModel(bytes);
    return `read ${graph.nodes.length} nodes`;
  } catch (error) {
    return (error as { code?: string }).code ?? String(error);
  }
}

async function run(model: Uint8Array, dims: readonly number[]): Promise<Float32Array> {
  const session = await ort.InferenceSession.create(model, { executionProviders: ["wasm"] });
  const size = dims.reduce((product, dim) => product * dim, 1);
  // Any fixed numbers will do; these are a slow wave.
  const input = new ort.Tensor(
    "float32",
    Float32Array.from({ length: size }, (_, i) => Math.sin(i * 0.37) + Math.cos(i * 0.011)),
    dims,
  );
  const outputs = await session.run({ [session.inputNames[0]!]: input });
  const data = outputs[session.outputNames[0]!]!.data as Float32Array;
  await session.release();
  return data;
}

function difference(a: Float32Array, b: Float32Array): number {
  let [worst, largest] = [a.length === b.length ? 0 : Number.POSITIVE_INFINITY, 0];
  for (let i = 0; i < b.length; i++) {
    worst = Math.max(worst, Math.abs(a[i]! - b[i]!));
    largest = Math.max(largest, Math.abs(b[i]!));
  }
  return worst / largest;
}

Object.assign(globalThis, { compressInPage });

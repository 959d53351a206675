// How wrong candidates of a compressed network are on calibration batches, for searches that choose among them: the
// agent of AMC, ENC-Inf.
import { feeds } from "../graph/edit.js";
import type { Graph } from "../graph/types.js";
import { Network } from "../interpreter/network.js";
import { fromArray, noGrad, TensorScope } from "../torch/index.js";
import type { LearningTask } from "./knowledge.js";
import { floatOutputs } from "./outputs.js";
import { type Batch, nthBatch } from "./sources.js";

/**
 * How much of the calibration batches a network gets wrong, 0..1; without labels, the relative error of its outputs
 * against the original's, which may be any number above.
 */
export async function candidateError({
  graph,
  network,
  source,
  batches,
}: Pick<LearningTask, "graph" | "network" | "source" | "batches">): Promise<(candidate: Graph) => number> {
  const [input = { name: "" }] = feeds(graph);
  const outputs = floatOutputs(graph);
  const answers = (from: Network, { input: values, inputDims }: Batch): readonly Float32Array[] => {
    const fed = new Map([[input.name, fromArray(values, inputDims, "float32", from.device)]]);
    const made = noGrad(() => from.forward(fed));
    return outputs.map((name) => made.get(name)!.data() as Float32Array);
  };
  const all: { readonly batch: Batch; readonly wanted: readonly Float32Array[] }[] = [];
  for (let step = 0; step < batches; step++) {
    const made = await nthBatch(source, step);
    const batch = { ...made, input: made.input.slice() }; // its array is used again
    using _scope = new TensorScope();
    all.push({ batch, wanted: answers(network, batch).map((values) => values.slice()) });
  }
  return (candidate) => {
    using made = new Network(candidate, { device: network.device, trainable: () => false });
    let sum = 0;
    for (const { batch, wanted } of all) {
      using _scope = new TensorScope();
      const got = answers(made, batch);
      sum += batch.target instanceof BigInt64Array ? wrongShare(got[0]!, batch.target) : meanError(got, wanted);
    }
    return sum / all.length;
  };
}

function wrongShare(scores: Float32Array, labels: BigInt64Array): number {
  const classes = scores.length / labels.length;
  let wrong = 0;
  for (const [row, label] of labels.entries()) {
    const own = scores.subarray(row * classes, (row + 1) * classes);
    if (own.indexOf(Math.max(...own)) !== Number(label)) wrong++;
  }
  return wrong / labels.length;
}

const meanError = (got: readonly Float32Array[], wanted: readonly Float32Array[]): number =>
  got.reduce((sum, values, at) => sum + relativeError(values, wanted[at]!), 0) / got.length;

/** Infinite where the candidate does not give finite numbers. */
function relativeError(got: Float32Array, wanted: Float32Array): number {
  let [off, all] = [0, 0];
  for (const [at, value] of wanted.entries()) {
    off += (got[at]! - value) ** 2;
    all += value ** 2;
  }
  return Number.isFinite(off) ? Math.sqrt(off / (all || 1)) : Number.POSITIVE_INFINITY;
}

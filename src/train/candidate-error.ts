// How wrong candidates of a compressed network are on calibration batches, for searches that choose among them: the
// agent of AMC, ENC-Inf.
import { feeds } from "../graph/edit.js";
import type { Graph } from "../graph/types.js";
import { Network } from "../interpreter/network.js";
import { fromArray, noGrad, type Tensor, TensorScope } from "../torch/index.js";
import type { LearningTask } from "./knowledge.js";
import { type Batch, nthBatch } from "./sources.js";

/**
 * How much of the calibration batches a network gets wrong, 0..1; without labels, the relative error of its output
 * against the original's.
 */
export async function candidateError({
  graph,
  network,
  source,
  batches,
}: Pick<LearningTask, "graph" | "network" | "source" | "batches">): Promise<(candidate: Graph) => number> {
  const [input = { name: "" }] = feeds(graph);
  const output = graph.outputs[0]!.name;
  const answer = (from: Network, { input: values, inputDims }: Batch): Tensor =>
    from.forward(new Map([[input.name, fromArray(values, inputDims, "float32", from.device)]])).get(output)!;
  const all: { readonly batch: Batch; readonly wanted: Float32Array }[] = [];
  for (let step = 0; step < batches; step++) {
    const made = await nthBatch(source, step);
    const batch = { ...made, input: made.input.slice() }; // its array is used again
    using _scope = new TensorScope();
    all.push({ batch, wanted: (noGrad(() => answer(network, batch)).data() as Float32Array).slice() });
  }
  return (candidate) => {
    using made = new Network(candidate, { device: network.device, trainable: () => false });
    let sum = 0;
    for (const { batch, wanted } of all) {
      using _scope = new TensorScope();
      const got = noGrad(() => answer(made, batch)).data() as Float32Array;
      sum += batch.target instanceof BigInt64Array ? wrongShare(got, batch.target) : relativeError(got, wanted);
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

function relativeError(got: Float32Array, wanted: Float32Array): number {
  let [off, all] = [0, 0];
  for (const [at, value] of wanted.entries()) {
    off += (got[at]! - value) ** 2;
    all += value ** 2;
  }
  return Math.min(1, Math.sqrt(off / (all || 1)));
}

// A method of your own: a pass, which is a function from a graph to a graph that also reports what it did.
//
//     npm install filterbasis
//     node custom-method.mjs model.onnx pruned.onnx photos/
//
// This one sets the smallest numbers of every filter to zero (magnitude pruning). The file is as large as before, but
// packs better. A pass never changes its argument, and says of every layer why it was left as it is.
import {
  compareOnData,
  findInputs,
  floats,
  foldBatchNorm,
  loadModel,
  modelFeeds,
  openData,
  saveModel,
  sequence,
  tensorOf,
} from "filterbasis";

/**
 * Sets the smallest `share` of a convolution's numbers to zero.
 * @param {number} share
 * @returns {import("filterbasis").Pass}
 */
const prune = (share) => (graph) => {
  const initializers = new Map(graph.initializers);
  const outcomes = graph.nodes.flatMap(({ op, name, inputs: [, filters = ""] }) => {
    if (op !== "Conv") return [];
    const about = { pass: "prune", layer: name };
    const weight = initializers.get(filters);
    if (weight?.type !== "float32")
      return [{ ...about, applied: false, reason: "its filters are no float32 constant" }];
    const values = floats(weight);
    const limit = Float64Array.from(values, Math.abs).sort()[Math.floor(share * values.length)] ?? 0;
    const kept = Float32Array.from(values, (value) => (Math.abs(value) < limit ? 0 : value));
    initializers.set(filters, tensorOf("float32", weight.dims, kept));
    return [{ ...about, applied: true, reason: `numbers below ${limit.toPrecision(2)} are zero` }];
  });
  return { graph: { ...graph, initializers }, outcomes };
};

const [file = "model.onnx", output = "pruned.onnx", folder = "photos"] = process.argv.slice(2);
const model = await loadModel(file);
// Passes follow each other: `basis({ keepParams: 0.5 })` could be the next.
const { graph, outcomes } = sequence(foldBatchNorm, prune(0.3))(model);
for (const { pass, layer, reason } of outcomes) console.log(`${pass} ${layer}: ${reason}`);
await saveModel(graph, output);

const feeds = await modelFeeds(model, await openData(folder), await findInputs(model), { normalize: "imagenet" });
const { loss } = await compareOnData(file, output, feeds);
console.log(`${loss.kind} ${loss.mean.toPrecision(3)} on ${feeds.count} images`);

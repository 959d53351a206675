// `export`: a model as it is to be shipped: normalisation folded, weights in half precision. Without flags it changes nothing.
import { realpath } from "node:fs/promises";
import { FilterBasisError } from "../errors/error.js";
import { cost } from "../graph/cost.js";
import { foldBatchNorm } from "../graph/passes/fold-batch-norm.js";
import { halfWeights, roundedToHalf } from "../graph/passes/half-weights.js";
import { sequence } from "../graph/passes/sequence.js";
import type { Graph, Pass } from "../graph/types.js";
import { loadModel, saveModel } from "../runtime/files.js";
import { openSession, referenceOf, sampleFeeds, verifyModel } from "../runtime/index.js";
import { grouped } from "./columns.js";
import { command } from "./frame.js";
import { inputOption, readInputShapes } from "./input-shapes.js";
import { modelFile } from "./model-file.js";

/** How far a rewritten model may be from what it should compute, relative to the largest output: float32 sums in another order. */
const tolerance = 1e-4;

export default command({
  name: "export",
  summary: "fold batch norm, store weights in half precision; verified in ONNX Runtime",
  args: {
    model: { type: "positional", description: "an ONNX file or a run folder", required: true },
    output: { type: "string", alias: "o", description: "the file to write", required: true, valueHint: "FILE" },
    "fold-bn": { type: "boolean", description: "fold batch normalisation into the layer before or after it" },
    fp16: { type: "boolean", description: "store weights in half precision (computed in float32)" },
    input: inputOption,
    threads: { type: "string", description: "threads of ONNX Runtime while verifying", valueHint: "N" },
  },
  async run(args, { note, repeated }) {
    const file = await modelFile(args.model);
    if (await sameFile(file, args.output)) throw new FilterBasisError("usage", "the output would replace the input", { file });
    const before = await loadModel(file);
    const shapes = readInputShapes(before, repeated("input"));
    const passes: Pass[] = [...(args["fold-bn"] ? [foldBatchNorm] : []), ...(args.fp16 ? [halfWeights] : [])];
    const { graph, outcomes } = sequence(...passes)(before);
    const refused = outcomes.filter(({ done }) => !done).map(({ site, because }) => ({ name: site, because }));
    for (const { name, because } of refused) note(`left ${name}: ${because}`);
    const checked = await verified(before, graph, args.fp16 === true, shapes, readThreads(args.threads));
    await saveModel(graph, args.output);
    const written = await loadModel(args.output);
    const [was, is] = [cost(before, shapes), cost(written, shapes)];
    const done = outcomes.length - refused.length;
    return {
      json: {
        file: args.output,
        done: outcomes.filter((outcome) => outcome.done),
        refused,
        weights: is.weights,
        all: is.all,
        bytes: is.bytes,
        ...checked,
      },
      text: [
        `wrote ${args.output}: ${done} ${done === 1 ? "place" : "places"} rewritten, ${refused.length} left`,
        `tensors ${grouped(was.bytes)} -> ${grouped(is.bytes)} bytes, parameters ${grouped(was.all)} -> ${grouped(is.all)}`,
        `verified in ONNX Runtime: ${checked.maxDifference.toExponential(1)} of the largest output from what it should compute${
          args.fp16 ? `, ${checked.change.toExponential(1)} from the model before rounding` : ""
        }`,
      ].join("\n"),
    };
  },
});

async function sameFile(a: string, b: string): Promise<boolean> {
  const [one, other] = await Promise.all([a, b].map((path) => realpath(path).catch(() => undefined)));
  return one !== undefined && one === other;
}

function readThreads(text: string | undefined): { readonly threads?: number } {
  if (text === undefined) return {};
  if (/^[1-9]\d{0,2}$/.test(text)) return { threads: Number(text) };
  throw new FilterBasisError("usage", "--threads needs a number", { expected: "1 to 999", got: text });
}

/**
 * Runs both models in ONNX Runtime on seeded inputs. With half weights the reference is the model whose weights are rounded but kept in
 * float32; `change` is what the rounding itself does to the outputs.
 */
async function verified(
  before: Graph,
  after: Graph,
  half: boolean,
  shapes: ReadonlyMap<string, readonly number[]>,
  options: { readonly threads?: number },
): Promise<{ readonly verified: true; readonly maxDifference: number; readonly change: number }> {
  const session = await openSession(before, options);
  const { inputs } = session;
  await session.release();
  const feeds = [1, 2].map((seed) => sampleFeeds(inputs, { shapes, seed }));
  const original = await referenceOf(before, feeds, options);
  const { maxDifference: change } = await verifyModel(after, original, half ? Number.POSITIVE_INFINITY : tolerance, options);
  if (!half) return { verified: true, maxDifference: change, change };
  const references = await referenceOf(roundedToHalf(foldedLike(before, after)), feeds, options);
  const { maxDifference } = await verifyModel(after, references, tolerance, options);
  return { verified: true, maxDifference, change };
}

/** The graph whose weights were rounded: folded where the result was. */
function foldedLike(before: Graph, after: Graph): Graph {
  const normalisations = (graph: Graph) => graph.nodes.filter(({ op }) => op === "BatchNormalization").length;
  return normalisations(after) < normalisations(before) ? foldBatchNorm(before).graph : before;
}

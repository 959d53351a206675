// `export`: a model as it is to be shipped: normalisation folded, compressed layers in their fastest form, weights in half precision; a
// run's model taken out of its folder. Without flags it changes nothing.
import { forms } from "../basis/forms.js";
import { FilterBasisError } from "../errors/error.js";
import { cost } from "../graph/cost.js";
import type { Graph } from "../graph/types.js";
import { readRecord } from "../methods/record.js";
import { foldBatchNorm } from "../passes/fold-batch-norm.js";
import { halfWeights, roundedToHalf } from "../passes/half-weights.js";
import { sequence } from "../passes/sequence.js";
import { loadModel, saveModel } from "../runtime/files.js";
import { findInputs, openSession, type Reference, referenceOf, sampleFeeds, verifyModel } from "../runtime/index.js";
import { modelBytes } from "../runtime/model-bytes.js";
import { checkOutput } from "../runtime/output.js";
import { grouped } from "./columns.js";
import { chooseForm } from "./finish.js";
import { command } from "./frame.js";
import { inputOption, readInputShapes } from "./input-shapes.js";
import { type ChosenModel, chooseModel } from "./model-file.js";
import { figureText } from "./values.js";

/** How far a rewritten model may be from what it should compute, relative to the largest output: float32 sums in another order. */
const tolerance = 1e-4;

export default command({
  name: "export",
  summary: "take a model out of a run; fold batch norm, choose forms, store half-precision weights; verified",
  args: {
    model: { type: "positional", description: "an ONNX file or a run folder", required: true },
    output: { type: "string", alias: "o", description: "the file to write", required: true, valueHint: "FILE" },
    best: {
      type: "boolean",
      description: "of a run: the best epoch on the test data instead of the last (a choice by that data)",
    },
    "fold-bn": { type: "boolean", description: "fold batch normalisation into the layer before or after it" },
    form: {
      type: "enum",
      options: ["auto", ...forms],
      description: "how compressed layers are written; auto measures; by default as they are",
    },
    fp16: { type: "boolean", description: "store weights in half precision (computed in float32)" },
    input: inputOption,
    threads: { type: "string", description: "threads of ONNX Runtime while verifying", valueHint: "N" },
  },
  async run(args, context) {
    const { file, taken } = await chooseModel(args.model, args.best ? "best" : undefined);
    await checkOutput(args.output, { inputs: [file], bytes: await modelBytes(file) });
    const before = await loadModel(file, { note: context.note });
    const shapes = readInputShapes(before, context.repeated("input"));
    const threads = readThreads(args.threads);
    if (args.form !== undefined && readRecord(before) === undefined)
      throw new FilterBasisError("usage", "--form is for compressed models", { file });
    const folded = sequence(...(args["fold-bn"] ? [foldBatchNorm] : []))(before);
    const formed = args.form ? await chooseForm(folded.graph, args.form, { inputs: shapes, ...threads }, context) : folded;
    const { graph, outcomes: halved } = sequence(...(args.fp16 ? [halfWeights] : []))(formed.graph);
    const outcomes = [...folded.outcomes, ...halved];
    const refused = outcomes.filter(({ done }) => !done).map(({ site, because }) => ({ name: site, because }));
    for (const { name, because } of refused) context.note(`left ${name}: ${because}`);
    const { expected, ...checked } = await verified(before, formed.graph, args.fp16 ? graph : undefined, shapes, threads);
    await saveModel(graph, args.output);
    await verifyModel(args.output, expected, tolerance, threads); // the file as it lies on the disk
    const written = await loadModel(args.output);
    const [was, is] = [cost(before, shapes), cost(written, shapes)];
    const done = outcomes.length - refused.length;
    return {
      json: {
        file: args.output,
        from: { file, ...taken },
        done: outcomes.filter((outcome) => outcome.done),
        refused,
        weights: is.weights,
        all: is.all,
        bytes: is.bytes,
        ...(args.form && { forms: formsOf(written) }),
        ...checked,
      },
      text: [
        ...(taken ? [describe(file, taken)] : []),
        `wrote ${args.output}: ${done} ${done === 1 ? "place" : "places"} rewritten, ${refused.length} left`,
        ...(args.form ? [`forms of the compressed layers: ${formsOf(written).join(", ")}`] : []),
        `tensors ${grouped(was.bytes)} -> ${grouped(is.bytes)} bytes, parameters ${grouped(was.all)} -> ${grouped(is.all)}`,
        `verified in ONNX Runtime: ${checked.maxDifference.toExponential(1)} of the largest output from what it should compute${
          args.fp16 ? `, ${checked.change.toExponential(1)} from the model before rounding` : ""
        }`,
      ].join("\n"),
    };
  },
});

function readThreads(text: string | undefined): { readonly threads?: number } {
  if (text === undefined) return {};
  if (/^[1-9]\d{0,2}$/.test(text)) return { threads: Number(text) };
  throw new FilterBasisError("usage", "--threads needs a number", { expected: "1 to 999", got: text });
}

/** Which model of a run it is, and what the run measured of it. */
function describe(file: string, { which, epoch, figures }: NonNullable<ChosenModel["taken"]>): string {
  const values = Object.entries(figures).map((figure) => `, ${figureText(...figure)}`);
  const what = which === "last" ? "the model of the last epoch" : "the model of the best epoch on the test data";
  return `took ${file}: ${what}${epoch === undefined ? "" : ` (epoch ${epoch}${values.join("")})`}`;
}

/** How many layers have which form: "3 dense". */
function formsOf(graph: Graph): readonly string[] {
  const sites = readRecord(graph)?.sites ?? [];
  const count = (form: string) => sites.filter((site) => site.form === form).length;
  return forms.filter((form) => count(form) > 0).map((form) => `${count(form)} ${form}`);
}

interface Checked {
  readonly verified: true;
  readonly maxDifference: number;
  readonly change: number;
  /** What the written file must compute. */
  readonly expected: readonly Reference[];
}

/**
 * Runs the models in ONNX Runtime on seeded inputs: first the rewritten one against the one before, then, with half weights, that against
 * the rewritten one whose weights are rounded but kept in float32; `change` is what the rounding itself does to the outputs.
 */
async function verified(
  before: Graph,
  rewritten: Graph,
  half: Graph | undefined,
  shapes: ReadonlyMap<string, readonly number[]>,
  options: { readonly threads?: number },
): Promise<Checked> {
  const session = await openSession(before, options);
  const { inputs } = session;
  const found = await findInputs(before, { shapes, session });
  await session.release();
  const feeds = [1, 2].map((seed) => sampleFeeds(inputs, { ...found, seed }));
  const original = await referenceOf(before, feeds, options);
  const { maxDifference: change } = await verifyModel(rewritten, original, tolerance, options);
  if (half === undefined) return { verified: true, maxDifference: change, change, expected: original };
  const rounded = await referenceOf(roundedToHalf(rewritten), feeds, options);
  const { maxDifference } = await verifyModel(half, rounded, tolerance, options);
  const { maxDifference: rounding } = await verifyModel(half, original, Number.POSITIVE_INFINITY, options);
  return { verified: true, maxDifference: Math.max(change, maxDifference), change: rounding, expected: rounded };
}

// The last steps before a compressed model is written: its layers' forms are chosen, and ONNX Runtime judges what it computes.
import type { forms } from "../basis/forms.js";
import type { Graph } from "../graph/types.js";
import { expand } from "../methods/expand.js";
import { chooseForms } from "../methods/form.js";
import { readRecord } from "../methods/record.js";
import { type FormChoice, fastestForms } from "../runtime/choose-form.js";
import { saveModel } from "../runtime/files.js";
import { findInputs, openSession, referenceOf, sampleFeeds, type Verification, verifyModel } from "../runtime/index.js";
import type { Context } from "./frame.js";

/** How far the written model may be from what it should compute, relative to the largest output: float32 sums in another order. */
const tolerance = 1e-4;
/** The same for models that compute in half precision. */
const halfTolerance = 2e-2;

export interface Formed {
  readonly graph: Graph;
  readonly choice?: FormChoice;
}

/** Writes every compressed layer in the form asked for; `auto` measures which is fastest. */
export async function chooseForm(
  graph: Graph,
  form: "auto" | (typeof forms)[number],
  options: Parameters<typeof fastestForms>[1],
  context: Context,
): Promise<Formed> {
  if (readRecord(graph) === undefined) return { graph };
  if (form !== "auto") return { graph: chooseForms(() => form)(graph).graph };
  let bar: ReturnType<Context["progress"]> | undefined;
  try {
    const choice = await fastestForms(graph, {
      ...options,
      signal: context.signal,
      progress(done, total) {
        bar ??= context.progress("timing forms", total);
        bar.update(done);
      },
    });
    return { graph: choice.graph, choice };
  } finally {
    bar?.stop();
  }
}

/**
 * Runs the model in ONNX Runtime against the same network with its filters rebuilt here (or against `reference`), writes it, and runs the file as it
 * lies on the disk. When the first run fails, nothing is written.
 */
export async function writeVerified(
  graph: Graph,
  file: string,
  shapes: ReadonlyMap<string, readonly number[]>,
  threads: { readonly threads?: number },
  reference?: Graph,
): Promise<Verification> {
  const against = reference ?? (readRecord(graph) ? expand(graph).graph : graph);
  const session = await openSession(against, threads);
  const feeds = sampleFeeds(session.inputs, await findInputs(against, { shapes, session }));
  await session.release();
  const half = [...graph.initializers.values()].some(({ type }) => type === "float16" || type === "bfloat16");
  const expected = await referenceOf(against, [feeds], threads);
  const limit = half ? halfTolerance : tolerance;
  await verifyModel(graph, expected, limit, threads);
  await saveModel(graph, file);
  return await verifyModel(file, expected, limit, threads);
}

// How good a network of a comparison of methods is: its error where there are labels, and what it lost of the original.
import { firstImages, type ImageSet, parseNormalization } from "../data/image-set.js";
import { isError } from "../errors/error.js";
import { topOne } from "../evaluate/classify.js";
import { compareOnData, type Loss } from "../evaluate/compare-on-data.js";
import type { Graph } from "../graph/types.js";
import { type Counts, countsOf } from "../methods/counts.js";
import { openSession } from "../runtime/index.js";
import { modelBytes } from "../runtime/model-bytes.js";
import { readJson, writeJson } from "../train/run-folder.js";
import type { Context } from "./frame.js";
import type { RowTask } from "./method-rows.js";

/** Its error where there are labels, and always what it lost of the original. */
export interface Quality {
  readonly top1Error?: number;
  readonly loss: Pick<Loss, "output" | "kind" | "mean" | "interval">;
}

/** The network as it was. */
export interface OriginalRow extends Counts {
  readonly bytes: number;
  readonly top1Error?: number;
}

/** Where the original of a comparison is kept, once it was measured. */
export const originalFile = "original.json";

/** The network as it was, counted and measured as the rows are: once, then it lies in the folder. */
export async function originalRow(task: RowTask, context: Context): Promise<OriginalRow> {
  const { original, graph, inputs, folder } = task;
  const there = await readJson<OriginalRow>(folder, originalFile);
  if (there !== undefined) return there;
  const counted = { ...countsOf(graph, inputs.shapes), bytes: await modelBytes(original) };
  const error = await errorOf(original, task, context).catch((fault: unknown) => {
    if (!isError(fault, "data-mismatch", "runtime", "unsupported")) throw fault;
    context.note(`the original's error is not known: ${fault.message}`);
    return {};
  });
  const made = { ...counted, ...error };
  await writeJson(folder, originalFile, made);
  return made;
}

export async function qualityOf(model: Graph | string, task: RowTask, context: Context): Promise<Quality> {
  const { original, feeds } = task;
  const { loss } = await compareOnData(original, model, feeds, { ...sessionOptions(task), signal: context.signal });
  const { output, kind, mean, interval } = loss;
  return { ...(await errorOf(model, task, context)), loss: { output, kind, mean, interval } };
}

/** On the test images, where there are labels. */
async function errorOf(
  model: Graph | string,
  task: RowTask,
  { signal }: Context,
): Promise<{ readonly top1Error?: number }> {
  const { labelled, request, feeds } = task;
  const test = labelled?.test ?? labelled?.train;
  if (test === undefined) return {};
  const session = await openSession(model, sessionOptions(task));
  try {
    const images: ImageSet = firstImages(test, request.limit ?? test.count);
    const { top1Error } = await topOne(session, images, parseNormalization(feeds.how.normalize), { signal });
    return { top1Error };
  } finally {
    await session.release();
  }
}

const sessionOptions = ({ place }: RowTask) => ({
  ...(place.runtime && { runtime: place.runtime }),
  ...(place.threads && { threads: place.threads }),
});

// Whether two networks are the same function on data: outputs of both on the same inputs, output by output, and the
// loss of one of them.
import { FilterBasisError } from "../errors/error.js";
import { elements } from "../graph/attributes.js";
import type { Graph, TensorData } from "../graph/types.js";
import { isFloat } from "../graph/values.js";
import { openSession, type Port, type Session, type SessionOptions } from "../runtime/index.js";
import { compareOutput, type LossKind, type OutputLoss } from "./loss.js";
import type { Mean } from "./mean.js";
import type { ModelFeeds } from "./model-feeds.js";
import type { Truth } from "./truths.js";

/** Values that go in at once. */
const largeInput = 1e6;

export interface ComparedOnData {
  readonly inputs: number;
  readonly outputs: readonly OutputLoss[];
  /** Of the output that counts: what was lost, by its kind. */
  readonly loss: Loss;
}

export interface Loss extends Mean {
  readonly output: string;
  readonly kind: LossKind;
  /** The original's output is the same on every input, so that the loss says nothing. */
  readonly constant: boolean;
}

export interface CompareOptions extends Pick<SessionOptions, "runtime" | "threads"> {
  /** The output whose loss counts. Default: the first that is compared. */
  readonly output?: string;
  /** What its loss is, where its values do not tell. */
  readonly kind?: Exclude<LossKind, "decibels">;
  readonly progress?: (done: number, total: number) => void;
  readonly signal?: AbortSignal;
}

/**
 * Runs both models on all inputs and says how far their outputs are from each other.
 * @throws FilterBasisError `not-found` (no such output), `data-mismatch` (other inputs, other sizes of the output that
 * counts), `non-finite` (the output that counts is never finite), `interrupted`; what opening and running throw
 * @example
 * ```ts
 * import { compareOnData, findInputs, halfWeights, loadModel, modelFeeds, openData } from "filterbasis";
 *
 * const model = await loadModel("model.onnx");
 * const feeds = await modelFeeds(model, await openData("photos"), await findInputs(model));
 * const { loss, inputs } = await compareOnData(model, halfWeights(model).graph, feeds);
 * console.log(`${loss.kind} ${loss.mean} on ${inputs} images`);
 * ```
 */
export async function compareOnData(
  original: Graph | string,
  other: Graph | string,
  feeds: ModelFeeds,
  { output, kind, progress, signal, ...place }: CompareOptions = {},
): Promise<ComparedOnData> {
  // What both keep between runs of large inputs is gigabytes.
  const arena = feeds.batch * elements(feeds.dims) <= largeInput;
  const first = await openSession(original, { ...place, arena });
  let second: Session | undefined;
  try {
    second = await openSession(other, { ...place, arena });
    checkInputs(first, second);
    const names = comparable(first, second);
    const counts = output ?? names[0]!;
    if (!names.includes(counts))
      throw new FilterBasisError("not-found", "there is no such output to compare", {
        field: "output",
        expected: names.join(", "),
        got: counts,
      });
    const comparisons = new Map(
      names.map((name) => [name, compareOutput(name, name === counts ? kind : undefined)] as const),
    );
    for (let index = 0; index < feeds.batches; index++) {
      if (signal?.aborted) throw new FilterBasisError("interrupted", "stopped while comparing");
      const inputs = await feeds.feeds(index);
      const count = Math.min(feeds.batch, feeds.count - index * feeds.batch);
      const truths = await truthsOf(feeds, index * feeds.batch, count);
      const [a, b] = [await first.run(inputs), await second.run(inputs)];
      for (const [name, comparison] of comparisons) {
        const [x, y] = [a[name]!, b[name]!].map((one) => withBatch(one, feeds)) as [TensorData, TensorData];
        if (x.dims.join() === y.dims.join()) comparison.add(x, y, truths);
        else if (name !== counts) comparison.lose(count * feeds.each);
        else throw otherSizes(name, x.dims, y.dims, names);
      }
      progress?.(index + 1, feeds.batches);
    }
    const outputs = names.map((name) => comparisons.get(name)!.result());
    return { inputs: feeds.count * feeds.each, outputs, loss: lossOf(outputs.find((one) => one.output === counts)!) };
  } finally {
    await first.release();
    await second?.release();
  }
}

/** Of one input at a time an output without an axis for the batch is all of that input's. */
const withBatch = (tensor: TensorData, { batch, each }: ModelFeeds): TensorData =>
  batch * each === 1 && tensor.dims[0] !== 1 ? { ...tensor, dims: [1, ...tensor.dims] } : tensor;

async function truthsOf({ truth, each }: ModelFeeds, first: number, count: number): Promise<readonly Truth[]> {
  const truths: Truth[] = [];
  for (let i = first * each; truth !== undefined && i < (first + count) * each; i++) truths.push(await truth(i));
  return truths;
}

/** What the second takes must be what the first takes: names, types, and sizes where both fix them. */
function checkInputs(first: Session, second: Session): void {
  const there = new Map(first.inputs.map((port) => [port.name, port]));
  const alike = ({ name, type, dims }: Port): boolean => {
    const own = there.get(name);
    const sizes = (at: number): boolean => {
      const [a, b] = [own!.dims[at], dims[at]];
      return typeof a !== "number" || typeof b !== "number" || a === b;
    };
    return (
      own !== undefined && own.type === type && own.dims.length === dims.length && dims.every((_, at) => sizes(at))
    );
  };
  if (first.inputs.length === second.inputs.length && second.inputs.every(alike)) return;
  throw new FilterBasisError("data-mismatch", "the two models have other inputs", {
    expected: first.inputs.map(portText).join("; "),
    got: second.inputs.map(portText).join("; "),
  });
}

const portText = ({ name, type, dims }: Port): string =>
  `${name} ${type} [${dims.map((dim) => dim ?? "?").join(", ")}]`;

/** Outputs of floats that both have. */
function comparable(first: Session, second: Session): readonly string[] {
  const there = new Set(second.outputs.map(({ name }) => name));
  const names = first.outputs.filter(({ name, type }) => isFloat(type) && there.has(name)).map(({ name }) => name);
  if (names.length > 0) return names;
  throw new FilterBasisError("data-mismatch", "the two models have no output of floats in common", {
    expected: first.outputs.map(({ name, type }) => `${name} ${type}`).join(", "),
    got: second.outputs.map(({ name, type }) => `${name} ${type}`).join(", "),
  });
}

function otherSizes(tensor: string, expected: readonly number[], got: readonly number[], names: readonly string[]) {
  const rest = names.filter((name) => name !== tensor);
  return new FilterBasisError("data-mismatch", "the outputs have other sizes", {
    tensor,
    expected: `[${expected.join(", ")}]`,
    got: `[${got.join(", ")}]`,
    cures: rest.length > 0 ? [`let the loss be of another output: ${rest.join(", ")}`] : [],
  });
}

function lossOf({ output, kind, loss, inputs, constant }: OutputLoss): Loss {
  if (inputs > 0) return { output, kind, constant, ...loss };
  throw new FilterBasisError("non-finite", "the output is not finite on any input", { tensor: output });
}

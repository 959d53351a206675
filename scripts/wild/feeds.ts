// Inputs with which a network runs, found by trying: what the sizes of its free axes may be, nothing of it taken on
// trust.
import { readFileSync } from "node:fs";
import { readModel } from "../../src/formats/onnx/index.js";
import { feeds } from "../../src/graph/edit.js";
import type { Dim, Graph } from "../../src/graph/types.js";
import { concreteInputs } from "../../src/ops/cost/cost.js";
import type { WildModel } from "./models.js";
import { runTask } from "./runner.js";

export interface InputFeed {
  readonly name: string;
  readonly type: string;
  readonly dims: readonly number[];
}

/** The inputs of one run; `kind` and `seed` give the numbers (see values.mjs). */
export interface Feed {
  readonly kind: "unit" | "normal" | "image";
  readonly seed: number;
  readonly inputs: readonly InputFeed[];
}

export type Sizes = ReadonlyMap<string, readonly number[]>;

export interface Runnable {
  readonly sizes: Sizes;
  readonly feeds: readonly Feed[];
}

const seed = 1;
const kinds = ["unit", "normal", "image"] as const;
const usual = [224, 64, 32, 256, 128, 320, 512, 16, 8, 1];

/**
 * Feeds with which ONNX Runtime runs the model, or why there are none.
 * `told`: the sizes at which filterbasis counts; they are tried first, so that times and counts are of the same sizes.
 */
export async function runnableFeeds({ path }: WildModel, told: Sizes): Promise<Runnable | { readonly why: string }> {
  let graph: Graph;
  try {
    graph = readModel(new Uint8Array(readFileSync(path)), { verify: false });
  } catch (error) {
    return { why: `it cannot be read: ${error instanceof Error ? error.message : error}` };
  }
  const inputsAt = (sizes: Sizes): readonly InputFeed[] =>
    feeds(graph).map(({ name, tensor }) => ({
      name,
      type: tensor?.type ?? "float32",
      dims: sizes.get(name) ?? [],
    }));
  const candidates = candidateSizes(graph, told);
  const probed = await runTask({
    mode: "probe",
    model: path,
    candidates: candidates.map((sizes) => ({ kind: "unit", seed, inputs: inputsAt(sizes) })),
  });
  if (probed.runs === undefined) return { why: probed.failures.at(-1) ?? "ONNX Runtime does not run it" };
  const sizes = candidates[probed.runs]!;
  return { sizes, feeds: kinds.map((kind) => ({ kind, seed, inputs: inputsAt(sizes) })) };
}

function candidateSizes(graph: Graph, told: Sizes): readonly Sizes[] {
  const own = usual.flatMap((side) => [3, 1].map((channels) => filled(graph, side, channels)));
  let library: readonly Sizes[] = [];
  try {
    library = [concreteInputs(graph, new Map()) as Sizes];
  } catch {
    // a graph that the library cannot size yet: the others are tried
  }
  const isWhole = (sizes: Sizes) => feeds(graph).every(({ name }) => sizes.has(name));
  return [told, ...library, ...own].filter(isWhole);
}

/**
 * Every free axis filled: the first with 1, the second of an image with its channels, others alike; a symbol is one
 * number everywhere.
 */
function filled(graph: Graph, side: number, channels: number): Sizes {
  const symbols = new Map<string, number>();
  const size = (dim: Dim, axis: number, rank: number): number => {
    if (typeof dim === "number" && dim >= 0) return dim;
    const made = axis === 0 ? 1 : axis === 1 && rank === 4 ? channels : side;
    const known = typeof dim === "string" ? symbols.get(dim) : undefined;
    if (typeof dim === "string") symbols.set(dim, known ?? made);
    return known ?? made;
  };
  return new Map(
    feeds(graph).map(({ name, tensor }): [string, readonly number[]] => {
      const dims = tensor?.dims ?? [null, null, null, null];
      return [name, dims.map((dim, axis) => size(dim, axis, dims.length))];
    }),
  );
}

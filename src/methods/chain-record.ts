// Layers that were written as a chain of convolutions (or of two matrices): what a file keeps of them, as JSON in
// the model's metadata, so that the chain is known for what it is and its dense layer can come back. The nodes
// themselves are ordinary ones.
import * as z from "zod/mini";
import { type Candidate, families } from "../basis/factors.js";
import { FilterBasisError } from "../errors/error.js";
import { messages } from "../errors/schema-messages.js";
import { withMetadata } from "../graph/edit.js";
import type { Graph } from "../graph/types.js";

export const chainKey = "filterbasis.chains";

const size = z.int().check(z.positive());
const pair = z.readonly(z.tuple([size, size]));

const chainRecord = z.object({
  /** The original node's name (may be empty), its operator, and the value that it makes. */
  name: z.string(),
  kind: z.enum(["conv", "gemm", "matmul"]),
  output: z.string(),
  family: z.enum(Object.keys(families) as [keyof typeof families]),
  splits: z.optional(size),
  clusters: z.optional(pair),
  ranks: z.readonly(z.array(size)),
  /** n filters of c channels; a fully connected layer has the kernel [1, 1]. */
  shape: z.object({ n: size, c: size, kernel: pair, stride: pair }),
  /** Spatial axes of the convolution. */
  axes: z.union([z.literal(1), z.literal(2)]),
  /** Initializers of the stages, in order. */
  weights: z.readonly(z.array(z.string()).check(z.minLength(2))),
  /** Initializers by which channels are reordered before each stage and behind the last; null where they stay. */
  orders: z.optional(z.readonly(z.array(z.nullable(z.string())))),
  /** The method that made it; compression on data has none. */
  method: z.optional(z.string()),
  /** Name of the original weights, and attributes of the original node. */
  weight: z.string(),
  attributes: z.record(z.string(), z.union([z.number(), z.string(), z.array(z.number())])),
  /**
   * The share of the output's energy that was lost on the calibration images, or of the filters' squared norm where it
   * was made from these alone; null where it is not known.
   */
  error: z.nullable(z.number()),
});

const record = z.object({ version: z.literal(1), chains: z.readonly(z.array(chainRecord)) });

export type ChainRecord = z.infer<typeof chainRecord>;

/**
 * The chains that a graph's metadata tells of. @throws FilterBasisError `malformed` for a record that cannot be used
 */
export function readChains(graph: Graph): readonly ChainRecord[] {
  const text = graph.metadata.get(chainKey);
  if (text === undefined) return [];
  const field = `metadata.${chainKey}`;
  let data: unknown;
  try {
    data = JSON.parse(text);
  } catch (cause) {
    throw new FilterBasisError("malformed", "the model's record of its chains is not JSON", { field, cause });
  }
  const checked = record.safeParse(data, messages);
  if (checked.success) return checked.data.chains;
  const issue = checked.error.issues[0];
  throw new FilterBasisError("malformed", `the model's record of its chains cannot be used: ${issue?.message}`, {
    field: [field, ...(issue?.path ?? [])].join("."),
  });
}

/** The graph with a record of these chains behind those that it has; without any where there is none. */
export function withChainRecord(graph: Graph, chains: readonly ChainRecord[]): Graph {
  return withMetadata(graph, { [chainKey]: chains.length > 0 ? JSON.stringify({ version: 1, chains }) : undefined });
}

/** A chain in a few words: its family, splits and ranks. */
export function describeChain(chain: Pick<ChainRecord, "family" | "splits" | "ranks" | "clusters">): string {
  const { family, splits, ranks, clusters } = chain;
  const parts = clusters === undefined ? splits : clusters.join(" x ");
  return `${family.replaceAll("-", " ")} ${parts === undefined ? "" : `${parts} x `}${ranks.join(", ")}`.trim();
}

/** The candidate whose stages a chain is made of. */
export const candidateOf = ({ family, splits, ranks, clusters }: ChainRecord): Candidate => ({
  family,
  ranks,
  ...(splits === undefined ? {} : { splits }),
  ...(clusters === undefined ? {} : { clusters }),
});

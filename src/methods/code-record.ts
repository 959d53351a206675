// Layers whose filters are looked up in a codebook: what a file keeps of them, as JSON in the model's metadata. The
// convolution stays where it was; its weight is computed at load from ordinary nodes over codebook and indices.
import * as z from "zod/mini";
import { FilterBasisError } from "../errors/error.js";
import { withMetadata } from "../graph/edit.js";
import type { Graph } from "../graph/types.js";

const codeKey = "filterbasis.codes";

const size = z.int().check(z.positive());

const codeRecord = z.object({
  /** The original node's name (may be empty), and the value that it makes. */
  name: z.string(),
  output: z.string(),
  method: z.enum(["kmeans", "kse"]),
  /** W [n, c, kernel] of the original. */
  filters: z.readonly(z.array(size).check(z.minLength(3))),
  /** The original weight's name. */
  weight: z.string(),
  /** What stands in the place of the filters, in a few words. */
  description: z.string(),
  /** Initializers that are trained: codebooks, scales, filters that stay. */
  parameters: z.readonly(z.array(z.string()).check(z.minLength(1))),
  /** Initializers of indices, with the bits that each index needs. */
  indices: z.readonly(z.array(z.object({ name: z.string(), bits: z.int().check(z.nonnegative()) }))),
  /** The initializer that says which input channels are read; null where all are. */
  selected: z.nullable(z.string()),
  /** Multiply-accumulates for each output position as the method's paper counts them. */
  paperMacs: z.number().check(z.nonnegative()),
  /** ||W - W~||_F / ||W||_F when it was made. */
  error: z.number(),
});

const record = z.object({ version: z.literal(1), layers: z.readonly(z.array(codeRecord)) });

export type CodeRecord = z.infer<typeof codeRecord>;

/** @throws FilterBasisError `malformed` for a record that cannot be used */
export function readCodes(graph: Graph): readonly CodeRecord[] {
  const text = graph.metadata.get(codeKey);
  if (text === undefined) return [];
  const field = `metadata.${codeKey}`;
  let data: unknown;
  try {
    data = JSON.parse(text);
  } catch (cause) {
    throw new FilterBasisError("malformed", "the model's record of its codebooks is not JSON", { field, cause });
  }
  const checked = record.safeParse(data);
  if (checked.success) return checked.data.layers;
  const issue = checked.error.issues[0];
  throw new FilterBasisError("malformed", `the model's record of its codebooks cannot be used: ${issue?.message}`, {
    field: [field, ...(issue?.path ?? [])].join("."),
  });
}

/** The graph with a record of these layers alone; without any where there is none. */
export function withCodeRecord(graph: Graph, layers: readonly CodeRecord[]): Graph {
  return withMetadata(graph, { [codeKey]: layers.length > 0 ? JSON.stringify({ version: 1, layers }) : undefined });
}

// What was done to a model, kept in the model itself: JSON under the metadata key `filterbasis`. A compressed file can so be
// inspected, written in another form, trained further, or expanded back, without anything beside it.
import { z } from "zod";
import { forms } from "../basis/forms.js";
import { FilterBasisError } from "../errors/error.js";
import { float, floats, int, ints, string } from "../graph/attributes.js";
import { withMetadata } from "../graph/edit.js";
import type { Attribute, Graph, Node } from "../graph/types.js";
import { siteConvolutions } from "./locate.js";

export const recordKey = "filterbasis";

const attributeRecord = z.record(z.string(), z.union([z.number(), z.string(), z.array(z.number())]));
const size = z.number().int().positive();

const siteRecord = z.object({
  /** The original node's name (may be empty) and the value that it makes. */
  name: z.string(),
  output: z.string(),
  splits: size,
  basisSize: size,
  /** Initializers: B [m, p, h, w], A [n, s m, 1, 1], and the basis's own bias [m] where it has one. */
  basis: z.string(),
  coefficients: z.string(),
  basisBias: z.string().optional(),
  /** Channels of the basis that are read, [from, to), where it is wider than the layer needs. */
  slice: z.tuple([z.number().int().nonnegative(), size]).optional(),
  /** Name of the group that shares the basis. */
  shared: z.string().optional(),
  form: z.enum(forms),
  /** ||W - B A||_F / ||W||_F when it was compressed; null for a basis that was not made from weights. */
  error: z.number().nullable(),
  /** Of the original filters: name, [n, c, h, w], attributes of the node. */
  weight: z.string(),
  shape: z.array(size).min(3),
  attributes: attributeRecord,
  /** True where something not linear (a batch norm, an activation) stands between basis and coefficients: no way back to dense. */
  between: z.boolean().optional(),
});

const record = z.object({ version: z.literal(1), method: z.string(), sites: z.array(siteRecord) });

export type SiteRecord = z.infer<typeof siteRecord>;
export type CompressionRecord = z.infer<typeof record>;

/** The record of a model, or undefined where it has none. Errors: `malformed` for one that is not what it should be. */
export function readRecord(graph: Graph): CompressionRecord | undefined {
  const text = graph.metadata.get(recordKey);
  if (text === undefined) return undefined;
  let data: unknown;
  try {
    data = JSON.parse(text);
  } catch (cause) {
    throw new FilterBasisError("malformed", "the model's record of its compression is not JSON", {
      field: `metadata.${recordKey}`,
      cause,
    });
  }
  const checked = record.safeParse(data);
  if (checked.success) return checked.data;
  const issue = checked.error.issues[0];
  throw new FilterBasisError("malformed", `the model's record of its compression cannot be used: ${issue?.message}`, {
    field: [`metadata.${recordKey}`, ...(issue?.path ?? [])].join("."),
  });
}

/** The graph with its record set, or removed where no site is left. */
export function withRecord(graph: Graph, next: CompressionRecord): Graph {
  return withMetadata(graph, { [recordKey]: next.sites.length > 0 ? JSON.stringify(next) : undefined });
}

/** The convolutions of compressed sites; true for those that stand for their site. */
export function recordedNodes(graph: Graph): ReadonlyMap<Node, boolean> {
  const sites = readRecord(graph)?.sites ?? [];
  if (sites.length === 0) return new Map();
  return siteConvolutions(
    graph,
    new Set(sites.map(({ basis }) => basis)),
    new Set(sites.map(({ coefficients }) => coefficients)),
  );
}

/** Attributes as plain JSON: those that a convolution has are numbers, lists of numbers and text. */
export function attributesToJson(attributes: ReadonlyMap<string, Attribute>): Record<string, number | string | number[]> {
  const out: Record<string, number | string | number[]> = {};
  for (const [name, attribute] of attributes) {
    if (attribute.kind === "int") out[name] = Number(attribute.value);
    else if (attribute.kind === "ints") out[name] = attribute.value.map(Number);
    else if (attribute.kind === "string") out[name] = new TextDecoder().decode(attribute.value);
    else if (attribute.kind === "float") out[`${name}:float`] = attribute.value;
    else if (attribute.kind === "floats") out[`${name}:float`] = [...attribute.value];
  }
  return out;
}

export function attributesFromJson(json: SiteRecord["attributes"]): ReadonlyMap<string, Attribute> {
  return new Map(
    Object.entries(json).map(([key, value]) => {
      const [name, kind] = key.split(":") as [string, string?];
      if (typeof value === "string") return [name, string(value)];
      if (kind === "float") return [name, Array.isArray(value) ? floats(value) : float(value)];
      return [name, Array.isArray(value) ? ints(value) : int(value)];
    }),
  );
}

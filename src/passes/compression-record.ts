// What was done to a model, as a file keeps it: JSON under the metadata key `filterbasis`. In memory the nodes
// themselves say it (graph/basis-conv.ts); this is what they are in a file, and how that is read.
import * as z from "zod/mini";
import { FilterBasisError } from "../errors/error.js";
import { messages } from "../errors/schema-messages.js";
import { float, floats, int, ints, string } from "../graph/attributes.js";
import { type BasisConv, basisConvs, layouts } from "../graph/basis-conv.js";
import { indexOf } from "../graph/graph-index.js";
import type { Attribute, Graph } from "../graph/types.js";

export const recordKey = "filterbasis";

const attributeRecord = z
  .record(z.string(), z.union([z.number(), z.string(), z.array(z.number())]))
  .check(z.refine((attributes) => Object.entries(attributes).every(isWhole), "an attribute is not a whole number"));
const size = z.int().check(z.positive());

const layerRecord = z.object({
  /** The original node's name (may be empty) and the value that it makes. */
  name: z.string(),
  output: z.string(),
  splits: size,
  basisSize: size,
  /** Initializers: B [m, p, h, w], A [n, s m, 1, 1], and the basis's own bias [m] where it has one. */
  basis: z.string(),
  coefficients: z.string(),
  basisBias: z.optional(z.string()),
  /** Channels of the basis that are read, [from, to), where it is wider than the layer needs. */
  slice: z.optional(z.tuple([z.int().check(z.nonnegative()), size])),
  /** Name of the group that shares the basis. */
  shared: z.optional(z.string()),
  layout: z.enum(layouts),
  /** ||W - B A||_F / ||W||_F when it was compressed; null for a basis that was not made from weights. */
  error: z.nullable(z.number()),
  /** Of the original filters: name, [n, c, h, w], attributes of the node. */
  weight: z.string(),
  shape: z.array(size).check(z.minLength(3)),
  attributes: attributeRecord,
  /**
   * True where the coefficients are a layer of their own, behind a batch norm, an activation or with a kernel: no way
   * back to dense.
   */
  basisOnly: z.optional(z.boolean()),
  /** Where it is not the record's. */
  method: z.optional(z.string()),
});

const record = z.object({ version: z.literal(2), method: z.string(), layers: z.array(layerRecord) });

/**
 * Version 1 (written by 0.1) under the names of version 2: its layers were `sites`, a layout was a `form`, `basisOnly`
 * was `between`.
 */
const oldLayouts: Readonly<Record<string, unknown>> = { separate: "split", folded: "batch-folded" };

function fromVersion1(data: unknown): unknown {
  if (!isObject(data) || data.version !== 1 || !Array.isArray(data.sites)) return data;
  const { sites, ...rest } = data;
  return { ...rest, version: 2, layers: sites.map((layer) => (isObject(layer) ? withNewNames(layer) : layer)) };
}

function withNewNames({
  form,
  between,
  ...layer
}: Readonly<Record<string, unknown>>): Readonly<Record<string, unknown>> {
  const layout = typeof form === "string" && Object.hasOwn(oldLayouts, form) ? oldLayouts[form] : form;
  return { ...layer, layout, ...(between === undefined ? {} : { basisOnly: between }) };
}

const isObject = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === "object" && value !== null;

export type LayerRecord = z.infer<typeof layerRecord>;
export type CompressionRecord = z.infer<typeof record>;

/** @throws FilterBasisError `malformed` for text that is no such record */
export function parseRecord(text: string): CompressionRecord {
  let data: unknown;
  try {
    data = JSON.parse(text);
  } catch (cause) {
    throw new FilterBasisError("malformed", "the model's record of its compression is not JSON", {
      field: `metadata.${recordKey}`,
      cause,
    });
  }
  const checked = record.safeParse(fromVersion1(data), messages);
  if (checked.success) return checked.data;
  const issue = checked.error.issues[0];
  throw new FilterBasisError("malformed", `the model's record of its compression cannot be used: ${issue?.message}`, {
    field: [`metadata.${recordKey}`, ...(issue?.path ?? [])].join("."),
  });
}

/** Numbers are whole but for those of attributes that are floats. */
function isWhole([key, value]: readonly [string, number | string | readonly number[]]): boolean {
  const all = typeof value === "object" ? value : [value];
  return key.endsWith(":float") || all.every((one) => typeof one === "string" || Number.isSafeInteger(one));
}

/** What the nodes of a graph say, as a record of it; undefined where nothing in it is compressed. */
export function recordOf(graph: Graph): CompressionRecord | undefined {
  const found = basisConvs(graph.nodes);
  const method = found.at(-1)?.layer.provenance.method;
  if (method === undefined) return undefined;
  const { root } = indexOf(graph);
  return { version: 2, method, layers: found.map(({ layer }) => layerRecordOf(layer, root, method)) };
}

function layerRecordOf(layer: BasisConv, root: (value: string) => string, method: string): LayerRecord {
  const { provenance, slice, basisBias, outChannels, inChannels, kernel } = layer;
  const { partOf, shared } = provenance;
  return {
    name: partOf?.name ?? layer.name,
    output: partOf?.output ?? layer.output,
    splits: layer.splits,
    basisSize: layer.basisSize,
    basis: root(layer.basis),
    coefficients: partOf?.coefficients ?? root(layer.coefficients),
    ...(basisBias === "" ? {} : { basisBias: root(basisBias) }),
    ...(slice ? { slice: [...slice] } : {}),
    ...(shared === undefined ? {} : { shared }),
    layout: layer.layout,
    error: provenance.error,
    weight: provenance.weight,
    shape: [outChannels, inChannels, ...kernel],
    attributes: attributesToJson(layer.attributes),
    ...(partOf ? { basisOnly: true } : {}),
    ...(provenance.method === method ? {} : { method: provenance.method }),
  };
}

/** Attributes as plain JSON: those that a convolution has are numbers, lists of numbers and text. */
export function attributesToJson(
  attributes: ReadonlyMap<string, Attribute>,
): Record<string, number | string | number[]> {
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

export function attributesFromJson(json: LayerRecord["attributes"]): ReadonlyMap<string, Attribute> {
  return new Map(
    Object.entries(json).map(([key, value]) => {
      const [name, kind] = key.split(":") as [string, string?];
      if (typeof value === "string") return [name, string(value)];
      if (kind === "float") return [name, Array.isArray(value) ? floats(value) : float(value)];
      return [name, Array.isArray(value) ? ints(value) : int(value)];
    }),
  );
}

// What `inspect` tells of the precision that layers compute in.
import type { Graph, Node } from "../graph/types.js";
import { layerPrecisions, type PrecisionRecord, readPrecision } from "../methods/precision-record.js";
import { oneLine } from "./visible.js";

/** How many layers compute in eight bits, how many do not, and what the file says of how it was rounded. */
export interface ModelPrecision {
  readonly int8: number;
  readonly float: number;
  readonly record?: PrecisionRecord;
}

/** Of a model, and of each of its layers; nothing where all of them compute in floats. */
export function precisionsOf(graph: Graph): {
  readonly precision?: ModelPrecision;
  readonly of: (node: Node) => { readonly precision?: "int8" | "fp32" };
} {
  const { int8, float } = layerPrecisions(graph);
  const record = readPrecision(graph);
  if (int8.length === 0 && record === undefined) return { of: () => ({}) };
  const [integers, floats] = [new Set(int8), new Set(float)];
  return {
    precision: { int8: int8.length, float: float.length, ...(record && { record }) },
    of: (node) => (integers.has(node) ? { precision: "int8" } : floats.has(node) ? { precision: "fp32" } : {}),
  };
}

export function precisionLines(precision: ModelPrecision | undefined): readonly string[] {
  if (precision === undefined) return [];
  const { int8, float, record } = precision;
  const how = record && `; rounded for ${oneLine(record.target)}, ranges by ${oneLine(record.ranges)}`;
  return [
    `${int8} of ${int8 + float} layers in eight bits${how ?? ""}`,
    ...(record?.lost ?? []).map(({ name, reason }) => `  ${oneLine(name)} was compressed; ${oneLine(reason)}`),
  ];
}

// How far a network looks: which pixels of its input one pixel of its output can depend on, found from the graph.
import { nodeName } from "../graph/attributes.js";
import { indexOf } from "../graph/graph-index.js";
import type { Graph } from "../graph/types.js";
import { numbers } from "../graph/values.js";
import { inferShapes } from "../ops/infer.js";
import type { Reach, ReachContext } from "../ops/rules/reach.js";
import { operatorOf } from "../ops/table.js";

/** In input pixels, along both axes. */
export interface ReceptiveField {
  /** Pixels before (left of, above) the place of an output pixel that it may depend on, and after it. */
  readonly before: number;
  readonly after: number;
  /** Tiles must begin at multiples of this, so that strided layers see the same pixels together. */
  readonly period: number;
  /** Why the network looks at the whole picture, where it does: then no overlap makes tiles exact. */
  readonly unbounded?: string;
}

/**
 * The receptive field of the first output in the first input, a picture [N, C, H, W]. Convolutions, pooling, pixel
 * shuffle, resizing by constant factors, padding and everything elementwise are followed; values that come only from
 * sizes are not pixels. Pooling over the whole picture, resizing to computed sizes, and operators not known here are
 * unbounded, and the reason names the node.
 */
export function receptiveField(graph: Graph): ReceptiveField {
  const input = graph.inputs.find(({ name }) => !graph.initializers.has(name))?.name ?? "";
  const shapes = inferShapes(graph, new Map());
  const dims = (name: string) => shapes.get(name)?.dims;
  const constant = (name = ""): readonly number[] | undefined => {
    const tensor = indexOf(graph).constant(name);
    return tensor && tensor.type !== "string" ? [...numbers(tensor)] : undefined;
  };
  const context: ReachContext = { opset: graph.opsets.get("") ?? 1, dims, constant };
  const reaches = new Map<string, Reach>([[input, { pitch: 1, low: 0, high: 0 }]]);
  let period = 1;
  for (const node of graph.nodes) {
    const seen = node.inputs.flatMap((name) => reaches.get(name) ?? []);
    const operator = operatorOf(node);
    if (seen.length === 0 || operator?.readsShape) continue;
    const joined = join(seen);
    const result =
      joined === undefined
        ? "it joins maps of different scale"
        : (operator?.reach?.(node, joined, context) ?? `how far the operator ${node.op} looks is not known`);
    if (typeof result === "string")
      return { before: 0, after: 0, period: 1, unbounded: `node ${nodeName(node)}: ${result}` };
    period = leastCommonMultiple(period, result.pitch);
    for (const output of node.outputs) reaches.set(output, result);
  }
  const end = reaches.get(graph.outputs[0]?.name ?? "");
  if (end === undefined)
    return { before: 0, after: 0, period: 1, unbounded: "the output does not depend on the picture" };
  return { before: Math.max(0, Math.ceil(-end.low)), after: Math.max(0, Math.ceil(end.high)), period };
}

function join(reaches: readonly Reach[]): Reach | undefined {
  const pitch = reaches[0]!.pitch;
  if (reaches.some((reach) => Math.abs(reach.pitch - pitch) > 1e-9)) return undefined;
  return { pitch, low: Math.min(...reaches.map(({ low }) => low)), high: Math.max(...reaches.map(({ high }) => high)) };
}

function leastCommonMultiple(period: number, pitch: number): number {
  if (pitch <= 1 || !Number.isInteger(pitch)) return period;
  let [a, b] = [period, pitch];
  while (b > 0) [a, b] = [b, a % b];
  return (period * pitch) / a;
}

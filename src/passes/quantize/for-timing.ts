// A network in eight bits as it is timed: the ranges of its values do not matter for that, so that no image is needed.
import type { Graph } from "../../graph/types.js";
import { lowerBasisConv } from "../lower-basis-conv.js";
import { joinMatrixBias } from "./matrix-bias.js";
import { quantize } from "./quantize.js";
import { regionsOf } from "./regions.js";

const range = { low: -1, high: 1 } as const;

/** @param float names of layers that stay float, with the reason of each */
export function quantizedForTiming(graph: Graph, float: ReadonlyMap<string, string> = new Map()): Graph {
  const ready = joinMatrixBias(lowerBasisConv(graph)).graph;
  const values = regionsOf(ready, float).rounded.values();
  return quantize({ ranges: new Map([...values].map((value) => [value, range])), float })(ready).graph;
}

// Two layers with nothing between them: the maps between them may be turned, if the second layer turns them back.
// B' = R B, A' = A R^T with an orthogonal R compute the same. A basis in the order of its variance has few large maps
// and many small ones, and one step for all; turned maps are of one size, and none has rare large values.
import { nodeName, readInt } from "../../graph/attributes.js";
import { indexOf } from "../../graph/graph-index.js";
import type { Graph, Outcome, Pass } from "../../graph/types.js";
import { Random } from "../../linalg/random.js";
import { type FreeMap, freeMaps, withWeights } from "./equalise.js";

const name = "rotate";
/** More maps are turned in parts of so many: a larger matrix mixes no better, and costs its square. */
const largest = 256;

/** Turns what lies between all pairs of `freeMaps`; the same on every machine. */
export const rotate: Pass = (graph) => {
  const outcomes: Outcome[] = [];
  let current = graph;
  for (const { value } of freeMaps(graph)) {
    // Of three layers in a row the middle one takes part twice: pairs are found anew.
    const pair = freeMaps(current).find((one) => one.value === value);
    const size = pair === undefined ? 0 : partOf(current, pair);
    if (pair === undefined || size < 2) continue;
    current = turned(current, pair, orthogonal(size));
    outcomes.push({ pass: name, layer: nodeName(pair.first), applied: true, reason: `its maps are turned by ${size}` });
  }
  return { graph: current, outcomes };
};

/** Maps that are turned together: of one group of both layers. */
function partOf(graph: Graph, { first, second }: FreeMap): number {
  const maps = indexOf(graph).constant(first.inputs[1]!)!.dims[0]!;
  const parts = Math.max(readInt(first, "group", 1), readInt(second, "group", 1));
  const own = maps / parts;
  if (own <= largest) return own;
  return Array.from({ length: largest }, (_, i) => largest - i).find((size) => own % size === 0)!;
}

/** A random orthogonal matrix: rows of normal numbers, each without its share of those before (twice, for rounding). */
function orthogonal(size: number): Float64Array {
  const random = new Random(size);
  const rows = Float64Array.from({ length: size * size }, () => random.normal());
  const row = (i: number) => rows.subarray(i * size, (i + 1) * size);
  for (let i = 0; i < size; i++) {
    const own = row(i);
    for (let time = 0; time < 2; time++)
      for (let j = 0; j < i; j++) {
        const other = row(j);
        const share = own.reduce((sum, value, k) => sum + value * other[k]!, 0);
        for (let k = 0; k < size; k++) own[k] = own[k]! - share * other[k]!;
      }
    const length = Math.hypot(...own);
    for (let k = 0; k < size; k++) own[k] = own[k]! / length;
  }
  return rows;
}

function turned(graph: Graph, pair: FreeMap, rotation: Float64Array): Graph {
  const size = Math.sqrt(rotation.length);
  /** Each part of `size` of the `count` lines, replaced by their mixtures; `at` says where a line begins. */
  const mixed = (values: Float64Array, count: number, at: (line: number) => number, stride: number): void => {
    const before = new Float64Array(size);
    for (let part = 0; part < count; part += size)
      for (let offset = 0; offset < stride; offset++) {
        for (let k = 0; k < size; k++) before[k] = values[at(part + k) + offset]!;
        for (let i = 0; i < size; i++) {
          let sum = 0;
          for (let k = 0; k < size; k++) sum += rotation[i * size + k]! * before[k]!;
          values[at(part + i) + offset] = sum;
        }
      }
  };
  const ahead = (values: Float64Array, dims: readonly number[]): Float64Array => {
    const line = values.length / dims[0]!;
    mixed(values, dims[0]!, (row) => row * line, line);
    return values;
  };
  const behind = (values: Float64Array, dims: readonly number[]): Float64Array => {
    const [rows, columns] = dims as [number, number];
    const area = values.length / (rows * columns);
    for (let row = 0; row < rows; row++) mixed(values, columns, (column) => (row * columns + column) * area, area);
    return values;
  };
  return withWeights(graph, pair, ahead, behind);
}

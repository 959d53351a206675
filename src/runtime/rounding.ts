// How far two correct computations of one network may be apart by rounding alone, from what it adds up and in which
// precision.
//
// A sum of k products in floating point, in any order, is off by about u sqrt(k) / 5 of its size, u being half the
// distance of two neighbouring numbers (1/5: the partial sums are smaller than the whole, and a processor keeps several
// at a time). The errors of layers add up like independent ones, so that a network with sums over k1, k2, ... is off by
// u sqrt(k1 + k2 + ...) / 5. Five times that is allowed. Where values themselves are kept in half precision every
// operator rounds its result once more.
//
// This is what rounding does to a network that passes errors on as they are. One that amplifies them (a small
// difference of large numbers, a division by a small deviation) does more, which only running it tells.
import { readBasisConv } from "../graph/basis-conv.js";
import type { Dim, Graph, Node, ValueType } from "../graph/types.js";
import { inferShapes } from "../ops/infer.js";
import { operatorOf } from "../ops/table.js";

/** Half the distance of neighbouring numbers near 1. */
export const unit = { float32: 2 ** -24, float16: 2 ** -11, bfloat16: 2 ** -8 } as const;

/**
 * The error that is allowed, relative to the root mean square of an output, read off what the graph adds up and in
 * which precision; `shapes` as for inferShapes.
 */
export function roundingOf(graph: Graph, shapes: ReadonlyMap<string, readonly Dim[]> = new Map()): number {
  const types = typesOf(graph, shapes);
  let [sums, halves, brains] = [0, 0, 0];
  for (const node of graph.nodes) {
    sums += sumLength(node, types);
    const type = types.get(node.outputs[0] ?? "")?.type;
    const rounds = operatorOf(node)?.exact !== "always" && node.inputs.some((name) => !graph.initializers.has(name));
    // Between basis and coefficients, or where filters are rebuilt, a layer over a basis rounds a second time.
    const times = rounds ? ((readBasisConv(node)?.coefficients ?? "") === "" ? 1 : 2) : 0;
    if (type === "float16") halves += times;
    if (type === "bfloat16") brains += times;
  }
  // A result of a few operations may already be off by some units in the last place.
  const single = unit.float32 * Math.max(4, Math.sqrt(sums));
  return single + unit.float16 * Math.sqrt(halves) + unit.bfloat16 * Math.sqrt(brains);
}

type Types = ReadonlyMap<string, ValueType>;

/** The types of all values; where shapes contradict each other, of the constants alone. */
function typesOf(graph: Graph, shapes: ReadonlyMap<string, readonly Dim[]>): Types {
  try {
    return inferShapes(graph, shapes);
  } catch {
    return new Map([...graph.initializers].map(([name, { type, dims }]) => [name, { type, dims }]));
  }
}

/**
 * How many products or terms each element of the node's result is the sum of; 1 for what is computed element by
 * element.
 */
function sumLength(node: Node, types: Types): number {
  const operator = operatorOf(node);
  if (operator?.exact === "always") return 0;
  const sizes = (index: number): readonly number[] => {
    const dims = types.get(node.inputs[index] ?? "")?.dims ?? [];
    return dims.map((dim) => (typeof dim === "number" && dim > 0 ? dim : 1));
  };
  return operator?.sums?.(node, sizes) ?? 1;
}

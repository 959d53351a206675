// What half precision may change: the network with every weight moved at random by at most half a unit in the last
// place.

import type { Attribute, Node, TensorData } from "../../src/graph/types.js";
import { numbers, tensorOf } from "../../src/graph/values.js";
import { Random } from "../../src/linalg/random.js";
import { loadModel, saveModel } from "../../src/runtime/files.js";

/**
 * The distance of two neighbours among half-precision numbers at a value: 2^-10 of its power of two, 2^-24 at the
 * least.
 */
function halfStep(value: number): number {
  const exponent = value === 0 ? -14 : Math.floor(Math.log2(Math.abs(value)));
  return 2 ** (Math.max(exponent, -14) - 10);
}

/**
 * Writes the model with its float32 weights (constants of two axes or more) moved so; rounding to half precision is one
 * such move. Each seed is another.
 */
export async function saveMoved(model: string, output: string, seed: number): Promise<void> {
  const graph = await loadModel(model);
  const random = new Random(seed);
  const move = (value: number) => value + halfStep(value) * (random.next() - 0.5);
  const moved = (tensor: TensorData): TensorData =>
    tensor.type !== "float32" || tensor.dims.length < 2
      ? tensor
      : tensorOf("float32", tensor.dims, numbers(tensor).map(move));
  const attribute = (value: Attribute): Attribute =>
    value.kind === "tensor" ? { ...value, value: moved(value.value) } : value;
  const ownNode = ({ origin: _, ...node }: Node): Node => ({
    ...node,
    attributes: new Map([...node.attributes].map(([name, value]) => [name, attribute(value)])),
  });
  const { origin: _, ...own } = graph;
  await saveModel(
    {
      ...own,
      initializers: new Map([...graph.initializers].map(([name, tensor]) => [name, moved(tensor)])),
      nodes: graph.nodes.map((node) => (node.op === "Constant" ? ownNode(node) : node)),
    },
    output,
  );
}

// What half precision may change: the network with every weight moved at random by at most half a unit in the last place.

import type { Attribute, Node, TensorData } from "../../src/graph/types.js";
import { numbers, tensorOf } from "../../src/graph/values.js";
import { Random } from "../../src/linalg/random.js";
import { loadModel, saveModel } from "../../src/runtime/files.js";

/** Writes the model with its float32 constants moved so; rounding to half precision is one such move. */
export async function saveMoved(model: string, output: string): Promise<void> {
  const graph = await loadModel(model);
  const random = new Random("half precision");
  const moved = (tensor: TensorData): TensorData =>
    tensor.type !== "float32" || tensor.dims.length === 0
      ? tensor
      : tensorOf(
          "float32",
          tensor.dims,
          numbers(tensor).map((value) => value * (1 + 2 ** -11 * (2 * random.next() - 1))),
        );
  const attribute = (value: Attribute): Attribute => (value.kind === "tensor" ? { ...value, value: moved(value.value) } : value);
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

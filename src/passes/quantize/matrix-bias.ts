// MatMul and the Add of a bias behind it as one Gemm. ONNX Runtime makes them one when it loads a model, and then finds
// a bias in floats beside a weight in integers, which it runs in floats.
import { makeNode } from "../../graph/attributes.js";
import { indexOf } from "../../graph/graph-index.js";
import type { Node, Outcome, Pass } from "../../graph/types.js";
import { inferShapes } from "../../ops/infer.js";

const name = "matrix-bias";

/** Products [N, K] x [K, M] of a computed and a stored matrix, with a stored vector [M] added. */
export const joinMatrixBias: Pass = (graph) => {
  const index = indexOf(graph);
  const products = graph.nodes.filter(({ op, domain }) => op === "MatMul" && domain === "");
  if (products.length === 0 || (graph.opsets.get("") ?? 1) < 11) return { graph, outcomes: [] };
  const types = inferShapes(graph);
  const gone = new Set<Node>();
  const joined = new Map<Node, Node>();
  for (const product of products) {
    const [x = "", weight = ""] = product.inputs;
    const matrix = index.constant(weight);
    const add = index.soleReader(product.outputs[0]!);
    if (matrix?.dims.length !== 2 || types.get(x)?.dims?.length !== 2 || index.constant(x) !== undefined) continue;
    if (add?.op !== "Add" || add.domain !== "" || joined.has(add)) continue;
    const bias = add.inputs.find((value) => value !== product.outputs[0]) ?? "";
    const dims = index.constant(bias)?.dims;
    if (dims?.length !== 1 || dims[0] !== matrix.dims[1]) continue;
    gone.add(product);
    joined.set(add, makeNode("Gemm", [x, weight, bias], add.outputs, {}, { name: product.name || add.name }));
  }
  if (gone.size === 0) return { graph, outcomes: [] };
  const nodes = graph.nodes.flatMap((node) => (gone.has(node) ? [] : [joined.get(node) ?? node]));
  const outcomes = [...joined.values()].map(
    ({ name: layer, outputs }): Outcome => ({
      pass: name,
      layer: layer || outputs[0]!,
      applied: true,
      reason: "product and bias are one node",
    }),
  );
  return { graph: { ...graph, nodes }, outcomes };
};

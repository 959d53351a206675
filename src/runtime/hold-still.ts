// A graph whose random operators give fixed numbers instead, so that what depends on them can be compared after all:
// the same draws in the original and in what was made of it.
import { freshNames, replaceNodes, withInitializers } from "../graph/edit.js";
import type { Graph, Node, TensorData } from "../graph/types.js";
import { inferShapes } from "../ops/infer.js";
import type { StillContext } from "../ops/rules/random.js";
import { operatorOf } from "../ops/table.js";

/** The graph with every random operator of its main part replaced; undefined where it has an opset too old for that. */
export function heldStill(graph: Graph): Graph | undefined {
  const opset = graph.opsets.get("") ?? 1;
  if (opset < 9) return undefined; // no ConstantOfShape
  const types = typesOf(graph);
  const initializers = new Map<string, TensorData>();
  const fresh = freshNames(graph);
  const context: StillContext = {
    fresh,
    type: (name) => types.get(name)?.type ?? "float32",
    constant(value) {
      const name = fresh("still");
      initializers.set(name, value);
      return name;
    },
  };
  const replaced = new Map<Node, readonly Node[]>();
  for (const node of graph.nodes) {
    const still = operatorOf(node)?.random?.still?.(node, context);
    if (still !== undefined) replaced.set(node, still);
  }
  return withInitializers(replaceNodes(graph, replaced), initializers);
}

function typesOf(graph: Graph): ReturnType<typeof inferShapes> {
  try {
    return inferShapes(graph);
  } catch {
    return new Map();
  }
}

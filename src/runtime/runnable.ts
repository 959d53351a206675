// Whether ONNX Runtime can open a model at all, known before anything is done with it.
import { FilterBasisError, isError } from "../errors/error.js";
import { nodeName } from "../graph/attributes.js";
import { bodies } from "../graph/edit.js";
import type { Graph, Node } from "../graph/types.js";
import { loadModel } from "./files.js";
import { openSession } from "./open.js";
import type { Port, SessionOptions } from "./session.js";

export interface Runnable {
  readonly inputs: readonly Port[];
  readonly outputs: readonly Port[];
}

/**
 * Opens the model once and closes it again.
 * @throws FilterBasisError `unsupported` for an operator, domain, opset or IR version that the runtime has not: named,
 * with its nodes and what to do; `runtime` for a model that it refuses otherwise; `runtime-missing`
 */
export async function checkRunnable(original: Graph | string, options: SessionOptions = {}): Promise<Runnable> {
  try {
    const { inputs, outputs, release } = await openSession(original, options);
    await release();
    return { inputs, outputs };
  } catch (error) {
    if (!isError(error, "unsupported")) throw error;
    throw withNodes(error, typeof original === "string" ? await loadModel(original) : original);
  }
}

/** The error with the nodes that it is about: the first by name, the others by their number. */
function withNodes(error: FilterBasisError, graph: Graph): FilterBasisError {
  const { op } = error.place;
  const found = allNodes(graph).filter((node) => node.op === op && error.problem.endsWith(domainOf(node)));
  if (op === undefined || found.length === 0) return error;
  const count = found.length === 1 ? "" : `: ${found.length} nodes need it`;
  const { expected, got, cures, cause } = error;
  return new FilterBasisError(error.code, `${error.problem}${count}`, {
    ...error.place,
    node: error.place.node ?? nodeName(found[0]!),
    ...(expected === undefined ? {} : { expected }),
    ...(got === undefined ? {} : { got }),
    cures,
    cause,
  });
}

const domainOf = ({ domain }: Node): string => `of domain ${domain === "" ? "ai.onnx" : domain}`;

function allNodes({ nodes, functions = [] }: Pick<Graph, "nodes" | "functions">): readonly Node[] {
  const inner = [...nodes, ...functions.flatMap((one) => one.nodes)];
  return inner.flatMap((node) => [node, ...bodies(node).flatMap((body) => allNodes(body))]);
}

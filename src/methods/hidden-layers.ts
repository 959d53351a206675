// Convolutions that are not nodes of the main graph: in the bodies of If, Loop and Scan, and in local functions that
// could not be inlined.
import type { SkippedLayer } from "../basis/convolution.js";
import { nodeName } from "../graph/attributes.js";
import { bodies } from "../graph/edit.js";
import type { Graph, GraphBody, LocalFunction, Node } from "../graph/types.js";
import { isConvolution } from "../ops/cost/layers.js";
import { functionKey, functionTitle } from "../ops/verify/functions.js";
import { calledKey } from "../ops/verify/node.js";
import { inlineFunctions } from "../passes/inline-functions.js";

/** A skipped entry for each convolution in the bodies of a node. */
export function insideBodies(node: Node): readonly SkippedLayer[] {
  return bodies(node).flatMap((body) => insideBody(body, node));
}

function insideBody(body: GraphBody, owner: Node): readonly SkippedLayer[] {
  return body.nodes.flatMap((node) => [
    ...(isConvolution(node)
      ? [{ name: nodeName(node), reason: `it stands in the body of ${nodeName(owner)} (${owner.op})` }]
      : []),
    ...insideBodies(node),
  ]);
}

/**
 * A skipped entry for each convolution in a local function that nodes of the graph call, with the reason why the
 * function stays.
 */
export function insideFunctions(graph: Graph): readonly SkippedLayer[] {
  const functions = new Map((graph.functions ?? []).map((local) => [functionKey(local), local]));
  if (functions.size === 0) return [];
  const stays = new Map(
    inlineFunctions(graph).outcomes.map(({ layer, applied, reason }) => [layer, applied ? "" : `: ${reason}`]),
  );
  return graph.nodes.flatMap((node) => {
    const local = functions.get(calledKey(node));
    if (local === undefined) return [];
    const place = `it stands in the function ${functionTitle(local)}, which ${nodeName(node)} calls${stays.get(nodeName(node)) ?? ""}`;
    return convolutionsOf(local, functions).map((inner) => ({
      name: `${nodeName(node)}/${nodeName(inner)}`,
      reason: place,
    }));
  });
}

/** The convolutions of a function and of those that it calls, each function once. */
function convolutionsOf(local: LocalFunction, functions: ReadonlyMap<string, LocalFunction>): readonly Node[] {
  const found: Node[] = [];
  const seen = new Set([local]);
  const open = [local.nodes];
  for (let next = open.pop(); next !== undefined; next = open.pop()) {
    for (const node of next) {
      if (isConvolution(node)) found.push(node);
      for (const body of bodies(node)) open.push(body.nodes);
      const callee = functions.get(calledKey(node));
      if (callee === undefined || seen.has(callee)) continue;
      seen.add(callee);
      open.push(callee.nodes);
    }
  }
  return found;
}

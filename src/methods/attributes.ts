// What of a convolution's attributes goes to the convolution with the basis.
import type { Attribute, Node } from "../graph/types.js";

/** All but kernel and groups, which are written anew. */
export function ownAttributes(node: Node): ReadonlyMap<string, Attribute> {
  return new Map([...node.attributes].filter(([key]) => key !== "group" && key !== "kernel_shape"));
}

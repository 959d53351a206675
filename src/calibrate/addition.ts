// The addition behind a layer: where a shortcut is added to a layer's output, and whether a ReLU follows.
import { indexOf } from "../graph/graph-index.js";
import type { Graph, Node } from "../graph/types.js";
import type { CalibratedLayer } from "./layers.js";

/** What follows a layer of one node. */
export interface Following {
  /** The value that is added to the layer's output, of its shape. */
  readonly shortcut?: string;
  /** A ReLU reads the output (with the shortcut, where there is one) and nothing else does. */
  readonly relu: boolean;
}

/** Finds what follows each layer; `moving` are the values that depend on an input. */
export function followingOf(graph: Graph, moving: ReadonlySet<string>): (layer: CalibratedLayer) => Following {
  const sole = (value: string): Node | undefined => {
    const node = indexOf(graph).soleReader(value);
    return node?.domain === "" ? node : undefined;
  };
  return ({ nodes }) => {
    const [one, another] = nodes;
    if (one === undefined || another !== undefined) return { relu: false };
    const next = sole(one.output);
    const others = next?.inputs.filter((name) => name !== one.output) ?? [];
    const added = next?.op === "Add" && others.length === 1 && moving.has(others[0]!);
    if (!added) return { relu: next?.op === "Relu" };
    return { shortcut: others[0]!, relu: sole(next.outputs[0] ?? "")?.op === "Relu" };
  };
}

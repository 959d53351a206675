// Tensors that a pass puts into a graph, and the end of such a pass: nodes replaced, and what they alone read dropped.
import { int, makeNode } from "../graph/attributes.js";
import { freshNames, replaceNodes } from "../graph/edit.js";
import { type DataType, dataTypes, type Graph, type Node, type TensorData } from "../graph/types.js";
import { tensorOf } from "../graph/values.js";
import { dropUnread } from "../passes/remove-unread.js";

/** How a tensor is stored, and the type that its readers compute in. */
export interface StoredAs {
  readonly stored: DataType;
  readonly read: DataType;
}

/**
 * Dense filters in the type that the factors are stored in, or in the one that the model computes in: float16 behind a
 * Cast to float32 takes half of the bytes, and rounds filters that the compressed layer never rounds.
 */
export type Precision = "stored" | "computed";

export const inPrecision = ({ stored, read }: StoredAs, precision: Precision): StoredAs => ({
  stored: precision === "stored" ? stored : read,
  read,
});

export interface Store {
  /** Gives a name that is not taken yet. */
  readonly fresh: (stem: string) => string;
  /**
   * Puts numbers in; the value to read, which stands behind a Cast where they are stored in another type than they
   * are read in.
   */
  readonly put: (stem: string, type: StoredAs, dims: readonly number[], values: ArrayLike<number>) => string;
  /** Where a value that was put in is stored: itself, or what its Cast reads. */
  readonly rootOf: (value: string) => string;
  /** The graph with nodes in the place of others, and the tensors. */
  readonly replace: (graph: Graph, replacements: ReadonlyMap<Node, readonly Node[]>) => Graph;
}

export function storeFor(graph: Graph): Store {
  const fresh = freshNames(graph);
  const initializers = new Map<string, TensorData>();
  const casts: Node[] = [];
  return {
    fresh,
    put(stem, { stored, read }, dims, values) {
      const name = fresh(stem);
      initializers.set(name, tensorOf(stored, dims, values));
      if (read === stored) return name;
      const value = fresh(`${stem}.cast`);
      casts.push(makeNode("Cast", [name], [value], { to: int(dataTypes.indexOf(read) + 1) }));
      return value;
    },
    rootOf: (value) => casts.find(({ outputs }) => outputs[0] === value)?.inputs[0] ?? value,
    replace(into, replacements) {
      const replaced = replaceNodes(into, replacements, initializers);
      const read = [...replacements.keys()].flatMap(({ inputs }) => inputs);
      return dropUnread({ ...replaced, nodes: [...casts, ...replaced.nodes] }, read);
    },
  };
}

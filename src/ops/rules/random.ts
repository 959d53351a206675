// Operators that draw at random, and what stands for their draws where two models are to be compared.
import type { DataType, Node, TensorData } from "../../graph/types.js";

/** What a replacement needs beside its node. */
export interface StillContext {
  readonly fresh: (stem: string) => string;
  /** The type of a value, as far as it is known. */
  readonly type: (name: string) => DataType;
  /** Makes an initializer and gives its name. */
  readonly constant: (value: TensorData) => string;
}

export interface RandomRule {
  /** Whether it draws, where an input says so; absent: it always does. `constant` gives the tensor behind a name. */
  readonly draws?: (node: Node, constant: (name: string) => TensorData | undefined) => boolean;
  /** Nodes that give the same numbers in every run; undefined where the node may stay as it is. */
  readonly still?: (node: Node, context: StillContext) => readonly Node[] | undefined;
}

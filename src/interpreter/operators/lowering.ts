// What a lowering is: from one node to the function that runs it. Values are tensors or, for shape arithmetic, plain
// numbers.
import { FilterBasisError } from "../../errors/error.js";
import { nodeName } from "../../graph/attributes.js";
import type { Node } from "../../graph/types.js";
import type { Tensor } from "./aten.js";
import type { Host } from "./host.js";

export type Value = Tensor | Host;

/** What one forward pass is asked to do. */
export interface Run {
  /** Batch statistics and dropout, as PyTorch's `train()`. */
  readonly training: boolean;
  /** May the kernel write its result over its first input? True where no one else reads it and no gradient needs it. */
  readonly inPlace: boolean;
}

export type Inputs = readonly (Value | undefined)[];

/** Runs a node. A kernel never returns one of its input tensors itself; it returns a new handle. */
export type Kernel = (inputs: Inputs, run: Run) => Value | readonly Value[];

/** A node where its lowering meets it: attributes are read and refused here, before anything runs. */
export interface LoweringContext {
  readonly node: Node;
  /** Opset of the standard domain. */
  readonly opset: number;
  /** Inputs that are small constants, by position; undefined elsewhere. */
  readonly constants: readonly (Host | undefined)[];
  /** Dims of inputs that are constants or parameters, by position; undefined elsewhere. */
  readonly dims: readonly (readonly number[] | undefined)[];
  /** Rounding to integers passes gradients on as if it did nothing, while training (see `NetworkOptions`). */
  readonly straightThrough: boolean;
}

export type Lowering = (context: LoweringContext) => Kernel;

/** A typed refusal that names the node and its operator. */
export function refuse(context: { readonly node: Node }, message: string): FilterBasisError {
  return new FilterBasisError("unsupported", message, { node: nodeName(context.node), op: context.node.op });
}

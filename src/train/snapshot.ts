// Tensors of a training to and from the plain constants that a checkpoint holds.

import { FilterBasisError } from "../errors/error.js";
import { elementBytes } from "../graph/attributes.js";
import type { DataType, TensorData } from "../graph/types.js";
import { noGrad } from "../torch/autograd.js";
import { callAll } from "../torch/call.js";
import type { Tensor } from "../torch/index.js";
import { fromArray } from "../torch/index.js";

/** Copies the values out. */
export function snapshot(tensor: Tensor): TensorData {
  const values = tensor.data();
  return {
    type: tensor.dtype as DataType,
    dims: tensor.shape,
    data: new Uint8Array(values.buffer, values.byteOffset, values.byteLength),
  };
}

/** Copies saved values into a tensor of the same shape. */
export function restore(name: string, tensor: Tensor, saved: TensorData | undefined): void {
  if (saved === undefined) throw new FilterBasisError("malformed", "the checkpoint lacks a tensor", { tensor: name });
  if (saved.dims.join() !== tensor.shape.join() || saved.type !== tensor.dtype) {
    throw new FilterBasisError("shape-mismatch", "the checkpoint is of another network", {
      tensor: name,
      expected: `${tensor.dtype} [${tensor.shape.join(", ")}]`,
      got: `${saved.type} [${saved.dims.join(", ")}]`,
    });
  }
  const copy = typed(saved);
  noGrad(() => {
    const from = fromArray(copy, saved.dims, saved.type as "float32", tensor.device);
    callAll("copy_", tensor, from);
    from.dispose();
  });
}

const arrays = {
  float32: Float32Array,
  float64: Float64Array,
  int64: BigInt64Array,
  int32: Int32Array,
  uint8: Uint8Array,
} as const;

/** The values on a boundary of their size (a view on a file need not lie on one). */
export function typed(data: TensorData): Float32Array | Float64Array | BigInt64Array | Int32Array | Uint8Array {
  if (!(data.type in arrays))
    throw new FilterBasisError("unsupported", "a checkpoint holds no such type", { got: data.type });
  const bytes = data.data.slice();
  return new arrays[data.type as keyof typeof arrays](bytes.buffer, 0, bytes.length / elementBytes[data.type]);
}

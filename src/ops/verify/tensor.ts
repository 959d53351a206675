// Whether constants are what their shapes say.
import { type ErrorPlace, FilterBasisError } from "../../errors/error.js";
import { elementBytes } from "../../graph/attributes.js";
import type { DataType, SparseTensorData, TensorData } from "../../graph/types.js";

/** Bytes that a tensor of this type and shape must have; rounded up where elements share a byte. */
export function tensorBytes(type: DataType, dims: readonly number[]): number {
  // Not by the product alone: a zero beside sizes that overflow is still nothing.
  if (dims.includes(0)) return 0;
  return Math.ceil(dims.reduce((product, dim) => product * dim, 1) * elementBytes[type]);
}

/** @throws FilterBasisError `invalid-graph` */
export function verifyTensor({ type, dims, data, strings }: TensorData, place: ErrorPlace): void {
  const bad = dims.find((dim) => !Number.isSafeInteger(dim) || dim < 0);
  if (bad !== undefined) throw invalid("a size cannot be", place, "0 to 2^53 - 1", String(bad));
  if (elementBytes[type] === undefined) throw invalid("no such element type", place, undefined, String(type));
  if (type === "string") {
    const count = dims.includes(0) ? 0 : dims.reduce((product, dim) => product * dim, 1);
    const got = strings?.length ?? 0;
    if (got !== count) throw invalid(`does not fit its shape ${shape(dims)}`, place, `${count} strings`, `${got}`);
    return;
  }
  if (strings !== undefined) throw invalid(`has strings, and is of type ${type}`, place);
  const expected = tensorBytes(type, dims);
  if (data.length === expected) return;
  throw invalid(`does not fit its shape ${shape(dims)} of ${type}`, place, `${expected} bytes`, `${data.length}`);
}

/**
 * A sparse constant: values [k], indices int64 [k] (into the flattened tensor) or [k, rank], ascending, in bounds.
 * @throws FilterBasisError `invalid-graph`
 */
export function verifySparse({ dims, values, indices }: SparseTensorData, place: ErrorPlace): void {
  verifyTensor(values, place);
  verifyTensor(indices, { ...place, field: "indices" });
  if (dims.length === 0) throw invalid("a sparse tensor must have a rank", place);
  const bad = dims.find((dim) => !Number.isSafeInteger(dim) || dim <= 0);
  if (bad !== undefined) throw invalid("a sparse tensor's sizes must be positive", place, undefined, String(bad));
  if (values.dims.length !== 1)
    throw invalid("the values of a sparse tensor must have rank 1", place, "[k]", shape(values.dims));
  if (indices.type !== "int64")
    throw invalid("the indices of a sparse tensor must be int64", place, "int64", indices.type);
  const count = values.dims[0] as number;
  const rank = indices.dims.length === 1 ? 1 : dims.length;
  const wanted = indices.dims.length === 1 ? [count] : [count, dims.length];
  if (indices.dims.length !== wanted.length || indices.dims.some((dim, axis) => dim !== wanted[axis])) {
    throw invalid(
      "the indices of a sparse tensor do not fit its values",
      place,
      `[${count}] or [${count}, ${dims.length}]`,
      shape(indices.dims),
    );
  }
  const size = dims.reduce((product, dim) => product * dim, 1);
  if (!Number.isSafeInteger(size))
    throw invalid("a sparse tensor has too many elements", place, "at most 2^53 - 1", `${size}`);
  const bounds = rank === dims.length ? dims.map(BigInt) : [BigInt(size)];
  const view = new DataView(indices.data.buffer, indices.data.byteOffset, indices.data.byteLength);
  let before = -1n;
  for (let k = 0; k < count; k++) {
    let at = 0n;
    for (let axis = 0; axis < rank; axis++) {
      const index = view.getBigInt64((k * rank + axis) * 8, true);
      const bound = bounds[axis] as bigint;
      if (index < 0n || index >= bound)
        throw invalid(`index ${k} of a sparse tensor is out of range`, place, `0 to ${bound - 1n}`, `${index}`);
      at = at * bound + index;
    }
    if (at <= before) throw invalid(`index ${k} of a sparse tensor does not come after the one before`, place);
    before = at;
  }
}

function shape(dims: readonly number[]): string {
  return dims.length <= 12 ? `[${dims.join(", ")}]` : `[${dims.slice(0, 8).join(", ")}, ...] of rank ${dims.length}`;
}

function invalid(message: string, place: ErrorPlace, expected?: string, got?: string): FilterBasisError {
  return new FilterBasisError("invalid-graph", message, {
    ...place,
    ...(expected && { expected }),
    ...(got && { got }),
  });
}

// Elements of constants in another order: strides over the stored bytes, whatever the element type.
import { elementBytes, elements } from "../../graph/attributes.js";
import type { DataType, TensorData } from "../../graph/types.js";

type Cells = Uint8Array | Uint16Array | Uint32Array | BigUint64Array | Float64Array;

/** For each output place in order, `visit` with the source's place: offset + the sum of place * stride. */
export function walk(
  dims: readonly number[],
  strides: readonly number[],
  offset: number,
  visit: (from: number, to: number) => void,
): void {
  const rank = dims.length;
  const inner = rank === 0 ? 1 : dims[rank - 1]!;
  const step = rank === 0 ? 0 : strides[rank - 1]!;
  const outer = elements(dims.slice(0, -1));
  const place = new Array<number>(rank).fill(0);
  let base = offset;
  let to = 0;
  for (let row = 0; row < outer; row++) {
    for (let at = 0, from = base; at < inner; at++, from += step) visit(from, to++);
    for (let axis = rank - 2; axis >= 0; axis--) {
      base += strides[axis]!;
      if (++place[axis]! < dims[axis]!) break;
      base -= strides[axis]! * dims[axis]!;
      place[axis] = 0;
    }
  }
}

/** Row-major strides, in elements. */
export function stridesOf(dims: readonly number[]): number[] {
  const strides = new Array<number>(dims.length).fill(1);
  for (let axis = dims.length - 2; axis >= 0; axis--) strides[axis] = strides[axis + 1]! * dims[axis + 1]!;
  return strides;
}

/** Strides with which a tensor is read where it is broadcast to `dims`. */
export function broadcastStrides(own: readonly number[], dims: readonly number[]): number[] {
  const strides = stridesOf(own);
  return dims.map((_, axis) => {
    const at = axis - dims.length + own.length;
    return at < 0 || own[at] === 1 ? 0 : strides[at]!;
  });
}

/** The stored elements as numbers of their size, for moving only; undefined for elements that share bytes, and for strings. */
function cellsOf(type: DataType, bytes: Uint8Array): Cells | undefined {
  const size = elementBytes[type];
  const aligned = bytes.byteOffset % Math.max(1, size) === 0 ? bytes : new Uint8Array(bytes);
  const { buffer, byteOffset, byteLength } = aligned;
  if (size === 1) return aligned;
  if (size === 2) return new Uint16Array(buffer, byteOffset, byteLength / 2);
  if (size === 4) return new Uint32Array(buffer, byteOffset, byteLength / 4);
  return size === 8 ? new BigUint64Array(buffer, byteOffset, byteLength / 8) : undefined;
}

/** The tensor [dims] whose elements are read from the source at the given strides. */
export function strided(
  source: TensorData,
  dims: readonly number[],
  read: readonly number[],
  strides: readonly number[],
  offset = 0,
): TensorData | undefined {
  const from = cellsOf(source.type, source.data);
  if (from === undefined) return undefined;
  const data = new Uint8Array(elements(dims) * elementBytes[source.type]);
  const to = cellsOf(source.type, data) as Cells;
  if (from instanceof BigUint64Array) walk(read, strides, offset, (a, b) => void ((to as BigUint64Array)[b] = from[a]!));
  else walk(read, strides, offset, (a, b) => void ((to as Uint32Array)[b] = from[a] as number));
  return { type: source.type, dims, data };
}

/** The tensor with other dims over the same elements. */
export const reshaped = ({ type, data, strings }: TensorData, dims: readonly number[]): TensorData =>
  strings === undefined ? { type, dims, data } : { type, dims, data, strings };

/** Blocks of `source` copied into a tensor of zeros: rows of `width` bytes from `from(row)` to `to(row)`. */
export function copyRows(
  target: Uint8Array,
  source: Uint8Array,
  rows: number,
  width: number,
  from: (row: number) => number,
  to: (row: number) => number,
): void {
  for (let row = 0; row < rows; row++) target.set(source.subarray(from(row), from(row) + width), to(row));
}

// Elements of tensors in another order: strides over arrays of numbers, of expressions, or of the bits that a tensor
// stores.
import { elementBytes, elements } from "../../graph/attributes.js";
import type { Dim, TensorData } from "../../graph/types.js";

/** Elements in row-major order; in a typed array, numbers (or the bits of elements that are only moved). */
export type Elements = ArrayLike<Dim>;

interface Writable {
  readonly length: number;
  [index: number]: Dim;
}

/** An array of the same kind for `count` elements. */
export function emptyLike(source: Elements, count: number): Writable {
  if (Array.isArray(source)) return new Array<Dim>(count).fill(null);
  return new (source.constructor as new (count: number) => Writable)(count);
}

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

/** The elements that are read from the source at the given strides. */
export function strided(source: Elements, dims: readonly number[], strides: readonly number[], offset = 0): Elements {
  const made = emptyLike(source, elements(dims));
  walk(dims, strides, offset, (from, to) => void (made[to] = source[from]!));
  return made;
}

/** Rows of `width` elements copied from the place `from(row)` to `to(row)`. */
export function copyRows(
  target: Writable,
  source: Elements,
  rows: number,
  width: number,
  from: (row: number) => number,
  to: (row: number) => number,
): void {
  for (let row = 0; row < rows; row++) {
    const [at, start] = [to(row), from(row)];
    for (let index = 0; index < width; index++) target[at + index] = source[start + index]!;
  }
}

/**
 * The stored elements as numbers of their size, for moving only; undefined for elements that share bytes, and for
 * strings.
 */
export function cellsOf({ type, data }: TensorData): Elements | undefined {
  const size = elementBytes[type];
  const aligned = data.byteOffset % Math.max(1, size) === 0 ? data : new Uint8Array(data);
  const { buffer, byteOffset, byteLength } = aligned;
  if (size === 1) return new Uint8Array(buffer, byteOffset, byteLength); // of a Buffer, which is not one of its kind
  if (size === 2) return new Uint16Array(buffer, byteOffset, byteLength / 2);
  if (size === 4) return new Uint32Array(buffer, byteOffset, byteLength / 4);
  return size === 8 ? (new BigUint64Array(buffer, byteOffset, byteLength / 8) as unknown as Elements) : undefined;
}

// The compressed layers of a model beside what they were: splits, basis, rate, what is left of the original filters,
// pictures.
import { rate } from "../basis/split.js";
import type { Graph } from "../graph/types.js";
import { floats } from "../graph/values.js";
import { type LayerRecord, readRecord } from "../methods/record.js";
import { bitmapUrl, mosaic } from "./bitmap.js";

export interface LayerRow {
  readonly name: string;
  /** [n, c, h, w] of the filters that were replaced. */
  readonly shape: readonly number[];
  /** s */
  readonly splits: number;
  /** m */
  readonly basisSize: number;
  /** Eq. 6: weights with the basis over weights without, the basis counted whole. */
  readonly rate: number;
  readonly layout: string;
  readonly shared?: string;
  /** ||W - B A|| / ||W|| when it was compressed. */
  readonly errorBefore?: number;
  /** The same for the basis as it was trained. */
  readonly errorAfter?: number;
  readonly latencyMs?: number;
  readonly latencyBeforeMs?: number;
  readonly pictures?: FilterImages;
}

/** Bitmaps as data URLs, and how much of the whole each shows. */
export interface FilterImages {
  readonly basis: string;
  readonly basisSize: readonly [number, number];
  readonly original: string;
  readonly rebuilt: string;
  readonly filterSize: readonly [number, number];
  readonly shown: string;
}

/** The most rows and columns of kernels in a picture: more cannot be told apart on a screen. */
const most = 12;

/** Reads the rows from the trained model's own record; the original model, if given, adds errors and pictures. */
export function layerRows(trained: Graph, original?: Graph): LayerRow[] {
  return (readRecord(trained)?.layers ?? []).map((layer) => {
    const [n, c, ...kernel] = layer.shape as [number, number, ...number[]];
    const shape = {
      outChannels: n,
      inChannels: c,
      kernelElements: kernel.reduce((product, size) => product * size, 1),
    };
    const compared = original && compare(trained, original, layer);
    return {
      name: layer.name || layer.output,
      shape: layer.shape,
      splits: layer.splits,
      basisSize: layer.basisSize,
      rate: rate(shape, layer.splits, layer.basisSize),
      layout: layer.layout,
      ...(layer.shared === undefined ? {} : { shared: layer.shared }),
      ...(layer.error === null ? {} : { errorBefore: layer.error }),
      ...(compared ?? {}),
    };
  });
}

/**
 * What is left of W in B A, and pictures of B, W and B A. Undefined where a part is missing or something not linear
 * stands between.
 */
function compare(
  trained: Graph,
  original: Graph,
  layer: LayerRecord,
): Pick<LayerRow, "errorAfter" | "pictures"> | undefined {
  const { splits: s, basisSize: m, shape } = layer;
  const [w, b, a] = [
    original.initializers.get(layer.weight),
    trained.initializers.get(layer.basis),
    trained.initializers.get(layer.coefficients),
  ];
  if (!w || !b || !a || layer.basisOnly || shape.length !== 4 || a.dims.slice(2).some((size) => size !== 1))
    return undefined;
  const [n, c, height, width] = shape as unknown as [number, number, number, number];
  const p = c / s;
  const kernelElements = height * width;
  const [from] = layer.slice ?? [0];
  const wide = b.dims[1] ?? p; // channels of the stored basis; a sliced layer reads p of them
  const [filters, basisAll, coefficients] = [floats(w), floats(b), floats(a)];
  if (
    filters.length !== n * c * kernelElements ||
    basisAll.length !== m * wide * kernelElements ||
    coefficients.length !== n * s * m
  )
    return undefined;
  const basis = new Float32Array(m * p * kernelElements); // [m, p, h, w]
  for (let j = 0; j < m; j++)
    basis.set(
      basisAll.subarray((j * wide + from) * kernelElements, (j * wide + from + p) * kernelElements),
      j * p * kernelElements,
    );
  const rebuilt = rebuild(coefficients, basis, { n, s, m, length: p * kernelElements });
  return {
    errorAfter: relativeDifference(filters, rebuilt),
    pictures: pictures({ basis, filters, rebuilt }, { n, c, m, p, height, width }),
  };
}

/** W[o, g p + i, y, x] = sum_j A[o, g m + j] B[j, i, y, x], flattened: `length` is p h w. */
function rebuild(
  coefficients: Float32Array,
  basis: Float32Array,
  { n, s, m, length }: { n: number; s: number; m: number; length: number },
): Float32Array {
  const rebuilt = new Float32Array(n * s * length); // [n, s, p h w] = [n, c, h, w]
  for (let row = 0; row < n * s; row++) {
    const out = rebuilt.subarray(row * length, (row + 1) * length);
    for (let j = 0; j < m; j++) {
      const factor = coefficients[row * m + j]!;
      for (let k = 0; k < length; k++) out[k]! += factor * basis[j * length + k]!;
    }
  }
  return rebuilt;
}

function relativeDifference(reference: Float32Array, other: Float32Array): number {
  let [difference, norm] = [0, 0];
  for (let i = 0; i < reference.length; i++) {
    difference += (reference[i]! - other[i]!) ** 2;
    norm += reference[i]! ** 2;
  }
  return norm > 0 ? Math.sqrt(difference / norm) : 0;
}

interface Parts {
  readonly basis: Float32Array;
  readonly filters: Float32Array;
  readonly rebuilt: Float32Array;
}

function pictures(
  { basis, filters, rebuilt }: Parts,
  { n, c, m, p, height, width }: { n: number; c: number; m: number; p: number; height: number; width: number },
): FilterImages {
  const size = height * width;
  const corner = (values: Float32Array, columns: number, rows: number, across: number): Float32Array => {
    const out = new Float32Array(rows * across * size);
    for (let row = 0; row < rows; row++)
      out.set(values.subarray(row * columns * size, (row * columns + across) * size), row * across * size);
    return out;
  };
  const [rows, across] = [Math.min(n, most), Math.min(c, most)];
  const [basisRows, basisAcross] = [Math.min(m, most), Math.min(p, most)];
  const [w, wa, b] = [
    corner(filters, c, rows, across),
    corner(rebuilt, c, rows, across),
    corner(basis, p, basisRows, basisAcross),
  ];
  const scale = largest(w); // one scale for the filters and what replaces them, so that they can be compared
  const draw = (values: Float32Array, sizes: [number, number], limit: number) =>
    mosaic(values, [...sizes, height, width], limit);
  const [original, again, trained] = [
    draw(w, [rows, across], scale),
    draw(wa, [rows, across], scale),
    draw(b, [basisRows, basisAcross], largest(b)),
  ];
  return {
    basis: bitmapUrl(trained),
    basisSize: [trained.width, trained.height],
    original: bitmapUrl(original),
    rebuilt: bitmapUrl(again),
    filterSize: [original.width, original.height],
    shown: `${basisRows} of ${m} basis filters, ${rows} of ${n} filters, ${across} of ${c} channels`,
  };
}

function largest(values: Float32Array): number {
  let found = 0;
  for (const value of values) found = Math.max(found, Math.abs(value));
  return found;
}

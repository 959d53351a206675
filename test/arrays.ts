// Array files for tests: .npy and .npz as numpy writes them, made in memory.
import { zip } from "./archives.js";

interface NpyOptions {
  readonly fortran?: boolean;
  readonly version?: 1 | 2;
}

/** An .npy file over the bytes of the elements; `descr` as numpy has it: "<f4", "|u1". */
export function npy(descr: string, dims: readonly number[], data: ArrayBufferView, options: NpyOptions = {}): Buffer {
  const { fortran = false, version = 1 } = options;
  const shape = dims.length === 1 ? `(${dims[0]},)` : `(${dims.join(", ")})`;
  return npyOf(
    `{'descr': '${descr}', 'fortran_order': ${fortran ? "True" : "False"}, 'shape': ${shape}, }`,
    data,
    version,
  );
}

/** An .npy file with a header of the test's own. */
export function npyOf(header: string, data: ArrayBufferView, version: 1 | 2 = 1): Buffer {
  const sizeBytes = version === 1 ? 2 : 4;
  const length = Math.ceil((8 + sizeBytes + header.length + 1) / 64) * 64 - 8 - sizeBytes;
  const start = Buffer.alloc(8 + sizeBytes);
  start.write("\x93NUMPY", "latin1");
  start[6] = version;
  start.writeUIntLE(length, 8, sizeBytes);
  const bytes = Buffer.from(data.buffer, data.byteOffset, data.byteLength);
  return Buffer.concat([start, Buffer.from(header.padEnd(length - 1) + "\n", "latin1"), bytes]);
}

/** An .npz file; every second array deflated. */
export function npz(arrays: Readonly<Record<string, Buffer>>): Buffer {
  return zip(Object.entries(arrays).map(([name, bytes]) => [`${name}.npy`, bytes] as const));
}

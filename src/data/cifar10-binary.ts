// CIFAR-10's binary version: records of one label byte, then 1024 red, 1024 green and 1024 blue bytes.
import { FilterBasisError } from "../errors/error.js";
import type { ImageData, ImageSet } from "./image-set.js";

export const cifar10Classes = [
  "airplane",
  "automobile",
  "bird",
  "cat",
  "deer",
  "dog",
  "frog",
  "horse",
  "ship",
  "truck",
] as const;

const pixels = 3 * 32 * 32;
export const recordBytes = 1 + pixels;

/**
 * Image sets from binary batches by file name; `test_batch.bin` is the test set, the others in order are the training
 * set.
 * @throws FilterBasisError `malformed` (a record cut off, a label above 9)
 */
export function cifar10FromBinary(parts: ReadonlyMap<string, Uint8Array>, origin = "CIFAR-10"): ImageData {
  const pick = (test: boolean) =>
    [...parts].filter(([name]) => name.startsWith("test") === test).sort(([a], [b]) => (a < b ? -1 : 1));
  const [train, test] = [
    joinRecords(pick(false), `${origin} training set`),
    joinRecords(pick(true), `${origin} test set`),
  ];
  return { ...(train && { train }), ...(test && { test }) };
}

function joinRecords(parts: readonly (readonly [string, Uint8Array])[], name: string): ImageSet | undefined {
  if (parts.length === 0) return undefined;
  for (const [file, { length }] of parts) {
    if (length === 0 || length % recordBytes !== 0) {
      throw new FilterBasisError("malformed", "a CIFAR-10 batch is cut off", {
        file,
        expected: `records of ${recordBytes} bytes`,
        got: `${length} bytes`,
      });
    }
  }
  const count = parts.reduce((sum, [, bytes]) => sum + bytes.length / recordBytes, 0);
  const images = new Uint8Array(new SharedArrayBuffer(count * pixels));
  const labels = new Uint8Array(count);
  let n = 0;
  for (const [file, bytes] of parts) {
    for (let at = 0; at < bytes.length; at += recordBytes, n++) {
      const label = bytes[at]!;
      if (label >= cifar10Classes.length) {
        throw new FilterBasisError("malformed", `record ${at / recordBytes} has no such class`, {
          file,
          expected: "0 .. 9",
          got: String(label),
        });
      }
      labels[n] = label;
      images.set(bytes.subarray(at + 1, at + recordBytes), n * pixels);
    }
  }
  return { name, images, labels, classes: cifar10Classes, count, height: 32, width: 32 };
}

// What is written into a file beside the model (ONNX's external data): which tensors, and where in it.
import type { PutExternal } from "../formats/onnx/index.js";

/** Tensors smaller than this stay in the model. */
const smallestExternal = 1024;
/** Large tensors begin where a page does, so that runtimes can map the file into memory (onnx/docs/ExternalData.md). */
const page = 4096;

/** Collects tensors for a file called `location`; `pieces` are its bytes in order. */
export function externalWriter(location: string): { readonly put: PutExternal; readonly pieces: Uint8Array[] } {
  const pieces: Uint8Array[] = [];
  const places = new Map<Uint8Array, number>();
  let end = 0;
  return {
    pieces,
    put(data) {
      if (data.length < smallestExternal) return undefined;
      const before = places.get(data);
      if (before !== undefined) return { location, offset: before };
      const alignment = data.length >= 2 ** 20 ? page : 64;
      const gap = (alignment - (end % alignment)) % alignment;
      if (gap > 0) pieces.push(new Uint8Array(gap));
      const offset = end + gap;
      pieces.push(data);
      places.set(data, offset);
      end = offset + data.length;
      return { location, offset };
    },
  };
}

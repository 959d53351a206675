// Products of samples in WebAssembly, four lanes at a time: what a calibration in a page spends half of its time on.
import { pureProducts } from "../../src/calibrate/ort-engine.js";
import type { Products } from "../../src/calibrate/sums.js";

/** gram.wat, assembled. */
const bytes =
  "AGFzbQEAAAABDQJgBH9/f38AYAJ/ewADAwIAAQUDAQABBxECBm1lbW9yeQIABGdyYW0AAArLAwKLAwIKfwV7IAJBBXQhDCABQQR0IQ0D" +
  "QCABIARrIQUgBUGAAksEQEGAAiEFCyAFQQR0IQVBACEGA0BBACEHA0AgACAGIA1sIARBBHRqaiEIIAAgByANbCAEQQR0amohCSAIIAVq" +
  "IQr9DAAAAAAAAAAAAAAAAAAAAAAhD/0MAAAAAAAAAAAAAAAAAAAAACEQ/QwAAAAAAAAAAAAAAAAAAAAAIRH9DAAAAAAAAAAAAAAAAAAA" +
  "AAAhEgNAIAn9AAQAIQ4gDyAI/QkCACAO/eYB/eQBIQ8gECAI/QkCBCAO/eYB/eQBIRAgESAI/QkCCCAO/eYB/eQBIREgEiAI/QkCDCAO" +
  "/eYB/eQBIRIgCUEQaiEJIAhBEGohCCAIIApJDQALIAMgBkECdCAMbCAHQQV0amohCyALIA8QASALIAxqIQsgCyAQEAEgCyAMaiELIAsg" +
  "ERABIAsgDGohCyALIBIQASAHQQFqIQcgByAGTQ0ACyAGQQFqIQYgBiACSQ0ACyAEQYACaiEEIAQgAUkNAAsLPAAgACAA/QAEACAB/V/9" +
  "8AH9CwQAIAAgAP0ABBAgASAB/Q0ICQoLDA0ODwABAgMEBQYH/V/98AH9CwQQCw==";

interface Kernel {
  readonly memory: WebAssembly.Memory;
  gram(x: number, rows: number, panels: number, out: number): void;
}

let kernel: Kernel | undefined;

function load(): Kernel {
  const code = Uint8Array.from(atob(bytes), (letter) => letter.charCodeAt(0));
  return new WebAssembly.Instance(new WebAssembly.Module(code)).exports as unknown as Kernel;
}

/** Wider samples would hold too much memory. */
const widest = 2048;
/** Samples that are summed at once. */
const together = 2048;
const page = 2 ** 16;

/** In single precision over 256 samples at a time, which are added up in double. */
export const fastProducts: Products = {
  ...pureProducts,
  addGram(into, x, rows, cols) {
    if (cols > widest) return pureProducts.addGram(into, x, rows, cols);
    kernel ??= load();
    const panels = Math.ceil(cols / 4);
    const side = 4 * panels;
    const first = 8 * side ** 2; // the result lies at 0, the samples behind it
    const needed = first + 4 * side * Math.min(rows, together) - kernel.memory.buffer.byteLength;
    if (needed > 0) kernel.memory.grow(Math.ceil(needed / page));
    const out = new Float64Array(kernel.memory.buffer, 0, side ** 2).fill(0);
    for (let from = 0; from < rows; from += together) {
      const count = Math.min(together, rows - from);
      pack(
        x.subarray(from * cols, (from + count) * cols),
        cols,
        new Float32Array(kernel.memory.buffer, first, side * count),
      );
      kernel.gram(first, count, panels, 0);
    }
    for (let i = 0; i < cols; i++)
      for (let j = 0; j <= i; j++) into[i * cols + j] = into[i * cols + j]! + out[i * side + j]!;
  },
};

/** [rows x cols] -> [panel][row][4], the last panel filled up with zeros. */
function pack(x: Float32Array, cols: number, out: Float32Array): void {
  const rows = x.length / cols;
  if (cols % 4 !== 0) out.fill(0);
  for (let row = 0, at = 0; row < rows; row++)
    for (let col = 0; col < cols; col++, at++) out[4 * ((col >> 2) * rows + row) + (col & 3)] = x[at]!;
}

// Mixed precision: convolutions and products in half the bits, everything else (weights, statistics, losses) in float32.
import { FilterBasisError } from "../errors/error.js";
import type { Device } from "./device.js";
import { guarded } from "./errors.js";
import { loadEngine } from "./native.js";

/** In what convolutions and matrix products are computed in a training. */
export type Precision = "float32" | "bfloat16" | "float16";

/** @throws FilterBasisError `unsupported` for float16 on the processor, where libtorch has no kernels for it */
export function checkPrecision(precision: Precision, device: Device): void {
  if (precision !== "float16" || device !== "cpu") return;
  throw new FilterBasisError("unsupported", "float16 is trained on a GPU only", {
    field: "precision",
    cures: ["on the processor: precision bfloat16", "name a GPU: --device cuda"],
  });
}

/**
 * Runs a function in which libtorch computes what gains from it in the given precision on the device (its autocast).
 * The function must be synchronous; gradients are computed in the precision of their forward operator, also outside.
 */
export function inPrecision<T>(precision: Precision, device: Device, run: () => T): T {
  if (precision === "float32") return run();
  const engine = loadEngine();
  guarded("autocast", () => engine.autocast(device, precision));
  try {
    return run();
  } finally {
    engine.autocast(device, null);
  }
}

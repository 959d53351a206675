// Seeds, threads, devices and versions of the engine.
import type { Device } from "./device.js";
import { guarded } from "./errors.js";
import { type Information, loadEngine } from "./native.js";
import { fromArray, Tensor } from "./tensor.js";

export type { Information } from "./native.js";

/** Seeds the generators of all devices. */
export function manualSeed(seed: number | bigint): void {
  guarded("manualSeed", () => loadEngine().manualSeed(seed));
}

/**
 * The whole state of a device's generator (by default the processor's), as bytes: given back to setGeneratorState, the
 * same numbers follow.
 */
export function generatorState(device?: Device): Uint8Array {
  using state = new Tensor(guarded("generatorState", () => loadEngine().generatorState(device)));
  return state.data() as Uint8Array;
}

export function setGeneratorState(bytes: Uint8Array, device?: Device): void {
  using state = fromArray(bytes, [bytes.length]);
  guarded("setGeneratorState", () => loadEngine().setGeneratorState(state.handle, device));
}

/** Bounds the threads of OpenMP and of OpenBLAS, for the whole process. */
export function setThreads(count: number): void {
  guarded("setThreads", () => loadEngine().threads(count));
}

export function threads(): number {
  return loadEngine().threads();
}

/** Tensors alive in the process, those of worker threads included. */
export function liveTensors(): number {
  return loadEngine().liveTensors();
}

/**
 * Switches: mkldnn (oneDNN's kernels), deterministic, flushDenormals, and of CUDA cudnnBenchmark (algorithms are timed
 * once for each shape) and tf32 (its convolutions in float32 with 10 bits of
 * mantissa).
 */
export function setSwitch(
  name: "mkldnn" | "deterministic" | "flushDenormals" | "cudnnBenchmark" | "tf32",
  on: boolean,
): void {
  guarded("setSwitch", () => loadEngine().setSwitch(name, on));
}

/** Versions and configuration of libtorch and its BLAS. */
export function engineInfo(): Information {
  return loadEngine().information();
}

// How many channels ONNX Runtime's convolutions compute at once. Its blocked kernels (NCHWc) pad the channels of a
// convolution to whole vectors: 20 channels take as long as 32 on AVX-512. WebAssembly has no such kernels, and its
// times grow with every channel. Measured: bench/ranks.ts.
import { readFileSync } from "node:fs";
import { arch } from "node:os";
import { arithmeticOf } from "./machine.js";
import type { RuntimeName } from "./session.js";

/** Channels of a block; 1 where any number is as good as its neighbours. */
export function channelBlock(
  runtime: RuntimeName | undefined,
  { architecture = arch(), info = processorInfo() }: { readonly architecture?: string; readonly info?: string } = {},
): number {
  if (runtime === "web") return 1;
  return arithmeticOf({ architecture, info }).instructions.includes("avx512f") ? 16 : 8;
}

function processorInfo(): string {
  try {
    return readFileSync("/proc/cpuinfo", "utf8");
  } catch {
    return "";
  }
}

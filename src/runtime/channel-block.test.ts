import { expect, test } from "vitest";
import { channelBlock } from "./channel-block.js";

test("AVX-512 computes sixteen channels at once, others eight, WebAssembly each by itself", () => {
  const flags = (text: string) => ({ architecture: "x64", info: `flags\t\t: ${text}\n` });
  expect(channelBlock(undefined, flags("sse4_2 avx avx2 fma avx512f"))).toBe(16);
  expect(channelBlock("node", flags("sse4_2 avx avx2 fma"))).toBe(8);
  expect(channelBlock("node", { architecture: "arm64", info: "" })).toBe(8);
  expect(channelBlock("web", flags("avx512f"))).toBe(1);
});

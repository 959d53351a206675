import { expect, test } from "vitest";
import { arithmeticOf, busyText, describeMachine, measureFrequency } from "./machine.js";

const cpuinfo = (vendor: string, family: number, flags: string) =>
  `vendor_id\t: ${vendor}\ncpu family\t: ${family}\nflags\t\t: fpu ${flags} end\n`;

test.each([
  ["an Intel server with AVX-512", "x64", cpuinfo("GenuineIntel", 6, "sse4_2 avx avx2 fma avx512f"), 64],
  ["a Zen 4", "x64", cpuinfo("AuthenticAMD", 25, "sse4_2 avx avx2 fma avx512f"), 32],
  ["a Zen 5", "x64", cpuinfo("AuthenticAMD", 26, "sse4_2 avx avx2 fma avx512f"), 64],
  ["a Haswell", "x64", cpuinfo("GenuineIntel", 6, "sse4_2 avx avx2 fma"), 32],
  ["a Sandy Bridge", "x64", cpuinfo("GenuineIntel", 6, "sse4_2 avx"), 16],
  ["an old x86", "x64", cpuinfo("GenuineIntel", 6, "sse4_2"), 8],
  ["a Neoverse N1", "arm64", "Features\t: fp asimd asimddp\n", 16],
  ["a system without /proc", "x64", "", 8],
])("%s does so many float32 operations a cycle", (_, architecture, info, expected) => {
  expect(arithmeticOf({ architecture, info }).flopsPerCycle).toBe(expected);
});

test("this machine is described, with at least one core and some memory", () => {
  const machine = describeMachine();
  expect(machine.cores).toBeGreaterThanOrEqual(1);
  expect(machine.threads).toBeGreaterThanOrEqual(machine.cores);
  expect(machine.memoryBytes).toBeGreaterThan(machine.freeMemoryBytes);
  expect(machine.node).toBe(process.versions.node);
});

test("the measured frequency is one that processors have", () => {
  // Between a slow board and twice the fastest processor; a broken chain (optimised away, or not one cycle a step)
  // falls outside.
  const frequency = measureFrequency();
  expect(frequency).toBeGreaterThan(0.3);
  expect(frequency).toBeLessThan(12);
});

test("a machine is busy where others want its processor, not where one command uses all of it", () => {
  expect(busyText(4, 2)).toBeUndefined();
  expect(busyText(4.5, 2)).toMatch(/busy \(load 4\.5 on 2 threads\).*try again when it is idle/);
});

// Environment variables that libtorch's libraries read once, on loading. What the user has set is never overridden.
import { readFileSync } from "node:fs";
import { availableParallelism, cpus, loadavg } from "node:os";

/**
 * OPENBLAS_CORETYPE: OpenBLAS 0.3.21 takes some AVX-512 virtual machines for a Prescott and multiplies matrices at a sixth of the speed.
 * OMP_WAIT_POLICY: threads that spin while they wait are about a quarter faster on an idle machine, and ruin a shared one.
 * OPENBLAS_NUM_THREADS: OpenBLAS does not heed libtorch's own bound.
 */
export function environmentDefaults(): Record<string, string> {
  const defaults: Record<string, string> = {};
  if (hasAvx512()) defaults.OPENBLAS_CORETYPE = "SKYLAKEX";
  if (isShared()) defaults.OMP_WAIT_POLICY = "passive";
  if (process.env.OMP_NUM_THREADS) defaults.OPENBLAS_NUM_THREADS = process.env.OMP_NUM_THREADS;
  return defaults;
}

function hasAvx512(): boolean {
  if (process.arch !== "x64") return false;
  try {
    const flags = /^flags\s*:(.*)$/m.exec(readFileSync("/proc/cpuinfo", "utf8"))?.[1] ?? "";
    return ["avx512f", "avx512bw", "avx512dq", "avx512vl", "avx512cd"].every((flag) => ` ${flags} `.includes(` ${flag} `));
  } catch {
    return false; // no /proc: not Linux
  }
}

/** Others compute here too: a continuous-integration machine, fewer processors than the machine has, or a load of at least half of them. */
function isShared(): boolean {
  return Boolean(process.env.CI) || availableParallelism() < cpus().length || (loadavg()[0] ?? 0) > cpus().length / 2;
}

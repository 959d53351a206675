// Environment variables that libtorch's libraries read once, on loading. What the user has set is never overridden.
import { readFileSync } from "node:fs";
import { availableParallelism, cpus, loadavg } from "node:os";

/**
 * OPENBLAS_CORETYPE: OpenBLAS 0.3.21 takes some AVX-512 virtual machines for a Prescott and multiplies matrices at a
 * sixth of the speed. OMP_WAIT_POLICY: threads that spin while they wait are about a quarter faster on an idle machine,
 * and ruin a shared one. OMP_NUM_THREADS: libtorch's own count of the cores is wrong on some virtual machines (one of
 * two on an AMD EPYC under KVM). OPENBLAS_NUM_THREADS: OpenBLAS does not heed libtorch's own bound.
 * TORCH_CPP_LOG_LEVEL: c10d prints each port in use and lost peer beside the errors that say so.
 */
export function environmentDefaults(): Record<string, string> {
  const defaults: Record<string, string> = {};
  if (hasAvx512()) defaults.OPENBLAS_CORETYPE = "SKYLAKEX";
  if (isShared()) defaults.OMP_WAIT_POLICY = "passive";
  const threads = process.env.OMP_NUM_THREADS || process.env.MKL_NUM_THREADS || String(usableCores());
  return { ...defaults, OMP_NUM_THREADS: threads, OPENBLAS_NUM_THREADS: threads, TORCH_CPP_LOG_LEVEL: "FATAL" };
}

/**
 * Cores that this process may use: of those it is bound to, no more than the machine really has or its control group is
 * granted.
 */
export function usableCores(): number {
  const quota = /^(\d+) (\d+)/.exec(readText("/sys/fs/cgroup/cpu.max")); // microseconds in a period
  const granted = quota ? Math.ceil(Number(quota[1]) / Number(quota[2])) : Number.POSITIVE_INFINITY;
  return Math.max(
    1,
    Math.min(availableParallelism(), coresIn(readText("/proc/cpuinfo")) ?? Number.POSITIVE_INFINITY, granted),
  );
}

/**
 * Distinct (package, core) pairs in the text of /proc/cpuinfo, since two threads of a core share its arithmetic;
 * undefined where it does not tell.
 */
function coresIn(info: string): number | undefined {
  const pairs = info
    .split(/\n\s*\n/)
    .map((block) => [/^physical id\s*:\s*(\d+)/m.exec(block)?.[1], /^core id\s*:\s*(\d+)/m.exec(block)?.[1]])
    .filter(([, core]) => core !== undefined)
    .map((pair) => pair.join("/"));
  return pairs.length > 0 ? new Set(pairs).size : undefined;
}

function hasAvx512(): boolean {
  if (process.arch !== "x64") return false;
  const flags = /^flags\s*:(.*)$/m.exec(readText("/proc/cpuinfo"))?.[1] ?? "";
  return ["avx512f", "avx512bw", "avx512dq", "avx512vl", "avx512cd"].every((flag) =>
    ` ${flags} `.includes(` ${flag} `),
  );
}

/** Empty where there is no such file: not Linux. */
function readText(file: string): string {
  try {
    return readFileSync(file, "utf8");
  } catch {
    return "";
  }
}

/**
 * Others compute here too: a continuous-integration machine, fewer processors than the machine has, or a load of at
 * least half of them.
 */
function isShared(): boolean {
  return Boolean(process.env.CI) || availableParallelism() < cpus().length || (loadavg()[0] ?? 0) > cpus().length / 2;
}

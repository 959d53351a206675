// What machine this is: the conditions that every published number carries, and what its processor could do at best.
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { arch, availableParallelism, cpus, freemem, loadavg, platform, release, totalmem } from "node:os";
import { usableCores } from "../torch/environment.js";

export interface Machine {
  readonly system: string;
  readonly processor: string;
  /** Processors that this process may use. */
  readonly threads: number;
  /** Cores behind them; two threads of a core share its arithmetic. */
  readonly cores: number;
  /** The instruction sets that matter for arithmetic, the widest last. */
  readonly instructions: readonly string[];
  /** Float32 operations a core can do in a cycle, and what that rests on. */
  readonly flopsPerCycle: number;
  readonly flopsPerCycleFrom: string;
  /** Names of NVIDIA GPUs that the driver reports. */
  readonly gpus: readonly string[];
  readonly memoryBytes: number;
  readonly freeMemoryBytes: number;
  /** Processes wanting a processor, averaged over the last minute. */
  readonly load: number;
  readonly node: string;
}

/** Reads the machine's description; starts nvidia-smi where there is one. */
export function describeMachine(): Machine {
  const info = readText("/proc/cpuinfo");
  const threads = availableParallelism();
  const arithmetic = arithmeticOf({ architecture: arch(), info });
  return {
    system: `${osName()} ${release()} ${arch()}`,
    processor: cpus()[0]?.model.trim() || /^Hardware\s*:\s*(.*)$/m.exec(info)?.[1] || "unknown",
    threads,
    cores: usableCores(),
    ...arithmetic,
    gpus: gpus(),
    memoryBytes: totalmem(),
    freeMemoryBytes: freemem(),
    load: loadavg()[0] ?? 0,
    node: process.versions.node,
  };
}

/**
 * What makes times doubtful, for people: more than twice as many processes as threads want a processor. A command that
 * measures is as many as there are threads itself.
 */
export function busyText(load = loadavg()[0] ?? 0, threads = availableParallelism()): string | undefined {
  if (load <= 2 * threads) return undefined;
  const now = `load ${load.toFixed(1)} on ${threads} threads`;
  return `the machine is busy (${now}), which disturbs times: try again when it is idle`;
}

export interface Arithmetic {
  readonly instructions: readonly string[];
  readonly flopsPerCycle: number;
  readonly flopsPerCycleFrom: string;
}

/**
 * Float32 operations a core and cycle from the text of /proc/cpuinfo: lanes x 2 (multiply and add in one) x units. The
 * units are those of the makers' published designs: two everywhere; AMD's family 25 (Zen 3, Zen 4) computes 512 bits in
 * two halves.
 */
export function arithmeticOf({ architecture, info }: { architecture: string; info: string }): Arithmetic {
  const flags = new Set((/^(?:flags|Features)\s*:(.*)$/m.exec(info)?.[1] ?? "").trim().split(/\s+/));
  const known =
    architecture === "arm64"
      ? ["asimd", "asimddp", "sve", "sve2"]
      : ["sse4_2", "avx", "avx2", "fma", "avx_vnni", "avx512f", "avx512_vnni", "avx512_bf16", "amx_tile"];
  const instructions = known.filter((name) => flags.has(name));
  const family = Number(/^cpu family\s*:\s*(\d+)/m.exec(info)?.[1]);
  const amd = /^vendor_id\s*:\s*AuthenticAMD/m.test(info);
  const make = (lanes: number, units: number, why: string): Arithmetic => ({
    instructions,
    flopsPerCycle: lanes * 2 * units,
    flopsPerCycleFrom: `${why}: ${lanes} lanes x 2 (fused multiply-add) x ${units} units`,
  });
  if (architecture === "arm64")
    return flags.has("sve") ? make(8, 2, "SVE, 256 bits assumed") : make(4, 2, "NEON, 128 bits");
  if (flags.has("avx512f"))
    return amd && family === 25
      ? make(16, 1, "AVX-512 in two halves (AMD family 25)")
      : make(16, 2, "AVX-512, two units assumed");
  if (flags.has("fma")) return make(8, 2, "AVX2 with FMA, two units");
  if (flags.has("avx")) return make(8, 1, "AVX without FMA, one adder and one multiplier");
  return make(4, 1, "SSE, one adder and one multiplier");
}

/**
 * Cycles a second of one core now, in GHz, by a chain of additions and exclusive-ors each of which waits for the one
 * before: one cycle each. What the system reports is often a nominal figure. The best of many short runs, so that other
 * processes disturb little.
 */
export function measureFrequency(now: () => number = () => performance.now(), runs = 40): number {
  const steps = 100_000;
  let best = Number.POSITIVE_INFINITY;
  let sink = 1;
  for (let run = 0; run < runs; run++) {
    const start = now();
    sink = chain(sink, run | 1, run | 3, steps);
    best = Math.min(best, now() - start);
  }
  if (sink === 0.5) throw new Error("unreachable: keeps the chain from being optimised away");
  return (steps * 16) / (best * 1e6);
}

function chain(start: number, a: number, b: number, steps: number): number {
  let x = start | 0;
  for (let i = 0; i < steps; i++) {
    x = ((((((((x + a) | 0) ^ b) + a) | 0) ^ b) + a) | 0) ^ b;
    x = ((((((((x + a) | 0) ^ b) + a) | 0) ^ b) + a) | 0) ^ b;
    x = (((x + a) | 0) ^ b) + a;
    x = (x | 0) ^ b;
  }
  return x;
}

function osName(): string {
  return /^PRETTY_NAME="?([^"\n]*)/m.exec(readText("/etc/os-release"))?.[1] ?? platform();
}

function gpus(): string[] {
  try {
    const text = execFileSync("nvidia-smi", ["--query-gpu=name,memory.total", "--format=csv,noheader"], {
      encoding: "utf8",
      timeout: 10_000,
      stdio: ["ignore", "pipe", "ignore"],
    });
    return text.trim().split("\n").filter(Boolean);
  } catch {
    return []; // no driver, no GPU
  }
}

function readText(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return ""; // not Linux
  }
}

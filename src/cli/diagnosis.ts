// What is wrong with a set-up, from what was measured: each problem with its cure.

import type { Machine } from "../runtime/machine.js";
import type { Information } from "../torch/native.js";
import type { Speed } from "../torch/speed.js";

export interface Problem {
  readonly problem: string;
  readonly cures: readonly string[];
}

export interface Findings {
  readonly machine: Machine;
  readonly frequencyGhz: number;
  readonly engine?: Pick<Information, "cuda" | "soundConvolutions" | "blas" | "blasCore" | "configuration">;
  readonly engineMissing?: Problem;
  /** With one thread, then with all. */
  readonly speeds: readonly Speed[];
  readonly runtimes: readonly { readonly name: string; readonly version?: string; readonly reason?: string }[];
}

/** Without its install script, which downloads from another host: where that fails, npm leaves the package out. */
export const runtimeCure = "ONNXRUNTIME_NODE_INSTALL=skip npm install onnxruntime-node";

/** Below this share of what the processor should give, something is wrong rather than merely not perfect. */
const farApart = 0.4;

/** Billions of float32 operations a second that so many cores should give: frequency x operations a cycle x cores. */
export function expectedGflops(
  { machine, frequencyGhz }: Pick<Findings, "machine" | "frequencyGhz">,
  threads: number,
): number {
  return frequencyGhz * machine.flopsPerCycle * Math.min(threads, machine.cores);
}

/** All problems found, the most hindering first. */
export function diagnose(findings: Findings): Problem[] {
  const { machine, engineMissing, runtimes } = findings;
  const found: Problem[] = engineMissing ? [engineMissing] : [];
  const native = runtimes.find(({ name }) => name === "node");
  if (native && native.version === undefined) {
    found.push({
      problem: `onnxruntime-node is missing (${native.reason}); models run in the slower onnxruntime-web`,
      cures: [runtimeCure],
    });
  }
  const [single, all] = [findings.speeds[0], findings.speeds.at(-1)];
  if (single && all && findings.engine) {
    const busy = machine.load > machine.threads * 0.75;
    found.push(
      ...slowProducts(findings, findings.engine, single, busy),
      ...slowConvolutions(findings, single, busy),
      ...slowThreads(single, all, busy),
    );
  }
  if (findings.engine && !findings.engine.soundConvolutions) {
    found.push({
      problem: "this libtorch's oneDNN gives NaN at random; convolutions are computed without it, which is slower",
      cures: ["unpack pytorch.org's libtorch (CPU), then filterbasis setup --libtorch FOLDER"],
    });
  }
  if (machine.gpus.length > 0 && findings.engine && !findings.engine.cuda) {
    found.push({
      problem: `there is a GPU (${machine.gpus[0]}), but this libtorch cannot use it`,
      cures: ["filterbasis setup --libtorch /path/to/a/CUDA/build/of/libtorch"],
    });
  }
  if (machine.freeMemoryBytes < 1.5e9) {
    found.push({
      problem: `only ${(machine.freeMemoryBytes / 1e9).toFixed(1)} GB of memory are free; training needs about 2`,
      cures: ["end other programs"],
    });
  }
  return found;
}

function slowProducts(
  findings: Findings,
  engine: NonNullable<Findings["engine"]>,
  single: Speed,
  busy: boolean,
): Problem[] {
  const share = single.matrixGflops / expectedGflops(findings, 1);
  if (share >= farApart) return [];
  const problem = `matrix products reach ${percent(share)} of what one core should give`;
  if (engine.blas === null && !/USE_MKL=ON/.test(engine.configuration)) {
    return [
      {
        problem: `${problem}: the BLAS is not OpenBLAS`,
        cures: [
          "Debian or Ubuntu: apt-get install libopenblas0-pthread",
          "then: update-alternatives --config libblas.so.3-$(gcc -print-multiarch)",
        ],
      },
    ];
  }
  const wide = findings.machine.instructions.includes("avx2");
  const core = engine.blasCore;
  if (wide && core !== null && /prescott|katmai|core2|penryn|dunnington|nehalem|generic|sse/i.test(core)) {
    const better = findings.machine.instructions.includes("avx512f") ? "SKYLAKEX" : "HASWELL";
    return [
      {
        problem: `${problem}: OpenBLAS takes this processor for a ${core}`,
        cures: [`export OPENBLAS_CORETYPE=${better}`],
      },
    ];
  }
  return [
    {
      problem: problem + (busy ? ", but the machine is busy with other work" : ""),
      cures: [busy ? "run doctor again when it is idle" : "see which BLAS is used: ldconfig -p | grep blas"],
    },
  ];
}

function slowConvolutions(findings: Findings, single: Speed, busy: boolean): Problem[] {
  const share = single.convolutionGflops / expectedGflops(findings, 1);
  if (share >= farApart) return [];
  return [
    {
      problem: `convolutions reach ${percent(share)} of what one core should give${busy ? ", but the machine is busy with other work" : ""}`,
      cures: [
        busy
          ? "run doctor again when it is idle"
          : "a newer libtorch may know this processor: filterbasis setup --libtorch /path",
      ],
    },
  ];
}

/**
 * Threads that spin while they wait ruin each other where cores are shared: small operators then cost many times more.
 */
function slowThreads(single: Speed, all: Speed, busy: boolean): Problem[] {
  if (all.threads === 1 || all.smallMs < 4 * single.smallMs || all.smallMs < 0.1) return [];
  return [
    {
      problem: `a small convolution takes ${all.smallMs.toFixed(3)} ms with ${all.threads} threads and ${single.smallMs.toFixed(3)} ms with one: waiting threads spin on shared cores`,
      cures: [
        "export OMP_WAIT_POLICY=passive",
        ...(busy ? ["or run doctor again when the machine is idle"] : []),
        "or use fewer threads: --threads",
      ],
    },
  ];
}

export const percent = (share: number): string => `${(100 * share).toFixed(0)} %`;

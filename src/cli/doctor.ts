// `doctor`: versions, threads, instruction sets, GPU, memory; measured speed against what the processor should give;
// advice.

import { isError } from "../errors/error.js";
import { saturatesPairs, thisTarget } from "../runtime/eight-bits.js";
import { type RuntimeName, runtimeNames, runtimeVersion } from "../runtime/index.js";
import { describeMachine, type Machine, measureFrequency } from "../runtime/machine.js";
import { type Device, engineInfo, type Gpu, gpus } from "../torch/index.js";
import { type GpuSpeed, measureGpu, measureSpeed, type Speed } from "../torch/speed.js";
import { diagnose, expectedGflops, type Findings, type Problem, percent } from "./diagnosis.js";
import { wrapped } from "./fitting.js";
import { command } from "./frame.js";

const settings = [
  "OMP_NUM_THREADS",
  "OMP_WAIT_POLICY",
  "OPENBLAS_NUM_THREADS",
  "OPENBLAS_CORETYPE",
  "LIBTORCH",
] as const;

export default command({
  name: "doctor",
  summary: "which libtorch, ONNX Runtime, threads, GPU; how fast they are here; what to install",
  examples: ["doctor", "doctor --json"],
  args: {},
  readsOnly: true,
  async run(_, { note }) {
    const machine = describeMachine();
    const eightBits = await describeEightBits(machine);
    const runtimes = await Promise.all(runtimeNames.map(describeRuntime));
    const { engine, engineMissing } = describeEngine();
    if (engine) note("measuring for a few seconds …");
    const frequencyGhz = measureFrequency();
    const counts = [...new Set([1, machine.threads])];
    const speeds = engine ? counts.map((count) => measureSpeed(count)) : [];
    const devices = engine ? gpus().map(measuredGpu) : [];
    const findings: Findings = {
      machine,
      frequencyGhz,
      speeds,
      runtimes,
      ...(engine ? { engine } : {}),
      ...(engineMissing ? { engineMissing } : {}),
    };
    const problems = diagnose(findings);
    const expected = counts.map((count) => ({ threads: count, gflops: expectedGflops(findings, count) }));
    const environment = Object.fromEntries(settings.map((name) => [name, process.env[name] ?? null]));
    return {
      json: {
        machine,
        eightBits,
        environment,
        engine: engine ?? null,
        runtimes,
        frequencyGhz,
        expected,
        speeds,
        gpus: devices,
        problems,
      },
      text: [
        ...section("machine", machineLines(machine, environment)),
        ...section("libtorch", engine ? engineLines(engine) : ["is not in use: see the advice"]),
        ...section(
          "ONNX Runtime",
          runtimes.map(({ name, version }) => `onnxruntime-${name} ${version ?? "is missing: see the advice"}`),
        ),
        ...section("eight bits", [eightBits.text]),
        ...section("speed", speedLines(findings)),
        ...(devices.length > 0 ? section("GPUs", devices.flatMap(gpuLines)) : []),
        ...section("advice", adviceLines(problems)),
      ].join("\n"),
    };
  },
});

type MeasuredGpu = Gpu & { readonly device: Device } & Partial<GpuSpeed>;

/** A GPU that something else fills is listed without its speed. */
function measuredGpu(gpu: Gpu, index: number): MeasuredGpu {
  const device = `cuda:${index}` as const;
  try {
    return { ...gpu, ...measureGpu(device) };
  } catch (error) {
    if (!isError(error)) throw error;
    return { ...gpu, device };
  }
}

function gpuLines({ device, name, driver, memoryBytes, freeBytes, ...speed }: MeasuredGpu): readonly string[] {
  const gigabytes = (bytes: number | null) => (bytes === null ? "an unknown amount" : `${(bytes / 1e9).toFixed(1)} GB`);
  const rate = ({ float32, bfloat16 }: { readonly float32: number; readonly bfloat16: number }) =>
    `${(float32 / 1000).toFixed(1)} TFLOP/s in float32, ${(bfloat16 / 1000).toFixed(1)} in bfloat16`;
  return [
    `${device}: ${name}, ${gigabytes(memoryBytes)}, ${gigabytes(freeBytes)} free, driver for CUDA ${driver}`,
    ...(speed.matrixGflops === undefined ? ["  not measured: no room"] : []),
    ...(speed.matrixGflops === undefined ? [] : [`  matrix product: ${rate(speed.matrixGflops)}`]),
    ...(speed.convolutionGflops === undefined ? [] : [`  convolution: ${rate(speed.convolutionGflops)}`]),
  ];
}

/** What sums of products of eight bits are here, as ONNX Runtime computes them. */
async function describeEightBits(machine: Machine) {
  try {
    const saturates = await saturatesPairs();
    const target = await thisTarget(machine);
    const vnni = machine.instructions.filter((name) => name.includes("vnni"));
    const why = vnni.length > 0 ? ` (${vnni.join(", ")})` : "";
    const text = saturates
      ? "sums of products saturate in pairs: weights get 7 bits, or unsigned integers, as with --target x86-avx2"
      : `sums of products are exact${why}: weights get all 8 bits, as with --target ${target}`;
    return { saturates, target, text };
  } catch (error) {
    if (!isError(error)) throw error;
    return { saturates: null, target: null, text: `not known: ${error.problem}` };
  }
}

async function describeRuntime(name: RuntimeName): Promise<Findings["runtimes"][number]> {
  try {
    return { name, version: await runtimeVersion(name) };
  } catch (error) {
    return { name, reason: error instanceof Error ? error.message : String(error) };
  }
}

function describeEngine(): Pick<Findings, "engineMissing"> & { engine?: ReturnType<typeof engineInfo> } {
  try {
    return { engine: engineInfo() };
  } catch (error) {
    if (!isError(error, "engine-missing")) throw error;
    return {
      engineMissing: {
        problem: `${error.message}; compressing works, with pictures and without; fine-tuning does not`,
        cures: error.cures,
      },
    };
  }
}

function machineLines(machine: Machine, environment: Readonly<Record<string, string | null>>): string[] {
  const gigabytes = (bytes: number) => `${(bytes / 1e9).toFixed(1)} GB`;
  const set = Object.entries(environment).filter(([, value]) => value !== null);
  return [
    `${machine.system}, Node ${machine.node}`,
    `${machine.processor}: ${machine.cores} cores, ${machine.threads} threads, ${machine.instructions.join(" ")}; load ${machine.load.toFixed(1)}`,
    `${gigabytes(machine.memoryBytes)} of memory, ${gigabytes(machine.freeMemoryBytes)} free`,
    machine.gpus.length > 0 ? `GPU: ${machine.gpus.join("; ")}` : "no GPU",
    ...(set.length > 0 ? [`environment: ${set.map(([name, value]) => `${name}=${value}`).join(" ")}`] : []),
  ];
}

function engineLines(engine: ReturnType<typeof engineInfo>): string[] {
  const { version, cuda, mkldnn, soundConvolutions, blas, configuration, threads } = engine;
  const used = soundConvolutions ? "yes" : "not used";
  const other = /USE_MKL=ON/.test(configuration) ? "MKL" : "not OpenBLAS";
  return [
    `libtorch ${version}, CUDA ${cuda ? "yes" : "no"}, oneDNN ${mkldnn ? used : "no"}, ${threads} threads by default`,
    `kernels for ${/CPU capability usage: (.*)/.exec(configuration)?.[1] ?? "unknown"}`,
    `BLAS: ${blas ?? other}`,
  ];
}

function speedLines(findings: Findings): string[] {
  const { machine, frequencyGhz, speeds } = findings;
  const line = (what: string, { threads }: Speed, gflops: number) =>
    `${what}, ${threads} thread${threads > 1 ? "s" : ""}: ${gflops.toFixed(0)} GFLOP/s, ${percent(gflops / expectedGflops(findings, threads))} of ${expectedGflops(findings, threads).toFixed(0)}`;
  return [
    `a core should give ${expectedGflops(findings, 1).toFixed(0)} GFLOP/s in float32: ${frequencyGhz.toFixed(2)} GHz (measured) x ${machine.flopsPerCycle} a cycle (${machine.flopsPerCycleFrom})`,
    ...speeds.flatMap((speed) => [
      line("matrix product", speed, speed.matrixGflops),
      line("convolution", speed, speed.convolutionGflops),
    ]),
    ...(speeds.length > 0
      ? [
          `small convolution: ${speeds.map(({ threads, smallMs }) => `${(1000 * smallMs).toFixed(0)} us with ${threads}`).join(", ")}`,
        ]
      : []),
  ];
}

function adviceLines(problems: readonly Problem[]): string[] {
  if (problems.length === 0) return ["no problems were found"];
  return problems.flatMap(({ problem, cures }) => [problem, ...cures.map((cure) => `  cure: ${cure}`)]);
}

/** At most 100 columns, but for what is there to be copied: a cure is one line. */
export function section(title: string, lines: readonly string[]): string[] {
  const fitted = (line: string) =>
    line.length <= 96 || line.startsWith("  cure:")
      ? [line]
      : wrapped(line, 96).map((part, at) => (at === 0 ? part : `  ${part}`));
  return [title, ...lines.flatMap(fitted).map((line) => `  ${line}`), ""];
}

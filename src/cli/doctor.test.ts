import { describe, expect, test } from "vitest";
import type { Machine } from "../runtime/machine.js";
import { unloadableReason } from "../torch/index.js";
import { diagnose, expectedGflops, type Findings } from "./diagnosis.js";
import doctor, { section } from "./doctor.js";

const machine: Machine = {
  system: "Debian",
  processor: "a processor",
  threads: 4,
  cores: 2,
  instructions: ["avx2", "fma", "avx512f"],
  flopsPerCycle: 32,
  flopsPerCycleFrom: "an example",
  gpus: [],
  memoryBytes: 16e9,
  freeMemoryBytes: 8e9,
  load: 0.1,
  node: "20.19.0",
};
const good: Findings = {
  machine,
  frequencyGhz: 3,
  engine: { cuda: false, soundConvolutions: true, blas: "OpenBLAS", blasCore: "SkylakeX", configuration: "" },
  speeds: [
    { threads: 1, matrixGflops: 80, convolutionGflops: 80, smallMs: 0.02 },
    { threads: 4, matrixGflops: 150, convolutionGflops: 150, smallMs: 0.03 },
  ],
  runtimes: [{ name: "node", version: "1.30.0" }],
};
const slow = good.speeds.map((speed) => ({ ...speed, matrixGflops: 5 }));
const report = (findings: Partial<Findings>) =>
  diagnose({ ...good, ...findings }).map(({ problem, cures }) => `${problem} -> ${cures.join("; ")}`);

test("what is expected grows with cores, not with threads that share one", () => {
  expect(expectedGflops(good, 1)).toBe(96);
  expect(expectedGflops(good, 2)).toBe(192);
  expect(expectedGflops(good, 4)).toBe(192);
});

describe("the diagnosis", () => {
  test("of a good set-up names no problem", () => {
    expect(report({})).toEqual([]);
  });

  test.each<[string, Partial<Findings>, RegExp]>([
    [
      "the reference BLAS",
      { speeds: slow, engine: { ...good.engine!, blas: null, blasCore: null } },
      /not OpenBLAS -> .*libopenblas0-pthread/,
    ],
    [
      "a misdetected core",
      { speeds: slow, engine: { ...good.engine!, blasCore: "Prescott" } },
      /a Prescott -> export OPENBLAS_CORETYPE=SKYLAKEX/,
    ],
    [
      "a misdetected core without AVX-512",
      {
        speeds: slow,
        engine: { ...good.engine!, blasCore: "Prescott" },
        machine: { ...machine, instructions: ["avx2"] },
      },
      /OPENBLAS_CORETYPE=HASWELL/,
    ],
    ["a busy machine", { speeds: slow, machine: { ...machine, load: 9 } }, /busy with other work -> run doctor again/],
    [
      "slow convolutions",
      { speeds: good.speeds.map((speed) => ({ ...speed, convolutionGflops: 4 })) },
      /convolutions reach 4 %/,
    ],
    [
      "spinning threads",
      { speeds: [good.speeds[0]!, { ...good.speeds[1]!, smallMs: 3 }] },
      /spin on shared cores -> export OMP_WAIT_POLICY=passive/,
    ],
    [
      "a GPU that libtorch cannot use",
      { machine: { ...machine, gpus: ["NVIDIA X"] } },
      /GPU \(NVIDIA X\).* -> filterbasis setup --libtorch /,
    ],
    ["little memory", { machine: { ...machine, freeMemoryBytes: 5e8 } }, /only 0.5 GB/],
    [
      "a missing runtime",
      { runtimes: [{ name: "node", reason: "not installed" }] },
      /onnxruntime-node is missing \(not installed\)/,
    ],
  ])("tells %s and its cure", (_, findings, expected) => {
    const problems = report(findings);
    expect(problems).toHaveLength(1);
    expect(problems[0]).toMatch(expected);
  });

  test("puts a missing engine first", () => {
    const { engine: _, ...rest } = good;
    const [first] = diagnose({ ...rest, speeds: [], engineMissing: { problem: "no engine", cures: ["build it"] } });
    expect(first).toEqual({ problem: "no engine", cures: ["build it"] });
  });
});

test("doctor --json tells versions, what is expected and what was measured, with or without the engine", async () => {
  let out = "";
  const silent = { write: () => undefined };
  const code = await doctor.run(["--json"], {
    stdout: { write: (text) => void (out += text) },
    stderr: silent,
    signal: new AbortController().signal,
  });
  expect(code).toBe(0);
  const result = JSON.parse(out);
  expect(result.machine.node).toBe(process.versions.node);
  expect(result.eightBits).toMatchObject({
    saturates: expect.any(Boolean),
    target: expect.stringMatching(/^(x86|arm)/),
  });
  expect(result.expected[0].gflops).toBeGreaterThan(0);
  expect(result.runtimes.map(({ name }: { name: string }) => name)).toEqual(["node", "web"]);
  if (unloadableReason() === undefined) {
    expect(result.engine.version).toMatch(/^\d+\.\d+/);
    expect(result.speeds[0].matrixGflops).toBeGreaterThan(0.1);
  } else {
    expect(result.engine).toBeNull();
    expect(result.problems[0].cures.length).toBeGreaterThan(0);
  }
});

test("a libtorch whose convolutions cannot be trusted is told, with another one as the cure", () => {
  expect(report({ engine: { ...good.engine!, soundConvolutions: false } })).toEqual([
    expect.stringMatching(/oneDNN gives NaN at random.*setup --libtorch FOLDER/),
  ]);
});

test("a section fits 100 columns, but for the cures, which are there to be copied", () => {
  const [title, first, second, cure] = section("advice", [`${"word ".repeat(30)}end`, `  cure: ${"x".repeat(120)}`]);
  expect(title).toBe("advice");
  expect(first!.length).toBeLessThanOrEqual(100);
  expect(second).toMatch(/^ {4}word .* end$/);
  expect(cure).toBe(`    cure: ${"x".repeat(120)}`);
});

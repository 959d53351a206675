import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, it } from "vitest";
import { describeEngine } from "../../test/engine.js";
import { isError } from "../errors/error.js";
import { environmentDefaults } from "./environment.js";
import { call, engineInfo, noGrad, TensorScope } from "./index.js";
import { loadFrom } from "./native.js";

const failure = (run: () => unknown) => {
  try {
    run();
  } catch (error) {
    if (isError(error)) return error;
  }
  throw new Error("no error of the project was thrown");
};

it("says how to cure an addon that has not been built", () => {
  const error = failure(() => loadFrom("/nowhere"));
  expect(error.code).toBe("engine-missing");
  expect(error.message).toMatch(/has not been built/);
  expect(error.cures.join("\n")).toMatch(/filterbasis setup[\s\S]*libtorch-dev[\s\S]*--libtorch/);
});

it("says how to cure an addon that cannot be loaded", () => {
  const folder = mkdtempSync(join(tmpdir(), "filterbasis-broken-"));
  try {
    for (const name of ["engine", "environment"]) writeFileSync(join(folder, `${name}.node`), "no library");
    const error = failure(() => loadFrom(folder));
    expect(error.code).toBe("engine-missing");
    expect(error.message).toMatch(/could not be loaded/);
    expect(error.cures.length).toBeGreaterThan(2);
  } finally {
    rmSync(folder, { recursive: true });
  }
});

it("is not loaded by importing the engine's modules", () => {
  const index = fileURLToPath(new URL("./index.ts", import.meta.url));
  const ops = fileURLToPath(new URL("./ops.ts", import.meta.url));
  const code = `Promise.all([import(${JSON.stringify(index)}), import(${JSON.stringify(ops)})]).then(() => process.stdout.write(require("fs").readFileSync("/proc/self/maps", "utf8").includes("libtorch") ? "loaded" : "lazy"))`;
  const { stdout, stderr } = spawnSync(process.execPath, ["--import", "tsx", "-e", code], { encoding: "utf8" });
  expect(stdout, stderr).toBe("lazy");
});

it("leaves what the user has set in the environment", () => {
  const before = process.env.OMP_NUM_THREADS;
  process.env.OMP_NUM_THREADS = "3";
  expect(environmentDefaults().OPENBLAS_NUM_THREADS).toBe("3");
  if (before === undefined) delete process.env.OMP_NUM_THREADS;
  else process.env.OMP_NUM_THREADS = before;
});

it("has a build script that says the cures when the libtorch asked for is not there", () => {
  const script = fileURLToPath(new URL("../../scripts/build-native.mjs", import.meta.url));
  const { status, stderr } = spawnSync(process.execPath, [script], {
    env: { ...process.env, LIBTORCH: "/nowhere" },
    encoding: "utf8",
  });
  expect(status).toBe(1);
  expect(stderr).toMatch(/LIBTORCH=\/nowhere holds no libtorch[\s\S]*version\.h/);
});

describeEngine("the loaded engine", () => {
  // Debian 13's oneDNN does not zero what fills channels up to a block: NaN of freed memory came out.
  it("convolves right whatever freed memory holds, with channels that fill no block", () => {
    for (const [channels, filters] of [[20, 24] as const, [56, 24] as const, [12, 12] as const])
      for (let i = 0; i < 20; i++) {
        using _scope = new TensorScope();
        for (const size of [channels, 8 * Math.ceil(channels / 8), 16 * Math.ceil(channels / 16)])
          call("full", [2, size, 16, 16], Number.NaN).dispose();
        const x = call("ones", [2, channels, 16, 16]);
        const weight = call("ones", [filters, channels, 3, 3]);
        const y = noGrad(() => call("convolution", x, weight, null, [1, 1], [1, 1], [1, 1], false, [0, 0], 1));
        expect(call("max", y).item()).toBe(9 * channels);
      }
  });
  it("tells libtorch's version and what multiplies its matrices", () => {
    expect(engineInfo().version).toMatch(/^\d+\.\d+\.\d+/);
    // The misdetection that the environment is there for: an AVX-512 machine taken for a Prescott.
    if (environmentDefaults().OPENBLAS_CORETYPE !== undefined && engineInfo().blasCore !== null)
      expect(engineInfo().blasCore?.toLowerCase()).toBe((process.env.OPENBLAS_CORETYPE ?? "SKYLAKEX").toLowerCase());
  });
});

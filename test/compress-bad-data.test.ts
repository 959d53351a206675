// `compress --data` with images, outputs, disks and interruptions as they should not be: nothing lost, nothing half
// written.
import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import compress from "../src/cli/compress.js";
import { calibrationData } from "../src/compress/calibration-data.js";
import { compressOnData } from "../src/compress/compress-calibrated.js";
import type { CalibratedBudget } from "../src/compress/plan-calibrated.js";
import { openData } from "../src/data/table.js";
import { makeNode } from "../src/graph/attributes.js";
import type { Graph } from "../src/graph/types.js";
import { tensorOf } from "../src/graph/values.js";
import { saveModel } from "../src/runtime/files.js";
import { findInputs } from "../src/runtime/index.js";
import { photoNetwork, writePhotos } from "./photo-network.js";

let folder: string;
const cache = process.env.FILTERBASIS_CACHE;
const at = (name: string) => join(folder, name);

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "filterbasis-bad-data-"));
  process.env.FILTERBASIS_CACHE = at("cache");
  mkdirSync(at("out"));
  await saveModel(photoNetwork(16, 24), at("model.onnx"));
  await writePhotos(at("images"), 12);
  await writePhotos(at("alike"), 8, 1);
  await writePhotos(at("one"), 1);
  await writePhotos(at("mixed"), 6);
  for (const [name, content] of [
    ["mixed/text.png", "no image"],
    ["wrong/a.png", "no image"],
    ["wrong/b.jpg", ""],
  ] as const) {
    mkdirSync(at("wrong"), { recursive: true });
    writeFileSync(at(name), content);
  }
});
afterAll(() => {
  if (cache === undefined) delete process.env.FILTERBASIS_CACHE;
  else process.env.FILTERBASIS_CACHE = cache;
  rmSync(folder, { recursive: true, force: true });
});

/** Compresses, and checks that there is a file exactly where it says that it wrote one. */
async function run(model: string, data: string, ...line: readonly string[]) {
  const out = at("out/out.onnx");
  rmSync(out, { force: true });
  let [stdout, stderr] = ["", ""];
  const code = await compress.run([model, "-o", out, "--threads", "1", "--data", data, ...line, "--json"], {
    stdout: { write: (text) => void (stdout += text) },
    stderr: { write: (text) => void (stderr += text) },
    signal: new AbortController().signal,
  });
  expect(readdirSync(at("out")), stderr).toEqual(code === 0 ? ["out.onnx"] : []);
  return { code, stderr, json: JSON.parse(stdout) };
}
const onData = (data: string, ...line: readonly string[]) => run(at("model.onnx"), at(data), ...line);
const half = ["--keep-params", "0.5"] as const;

describe("images", () => {
  test("that cannot be read are named and passed over; a folder of nothing else is refused", async () => {
    const mixed = await onData("mixed", ...half);
    expect(mixed.code, mixed.stderr).toBe(0);
    expect(mixed.stderr).toMatch(/skipped .*text\.png/);
    const wrong = await onData("wrong", ...half);
    expect(wrong.json.error).toMatchObject({
      code: "not-found",
      message: expect.stringMatching(/no image can be used/),
    });
  });

  test("that are one alone are fitted to and evaluated on, and that is said", async () => {
    const { code, json, stderr } = await onData("one", ...half);
    expect(code, stderr).toBe(0);
    expect(json.compared).toMatchObject({ inputs: 1, fitted: true });
    expect(stderr).toMatch(/1 images: 1 to calibrate on, 0 to evaluate on/);
  });

  test("that are all alike decide nothing without a budget; with one that is said of the output", async () => {
    const alone = await onData("alike");
    expect(alone.json.error, alone.stderr).toMatchObject({
      code: "data-mismatch",
      message: expect.stringMatching(/same on every image/),
    });
    const { code, json, stderr } = await onData("alike", ...half);
    expect(code, stderr).toBe(0);
    expect(json.compared.outputs[0].constant).toBe(true);
    const limited = await onData("alike", ...half, "--max-loss", "0.5");
    expect(limited.json.error).toMatchObject({ code: "data-mismatch" });
  });
});

describe("an output", () => {
  const changed = async (name: string, change: (graph: Graph) => Graph) => {
    await saveModel(change(photoNetwork(16, 24)), at(name));
    return run(at(name), at("images"), ...half);
  };

  test("that is constant is written with a word about it", async () => {
    const { code, json, stderr } = await changed("constant.onnx", (graph) => ({
      ...graph,
      initializers: new Map([...graph.initializers, ["zero", tensorOf("float32", [1], [0])]]),
      nodes: [
        ...graph.nodes.slice(0, -1),
        { ...graph.nodes.at(-1)!, outputs: ["t"] },
        makeNode("Mul", ["t", "zero"], ["y"]),
      ],
    }));
    expect(code, stderr).toBe(0);
    expect(json.compared.outputs[0].constant).toBe(true);
  });

  test("that is never a number is refused", async () => {
    const { json, stderr } = await changed("nan.onnx", (graph) => ({
      ...graph,
      initializers: new Map([...graph.initializers, ["minus", tensorOf("float32", [1], [-1])]]),
      nodes: [
        ...graph.nodes.slice(0, -1),
        { ...graph.nodes.at(-1)!, outputs: ["t"] },
        makeNode("Mul", ["t", "t"], ["square"]),
        makeNode("Sub", ["minus", "square"], ["negative"]),
        makeNode("Sqrt", ["negative"], ["y"]),
      ],
    }));
    expect(json.error, stderr).toMatchObject({ code: "non-finite" });
  });
});

test.each([
  [["--keep-params", "0.001"], "keep-params"],
  [["--keep-macs", "0.001"], "keep-macs"],
  [["--keep-bytes", "0.001"], "keep-bytes"],
  [["--speedup", "90"], "speedup"],
])(
  "a budget that cannot be kept is refused with the nearest that can: %j",
  { timeout: 60_000 },
  async (line, field) => {
    const { json, stderr } = await onData("images", ...line);
    const code = field === "speedup" ? "does-not-pay" : "budget-unreachable";
    expect(json.error, stderr).toMatchObject({ code, field, reachable: expect.any(Number) });
    if (field === "speedup") {
      expect(json.error.operators[0]).toMatchObject({ operator: expect.any(String), share: expect.any(Number) });
      expect(json.error.candidates[0].best.milliseconds).toBeLessThanOrEqual(json.error.candidates[0].milliseconds);
      expect(stderr).toMatch(/where the network's time goes/);
    }
  },
);

describe("the cache of calibrations", () => {
  const kept = () => readdirSync(at("cache/calibrations")).map((name) => at(`cache/calibrations/${name}`));

  test("is made anew where it is damaged, cut off or of another kind, with the same result", async () => {
    const first = await onData("images", ...half);
    for (const [i, path] of kept()
      .flatMap((name) => readdirSync(name).map((file) => join(name, file)))
      .entries()) {
      const bytes = readFileSync(path);
      bytes[bytes.length - 9]! ^= 255;
      writeFileSync(path, i % 3 === 0 ? bytes : i % 3 === 1 ? bytes.subarray(0, 20) : "{}");
    }
    const again = await onData("images", ...half);
    expect(again.code, again.stderr).toBe(0);
    expect(again.json.compared.loss).toEqual(first.json.compared.loss);
    expect(again.json.layers).toEqual(first.json.layers);
  });

  test("is kept below its limit, and is not needed", async () => {
    process.env.FILTERBASIS_CACHE_GB = "0.000001";
    try {
      expect((await onData("images", ...half)).code).toBe(0);
      expect(kept()).toHaveLength(1);
    } finally {
      delete process.env.FILTERBASIS_CACHE_GB;
    }
    process.env.FILTERBASIS_CACHE = at("model.onnx/none"); // nothing can be written there
    try {
      expect((await onData("images", ...half)).code).toBe(0);
    } finally {
      process.env.FILTERBASIS_CACHE = at("cache");
    }
  });
});

/** The main job with a hand on every phase, by the label of its bar. */
async function withPhases(
  budget: CalibratedBudget,
  output: string,
  phase: (label: string) => void,
  signal?: AbortSignal,
) {
  const graph = photoNetwork(16, 24);
  const inputs = await findInputs(graph);
  const stop = signal ? { signal } : {};
  const data = await calibrationData(graph, await openData(at("images")), inputs, stop);
  const bar = { update: () => undefined, stop: () => undefined };
  const hooks = {
    ...stop,
    progress(label: string) {
      phase(label);
      return bar;
    },
  };
  return compressOnData({ graph, file: at("model.onnx") }, output, data, { budget, threads: 1 }, hooks);
}

test.each([[{ keepParams: 0.5 }], [{ speedup: 1.01 }]] as const)(
  "with %j an interruption in any phase leaves nothing behind, and the next run goes on from the cache",
  { timeout: 120_000 },
  async (budget) => {
    process.env.FILTERBASIS_CACHE = at(`cache of ${Object.keys(budget).join()}`);
    const seen = new Set<string>();
    rmSync(at("out/out.onnx"), { force: true });
    try {
      for (let finished = false; !finished; ) {
        const stop = new AbortController();
        const once = (label: string) => {
          if (!seen.has(label)) stop.abort();
          seen.add(label);
        };
        const error = await withPhases(budget, at("out/out.onnx"), once, stop.signal).catch(
          (thrown: unknown) => thrown,
        );
        finished = !stop.signal.aborted;
        if (finished) break;
        expect(error, [...seen].at(-1)).toMatchObject({ code: "interrupted" });
        expect(readdirSync(at("out")), [...seen].at(-1)).toEqual([]);
      }
      expect([...seen]).toEqual(expect.arrayContaining(["moments", "candidates", "factors"]));
    } finally {
      process.env.FILTERBASIS_CACHE = at("cache");
      rmSync(at("out/out.onnx"), { force: true });
    }
  },
);

function mounted(place: string): boolean {
  try {
    execFileSync("mount", ["-t", "tmpfs", "-o", "size=1m", "tmpfs", place], { stdio: "ignore" });
    return true;
  } catch {
    return false;
  }
}

test("a disk that becomes full is told, and what lay there stays", { timeout: 60_000 }, async ({ skip }) => {
  const place = at("small");
  mkdirSync(place);
  if (!mounted(place)) skip("mounting a small disk needs root");
  try {
    const output = join(place, "out.onnx");
    writeFileSync(output, "older");
    const fill = (label: string) => {
      if (label === "factors") writeFileSync(join(place, "filler"), new Uint8Array(2 ** 20 - 3 * 4096));
    };
    await expect(withPhases({ keepParams: 0.5 }, output, fill)).rejects.toMatchObject({ code: "io", got: "ENOSPC" });
    expect(readdirSync(place).sort()).toEqual(["filler", "out.onnx"]);
    expect(readFileSync(output, "utf8")).toBe("older");
    expect(existsSync(at("model.onnx"))).toBe(true);
  } finally {
    execFileSync("umount", [place]);
  }
});

// `compare --methods` and `sweep`: one table at one budget, resumable, a failed method a row with its reason; folders
// of something else are refused.
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import compare from "../src/cli/compare.js";
import type { Command } from "../src/cli/frame.js";
import type { MethodRow } from "../src/cli/method-rows.js";
import report from "../src/cli/report.js";
import sweep from "../src/cli/sweep.js";
import { isError } from "../src/errors/error.js";
import { withMetadata } from "../src/graph/index.js";
import { countsOf } from "../src/methods/counts.js";
import { methodPass, methods } from "../src/methods/methods.js";
import { optionsWithin } from "../src/methods/within-budget.js";
import { buildNet } from "../src/nets/table.js";
import { cost } from "../src/ops/cost/cost.js";
import { saveModel } from "../src/runtime/files.js";
import { describeEngine } from "./engine.js";
import { someImage, writePng } from "./images.js";

let root: string;
let model: string;
const cache = process.env.FILTERBASIS_CACHE;
beforeAll(async () => {
  root = mkdtempSync(join(tmpdir(), "filterbasis-methods-"));
  process.env.FILTERBASIS_CACHE = join(root, "cache");
  model = join(root, "net.onnx");
  const net = buildNet("resnet", { depth: 8, widths: [8, 8, 8], classes: 2, init: "kaiming" });
  await saveModel(withMetadata(net, { "filterbasis.normalize": "cifar10" }), model);
  for (const part of ["train", "test"])
    for (let label = 0; label < 2; label++)
      for (let i = 0; i < 4; i++)
        await writePng(
          join(root, "classes", part, `c${label}`, `${i}.png`),
          someImage(32, 32, { seed: 10 * label + i }),
        );
  for (let i = 0; i < 6; i++) await writePng(join(root, "pictures", `${i}.png`), someImage(40, 36, { seed: i }));
});
afterAll(() => {
  if (cache === undefined) delete process.env.FILTERBASIS_CACHE;
  else process.env.FILTERBASIS_CACHE = cache;
  rmSync(root, { recursive: true, force: true });
});

async function ask(command: Command, line: readonly string[]) {
  let [stdout, stderr] = ["", ""];
  const code = await command.run([...line, "--json"], {
    stdout: { write: (text) => void (stdout += text) },
    stderr: { write: (text) => void (stderr += text) },
    signal: new AbortController().signal,
  });
  return { code, stderr, json: JSON.parse(stdout) };
}

const common = ["--keep-params", "0.7", "--batch", "4", "--calibrate", "1", "--threads", "1"];
const rowsOf = (json: { rows: MethodRow[] }) => new Map(json.rows.map((row) => [row.method, row]));

test("every method keeps a budget in weights and in multiply-accumulates, or says why it does not", () => {
  const net = buildNet("resnet", { depth: 8, widths: [8, 16, 16], init: "kaiming" });
  const { weights, macs } = cost(net);
  let kept = 0;
  for (const name of Object.keys(methods))
    for (const budget of [
      { kind: "keepParams", keep: 0.4 },
      { kind: "keepMacs", keep: 0.5 },
    ] as const) {
      try {
        const made = countsOf(methodPass(name, optionsWithin(name, net, budget, new Map()))(net).graph);
        const share = budget.kind === "keepParams" ? made.weights / weights : made.paperMacs / macs;
        expect([name, share <= budget.keep]).toEqual([name, true]);
        kept++;
      } catch (error) {
        expect([name, isError(error, "unsupported", "budget-unreachable")]).toEqual([name, true]);
      }
    }
  expect(kept).toBeGreaterThan(2 * 8);
});

/** A page with a row for the original and one for each method. */
async function hasPage(folder: string, names: readonly string[]): Promise<void> {
  const { code, json, stderr } = await ask(report, [folder]);
  expect([code, json.methods, json.failed], stderr).toEqual([0, names.length, 1]);
  const page = readFileSync(json.file, "utf8");
  for (const name of ["original", ...names]) expect(page).toContain(`<td class="name">${name}`);
  expect((await ask(report, [folder, "--data", "photos"])).json.error.code).toBe("usage");
}

test("the folder of a comparison that is damaged has no page, but an error that names the file and the field", async () => {
  const folder = join(root, "damaged");
  mkdirSync(join(folder, "svd"), { recursive: true });
  writeFileSync(join(folder, "comparison.json"), JSON.stringify({ budget: { kind: "size", value: 1 }, data: "x" }));
  expect((await ask(report, [folder])).json.error).toMatchObject({ code: "malformed", field: "budget.kind" });
  const asked = { budget: { kind: "keepParams", value: 0.5 }, data: "x", batch: 8, seed: 1, calibrate: 1, images: {} };
  writeFileSync(join(folder, "comparison.json"), JSON.stringify(asked));
  writeFileSync(join(folder, "svd/row.json"), JSON.stringify({ method: "svd", weights: "many" }));
  const { error } = (await ask(report, [folder])).json;
  expect(error).toMatchObject({ code: "malformed", field: "weights", file: join(folder, "svd/row.json") });
  expect(existsSync(join(folder, "report.html"))).toBe(false);
});

describeEngine("compare --methods", () => {
  test("gives every method a row at the budget, on labels, and does not make it twice", async () => {
    const out = join(root, "out");
    const line = [
      model,
      "--methods",
      "slimming,cap,transition",
      "--data",
      join(root, "classes"),
      "--steps",
      "2",
      "--out",
      out,
      ...common,
    ];
    const task = await ask(compare, [...line, "--task", "0"]);
    expect([...rowsOf(task.json).keys()], task.stderr).toEqual(["slimming"]);
    const made = readFileSync(join(out, "slimming/model.onnx"));
    const { code, json, stderr } = await ask(compare, line); // gathers it, and makes the others
    expect(code, stderr).toBe(0);
    expect(readFileSync(join(out, "slimming/model.onnx"))).toEqual(made);
    const rows = rowsOf(json);
    for (const name of ["slimming", "cap"]) {
      const row = rows.get(name)!;
      expect(row.reason).toBeUndefined();
      expect(row.weights).toBeLessThanOrEqual(0.7 * json.original.weights);
      for (const stage of [row.compressed, row.calibrated, row.tuned]) {
        expect(stage!.top1Error).toBeGreaterThanOrEqual(0);
        expect(stage!.loss.mean).toBeGreaterThanOrEqual(0);
      }
      expect(row.bytes).toBe(statSync(row.file!).size);
      expect(row.storedBits).toBeGreaterThan(0);
      expect(row.milliseconds!.written).toBeGreaterThan(0);
    }
    expect(rows.get("transition")).toMatchObject({ reason: expect.stringContaining("nothing to do") });
    expect(json.original.top1Error).toBeGreaterThanOrEqual(0);
    await hasPage(out, ["slimming", "cap", "transition"]);
    const before = statSync(join(out, "cap/row.json")).mtimeMs;
    expect((await ask(compare, line)).json.rows).toEqual(json.rows);
    expect(statSync(join(out, "cap/row.json")).mtimeMs).toBe(before);
    rmSync(join(out, "cap/row.json")); // as an end just before it leaves things
    const again = rowsOf((await ask(compare, line)).json).get("cap")!;
    for (const key of ["compressed", "calibrated", "tuned", "weights", "bytes"] as const)
      expect(again[key]).toEqual(rows.get("cap")![key]);
    const other = await ask(
      compare,
      line.map((word) => (word === "0.7" ? "0.6" : word)),
    );
    expect(other.json.error).toMatchObject({ code: "data-mismatch", field: "budget" });
  });

  test("compares methods with images alone by what they lose of the original", async () => {
    const out = join(root, "alone");
    const asked = ["--methods", "svd,amc", "--data", join(root, "pictures"), "--normalize", "none", "--out", out];
    const { json } = await ask(compare, [model, ...asked, "--steps", "0", "--no-latency", ...common]);
    for (const row of rowsOf(json).values()) {
      expect(row.reason).toBeUndefined();
      expect(row.compressed!.loss.mean).toBeGreaterThanOrEqual(0);
      expect(row.calibrated!.loss.mean).toBeGreaterThanOrEqual(0);
      for (const absent of [row.tuned, row.milliseconds, row.compressed!.top1Error]) expect(absent).toBeUndefined();
    }
  });

  test.each([
    [["--methods", "simplify", "--keep-params", "0.5"], "usage"],
    [["--methods", "svd"], "usage"],
    [["--keep-params", "0.5"], "usage"],
    [["--methods", "svd", "--keep-params", "0.5", "--keep-macs", "0.5"], "usage"],
    [["--methods", "svd", "--keep-params", "2"], "usage"],
  ])("%j is refused", async (words, code) => {
    const { json } = await ask(compare, [model, "--data", join(root, "classes"), ...words]);
    expect(json.error.code).toBe(code);
  });
});

describeEngine("sweep", () => {
  test("prints, runs and gathers its runs, and refuses the folder of another", async () => {
    const recipe = join(root, "small.json");
    mkdirSync(join(root, "sweep"), { recursive: true });
    const fields = {
      name: "small",
      network: { name: "resnet", depth: 8, widths: [4, 4, 4], classes: 2, init: "kaiming" },
      optimizer: { name: "sgd" },
      data: { name: "folder", folder: join(root, "classes"), batch: 4 },
      steps: 1,
      threads: 1,
    };
    writeFileSync(recipe, JSON.stringify(fields));
    const out = join(root, "sweep");
    const line = [recipe, "--set", "optimizer.lr=0.1,0.01", "-o", out];
    const printed = await ask(sweep, [...line, "--print"]);
    expect(printed.json.commands).toHaveLength(2);
    expect(printed.json.commands[0]).toContain("filterbasis sweep");
    expect(existsSync(join(out, "sweep.json"))).toBe(false);
    expect((await ask(sweep, [...line, "--gather"])).json.error.code).toBe("not-found");
    expect((await ask(sweep, [recipe, "--set", "optimizer.lr=fast", "-o", out])).json.error.code).toBe(
      "invalid-recipe",
    );
    const { json, code, stderr } = await ask(sweep, [...line, "--jobs", "2"]);
    expect(code, stderr).toBe(0);
    expect(
      json.runs.map(({ set, state }: { set: object; state: string }) => [set, state]),
      stderr,
    ).toEqual([
      [{ "optimizer.lr": "0.1" }, "finished"],
      [{ "optimizer.lr": "0.01" }, "finished"],
    ]);
    const array = [recipe, "--set", "optimizer.lr=0.2,0.02", "-o", join(root, "array")];
    const tasks = await Promise.all(["0", "1"].map((task) => ask(sweep, [...array, "--task", task])));
    expect(tasks.map(({ json: own }) => own.runs.map(({ state }: { state: string }) => state))).toEqual([
      ["finished"],
      ["finished"],
    ]);
    const gathered = (await ask(sweep, [...array, "--gather"])).json.runs;
    expect(gathered.map(({ set, state }: { set: object; state: string }) => [set, state])).toEqual([
      [{ "optimizer.lr": "0.2" }, "finished"],
      [{ "optimizer.lr": "0.02" }, "finished"],
    ]);
    expect((await ask(sweep, [...array, "--task", "2"])).json.error.code).toBe("usage");
    const model = readFileSync(join(out, "optimizer.lr=0.1/last.onnx"));
    await ask(sweep, line);
    expect(readFileSync(join(out, "optimizer.lr=0.1/last.onnx"))).toEqual(model);
    expect((await ask(sweep, [recipe, "--set", "seed=1,2", "-o", out])).json.error.code).toBe("data-mismatch");
  });
});

// The small inputs of ../shared/cases through the commands that write files: what each must do is told there; here it
// is held.
import { mkdtempSync, readdirSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import compress from "../src/cli/compress.js";
import exporting from "../src/cli/export.js";
import type { Command } from "../src/cli/frame.js";
import inspect from "../src/cli/inspect.js";
import plan from "../src/cli/plan.js";
import { cost } from "../src/ops/cost/cost.js";
import { loadModel } from "../src/runtime/files.js";
import { noShared, shared } from "./shared.js";

vi.mock("../src/runtime/time-layers.js", async (original) =>
  (await import("./counted-times.js")).countedLayers(original),
);
vi.mock("../src/runtime/compare-times.js", async (original) =>
  (await import("./counted-times.js")).countedNetworks(original),
);

const folder = mkdtempSync(join(tmpdir(), "filterbasis-cases-"));
const out = join(folder, "out.onnx");
const cache = process.env.FILTERBASIS_CACHE;
beforeAll(() => {
  process.env.FILTERBASIS_CACHE = join(folder, "cache");
});
afterAll(() => {
  rmSync(folder, { recursive: true, force: true });
  if (cache === undefined) delete process.env.FILTERBASIS_CACHE;
  else process.env.FILTERBASIS_CACHE = cache;
});

async function run(command: Command, ...raw: string[]) {
  let [stdout, stderr] = ["", ""];
  const io = {
    stdout: { write: (text: string) => void (stdout += text) },
    stderr: { write: (text: string) => void (stderr += text) },
    signal: new AbortController().signal,
  };
  const code = await command.run([...raw, "--json"], io);
  return { code, stderr, json: JSON.parse(stdout) };
}

const cases = shared("cases/README.md") === undefined ? [] : readdirSync(join(shared("cases/README.md")!, "..")).sort();
const models = cases.filter((name) => name.endsWith(".onnx")).map((name) => name.replace(".onnx", ""));
const file = (name: string): string => shared(`cases/${name}.onnx`)!;
/** What a case needs on the command line. */
const more: Readonly<Record<string, readonly string[]>> = { dyn_norank: ["--input", "x=1x3x32x32"] };
const budgets = [
  ["--keep-params", "weights"],
  ["--keep-macs", "macs"],
] as const;

/**
 * Everything on every case takes minutes (npm run test:cases); by default each kind of fault is tried where it was
 * found.
 */
const full = process.env.FILTERBASIS_FULL !== undefined;
const budgetCases = full
  ? models
  : models.filter((name) => !["bn_train9", "noise2", "state_axis1", "w_transpose", "functions"].includes(name));
/** Of budgets in multiply-accumulates, which time layers, those by which a fault was found. */
const macsCases = full ? models : ["dead_block", "dyn_norank", "effdet_head", "small_macs", "unet_dyn32"];
const exportCases = full
  ? models
  : models.filter((name) => ["bn_train9", "const_bn", "effdet_head", "heatmap", "ir3_net"].includes(name));

describe.skipIf(models.length === 0)(`cases (else skipped: ${noShared})`, () => {
  describe.each(budgetCases)("%s", (name) => {
    const own = more[name] ?? [];

    test.each(budgets.filter(([, key]) => key === "weights" || macsCases.includes(name)))(
      "keeps %s 0.6 as planned, in a smaller file that is undone to no larger a one",
      { timeout: 120_000 },
      async (option, key) => {
        rmSync(out, { force: true });
        const budget = [option, "0.6", "--threads", "1", ...own];
        const planned = await run(plan, file(name), ...budget);
        const { code, json, stderr } = await run(compress, file(name), "-o", out, ...budget);
        expect(code, stderr).toBe(0);
        expect(json[key] / json.before[key]).toBeLessThanOrEqual(0.6);
        expect(json[key] / json.before[key] > 0.58 || typeof json.why === "string").toBe(true);
        expect(json.bytes).toBe(statSync(out).size);
        expect(json.bytes).toBeLessThanOrEqual(statSync(file(name)).size);
        expect(json.verified).toBe(true);
        const chosen = (layers: readonly { name: string; splits: number; basis: number }[]) =>
          layers.map((layer) => [layer.name, layer.splits, layer.basis]).sort();
        const distinct = new Set(chosen(json.layers).map((layer) => JSON.stringify(layer)));
        for (const layer of chosen(planned.json.layers)) expect(distinct).toContain(JSON.stringify(layer));
        const dense = join(folder, "dense.onnx");
        const undone = await run(compress, out, "-o", dense, "--undo", ...own, "--threads", "1");
        expect(undone.code, undone.stderr).toBe(0);
        expect(statSync(dense).size).toBeLessThanOrEqual(statSync(file(name)).size);
      },
    );
  });

  describe.each(exportCases)("%s", (name) => {
    const own = more[name] ?? [];

    test.each(["--fold-bn", "--fp16"])("export %s is verified and no larger", { timeout: 60_000 }, async (flag) => {
      const { code, stderr, json } = await run(exporting, file(name), "-o", out, flag, ...own, "--threads", "1");
      expect(code, stderr).toBe(0);
      expect(json.bytes).toBeLessThanOrEqual(statSync(file(name)).size);
      if (flag === "--fold-bn")
        expect(cost(await loadModel(out)).weights).toBeLessThanOrEqual(cost(await loadModel(file(name))).weights);
    });
  });

  test.each(models)("inspect counts the layers of %s", async (name) => {
    const { code, json, stderr } = await run(inspect, file(name), ...(more[name] ?? []));
    expect(code, stderr).toBe(0);
    expect(json.weights).toBeGreaterThan(0);
    expect(json.macs).toBeGreaterThan(0);
  });

  test("a size that had to be found is told", async () => {
    const { stderr } = await run(plan, file("unet_dyn32"), "--keep-params", "0.6", "--layout", "dense");
    expect(stderr).toMatch(/sizes: .* = 1x3x\d+x\d+/);
  });

  test("nodes that were put in order are told", async () => {
    const { stderr } = await run(plan, file("half_casts_last"), "--keep-params", "0.6", "--layout", "dense");
    expect(stderr).toMatch(/not in order/);
  });
});

test.skipIf(models.length === 0)(
  `every cure that a budget out of reach names works (else skipped: ${noShared})`,
  { timeout: 120_000 },
  async () => {
    for (const [name, option] of [
      ["effdet_head", "--keep-params"],
      ["small_macs", "--keep-macs"],
      ...(full
        ? ([
            ["ir3_net", "--keep-params"],
            ["ir3_net", "--keep-macs"],
          ] as const)
        : []),
    ] as const) {
      const refused = await run(compress, file(name), "-o", out, option, "0.001", "--threads", "1");
      expect(refused.json.error.code).toBe("budget-unreachable");
      for (const cure of refused.json.error.cures as string[]) {
        const words = /(--keep-\w+) (0\.\d+)/.exec(cure);
        if (words === null) continue;
        const { code, json, stderr } = await run(
          compress,
          file(name),
          "-o",
          out,
          words[1]!,
          words[2]!,
          "--threads",
          "1",
        );
        expect(code === 0 || json.error.code === "does-not-pay", `${cure}: ${stderr}`).toBe(true);
      }
    }
  },
);

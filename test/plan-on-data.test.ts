// `plan --data` prints what `compress --data` does with the same options; without a budget both choose the fastest plan
// that loses little.
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import compress from "../src/cli/compress.js";
import type { Command } from "../src/cli/frame.js";
import plan from "../src/cli/plan.js";
import { saveModel } from "../src/runtime/files.js";
import { photoNetwork, writePhotos } from "./photo-network.js";

vi.mock("../src/runtime/time-layers.js", async (original) =>
  (await import("./counted-times.js")).countedLayers(original),
);
vi.mock("../src/runtime/compare-times.js", async (original) =>
  (await import("./counted-times.js")).countedNetworks(original),
);

let folder: string;
const at = (name: string) => join(folder, name);
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "filterbasis-plan-on-data-"));
  await saveModel(photoNetwork(16, 24), at("model.onnx"));
  await writePhotos(at("images"), 16);
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

async function ask(command: Command, ...line: readonly string[]) {
  let [stdout, stderr] = ["", ""];
  const options = ["--data", at("images"), "--threads", "1", "--json"];
  const code = await command.run([at("model.onnx"), ...line, ...options], {
    stdout: { write: (text) => void (stdout += text) },
    stderr: { write: (text) => void (stderr += text) },
    signal: new AbortController().signal,
  });
  return { code, stderr, json: JSON.parse(stdout) };
}

interface Planned {
  readonly name: string;
  readonly factors: string;
}
const factorsOf = (layers: readonly Planned[]) =>
  layers.filter(({ factors }) => factors !== "dense").map(({ name, factors }) => [name, factors]);

test.each([[["--keep-params", "0.5"]], [["--keep-bytes", "0.5"]], [["--layer", "second=4x8"]]])(
  "with %j both do the same to every layer",
  { timeout: 60_000 },
  async (options) => {
    const planned = await ask(plan, ...options);
    expect(planned.code, planned.stderr).toBe(0);
    expect(planned.json.layers).toHaveLength(4);
    const done = await ask(compress, "-o", at("out.onnx"), ...options);
    expect(done.code, done.stderr).toBe(0);
    expect(factorsOf(planned.json.layers)).toEqual(factorsOf(done.json.layers));
  },
);

test("without a budget the plan is the fastest within the limit, and nothing else is written", {
  timeout: 120_000,
}, async () => {
  const { code, json, stderr } = await ask(plan, "--max-loss", "0.9", "--loss", "relative");
  expect(code, stderr).toBe(0);
  expect(json.lost.loss).toMatchObject({ kind: "relative" });
  expect(json.lost.loss.mean).toBeLessThanOrEqual(0.9);
  expect(json.milliseconds.written).toBeLessThan(json.milliseconds.original);
  expect(json.curve.length).toBeGreaterThan(0);
  const limited = await ask(compress, "-o", at("limited.onnx"), "--max-loss", "0");
  expect(limited.code, limited.stderr).toBe(0);
  expect(limited.json.compared.loss.mean).toBe(0);
  const never = ["--max-loss", "1e-9", "--loss", "relative"];
  const refused = await ask(compress, "-o", at("refused.onnx"), ...never);
  expect(refused.json.error, refused.stderr).toMatchObject({ code: "does-not-pay", tried: expect.any(Array) });
  expect(existsSync(at("refused.onnx"))).toBe(false);
});

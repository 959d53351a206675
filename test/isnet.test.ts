// ISNet, the network behind most background removal in browsers, as its package ships it: half precision, the Cast of
// the input and 90 others at the end of the file. 44 million weights and 160 GMACs at its fixed 1024 x 1024: on
// request, or where it is in the cache anyway.
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { writeResult } from "../bench/result.js";
import { runCommand } from "../scripts/wild/command.js";
import { peakOf } from "../scripts/wild/measure.js";
import { memory } from "../scripts/wild/violations.js";
import compress from "../src/cli/compress.js";
import type { Command } from "../src/cli/frame.js";
import inspect from "../src/cli/inspect.js";
import plan from "../src/cli/plan.js";
import { readModel } from "../src/formats/onnx/index.js";
import { cost } from "../src/ops/cost/cost.js";
import { verifyGraph } from "../src/ops/verify/verify.js";
import { cacheFolder } from "../src/runtime/cache-folder.js";
import { loadModel } from "../src/runtime/files.js";

const model = join(cacheFolder(), "isnet.onnx");
const here = existsSync(model);
const asked = process.env.FILTERBASIS_ISNET !== undefined;
const minutes = (count: number) => count * 60_000;

async function ask(command: Command, ...raw: string[]) {
  let [stdout, stderr] = ["", ""];
  const io = {
    stdout: { write: (text: string) => void (stdout += text) },
    stderr: { write: (text: string) => void (stderr += text) },
    signal: new AbortController().signal,
  };
  const code = await command.run([...raw, "--json"], io);
  expect(code, stderr).toBe(0);
  return JSON.parse(stdout);
}

describe.skipIf(!here)(`ISNet${here ? "" : " (it is not in the cache: npm run test:isnet fetches it)"}`, () => {
  test("opens, with its nodes in an order in which they can be computed", () => {
    const graph = readModel(new Uint8Array(readFileSync(model)));
    verifyGraph(graph);
    expect(graph.nodes.length).toBe(734);
    expect(graph.nodes.filter(({ op }) => op === "Conv").length).toBe(119);
  });

  test("is counted: weights of 119 convolutions, and their MACs at 1024 x 1024", async () => {
    const { weights, macs } = await ask(inspect, model);
    expect(weights).toBe(44_003_520);
    expect(macs).toBe(159_673_614_336);
  });
});

const slow = here && asked;
const why = here ? "it takes minutes: npm run test:isnet" : "it is not in the cache: npm run test:isnet fetches it";

describe.skipIf(!slow)(`ISNet, planned and compressed${slow ? "" : ` (${why})`}`, () => {
  let folder = "";
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), "filterbasis-isnet-"));
  });
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  test("a budget in weights is planned", { timeout: minutes(10) }, async () => {
    const { weights, before } = await ask(plan, model, "--keep-params", "0.5");
    expect(before.weights).toBe(44_003_520);
    expect(weights / before.weights).toBeLessThanOrEqual(0.5);
  });

  test("half its weights are kept, within 1.5 x the memory of running it + 300 MiB", {
    timeout: minutes(40),
  }, async () => {
    const out = join(folder, "half.onnx");
    const dims = [1, 3, 1024, 1024];
    const running = await peakOf(model, [
      { kind: "image", seed: 1, inputs: [{ name: "input", type: "float32", dims }] },
    ]);
    const ran = await runCommand(["compress", model, "-o", out, "--keep-params", "0.5"], { timeoutSeconds: 2400 });
    expect(ran.exit, ran.stderr).toBe(0);
    const { weights, before, milliseconds } = JSON.parse(ran.stdout);
    const peak = ran.peakKiB / 1024;
    if (process.env.FILTERBASIS_RECORD) {
      const kept = { weights: weights / before.weights, bytes: statSync(out).size / statSync(model).size };
      const measured = { runningMiB: running, compressMiB: peak };
      await writeResult("isnet", "npm run test:isnet", { kept, memory: measured, seconds: ran.seconds, milliseconds });
    }
    expect(weights / before.weights).toBeLessThanOrEqual(0.5);
    expect(peak).toBeLessThanOrEqual(memory.times * running + memory.besideMiB);
  });

  test("half its MACs are kept in a verified file, no larger than before", { timeout: minutes(40) }, async () => {
    const out = join(folder, "isnet.onnx");
    const { verified } = await ask(compress, model, "-o", out, "--keep-macs", "0.5");
    expect(verified).toBeTruthy();
    expect(cost(await loadModel(out)).macs).toBeLessThanOrEqual(0.5 * 159_673_614_336);
    expect(readFileSync(out).length).toBeLessThanOrEqual(readFileSync(model).length);
  });
});

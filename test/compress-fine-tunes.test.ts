// `compress --data`: the model is fine-tuned after it was compressed, on labels and the original together or on the
// original alone.
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, dirname, join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import compress from "../src/cli/compress.js";
import exporting from "../src/cli/export.js";
import { readRecord } from "../src/methods/record.js";
import { resnet } from "../src/nets/resnet.js";
import { foldBatchNorm } from "../src/passes/fold-batch-norm.js";
import { loadModel, saveModel } from "../src/runtime/files.js";
import { describeEngine } from "./engine.js";
import { someImage, writePng } from "./images.js";

let root: string;
const cache = process.env.FILTERBASIS_CACHE;
const at = (name: string) => join(root, name);
beforeAll(async () => {
  root = mkdtempSync(join(tmpdir(), "filterbasis-fine-tunes-"));
  process.env.FILTERBASIS_CACHE = at("cache");
  mkdirSync(at("empty"));
  await saveModel(resnet(8, { widths: [8, 8, 8], classes: 2 }), at("model.onnx"));
  for (const label of [0, 1])
    for (const [part, count] of [["train", 6] as const, ["test", 1] as const])
      for (let i = 0; i < count; i++)
        await writePng(at(`classes/${part}/c${label}/${i}.png`), someImage(32, 32, { seed: 10 * label + i }));
});
afterAll(() => {
  if (cache === undefined) delete process.env.FILTERBASIS_CACHE;
  else process.env.FILTERBASIS_CACHE = cache;
  rmSync(root, { recursive: true, force: true });
});

let made = 0;
const trained = (...options: string[]) => trainedOf(at("model.onnx"), ...options);
const trainedOf = (model: string, ...options: string[]) => runUntil(model, () => false, options);

/** Asks it to stop as soon as what it has told says so. */
const trainedUntil = (enough: (told: string) => boolean, ...options: string[]) =>
  runUntil(at("model.onnx"), enough, options);

async function runUntil(model: string, enough: (told: string) => boolean, options: readonly string[]) {
  const [run, out] = [at(`run-${made}`), at(`out-${made++}.onnx`)];
  const told = (text: string, stop: AbortController) => void (enough(text) && stop.abort("SIGINT"));
  const { code, stdout, stderr } = await compressedOf(model, out, told, ["--run", run, ...options]);
  const recipe = existsSync(join(run, "recipe.json"))
    ? JSON.parse(readFileSync(join(run, "recipe.json"), "utf8"))
    : undefined;
  return { code, stderr, json: JSON.parse(stdout), recipe, run, out };
}

const compressed = (out: string, told: (text: string, stop: AbortController) => void, ...options: string[]) =>
  compressedOf(at("model.onnx"), out, told, options);

/** Compresses and fine-tunes; `told` hears all that has been told so far, and may stop it. */
async function compressedOf(
  model: string,
  out: string,
  told: (text: string, stop: AbortController) => void,
  options: readonly string[],
) {
  const stop = new AbortController();
  let [stdout, stderr] = ["", ""];
  const io = {
    stdout: { write: (text: string) => void (stdout += text) },
    stderr: {
      write(text: string) {
        stderr += text;
        told(stderr, stop);
      },
    },
    signal: stop.signal,
  };
  const fixed = ["--keep-params", "0.6", "--layout", "batch-folded", "--batch", "4", "--normalize", "none", "--json"];
  const data = options.includes("--data") ? [] : ["--data", at("classes")];
  const length = options.some((option) => option === "--epochs" || option === "--steps") ? [] : ["--epochs", "1"];
  const code = await compress.run([model, "-o", out, ...data, ...length, ...fixed, ...options], io);
  return { code, stdout, stderr };
}

/** What lies beside an output that begins with its name. */
const beside = (out: string) => readdirSync(dirname(out)).filter((name) => name.startsWith(`${basename(out)}.run-`));

describeEngine("compress --data", () => {
  it("trains classifiers whose batch norms are folded at a rate that suits them", async () => {
    const folded = foldBatchNorm(resnet(8, { widths: [8, 8, 8], classes: 2 })).graph;
    await saveModel(folded, at("folded.onnx"));
    const usual = await trainedOf(at("folded.onnx"), "--steps", "2");
    expect(usual.code, usual.stderr).toBe(0);
    expect(usual.recipe).toMatchObject({ recalibrate: 0, optimizer: { name: "adam", lr: 3e-4, clip: 1 } });
  });

  it("trains on labels and the original's soft targets, warms up, and writes the trained model verified", async () => {
    const { code, stderr, json, recipe, run, out } = await trained("--epochs", "2");
    expect(code, stderr).toBe(0);
    expect(recipe.loss).toMatchObject({
      task: "cross-entropy",
      distill: { kind: "soft-targets", weight: 0.5, temperature: 3 },
    });
    expect(recipe.schedule).toMatchObject({ name: "cosine", per: "step", warmup: 0.1 });
    expect(recipe.optimizer).toMatchObject({ name: "sgd", lr: 0.01 });
    expect(recipe).toMatchObject({ calibrate: 4, recalibrate: 50 });
    expect(json).toMatchObject({ verified: true, trained: { epochs: [{ epoch: 1 }, { epoch: 2 }] } });
    const steps = readFileSync(join(run, "metrics.jsonl"), "utf8")
      .split("\n")
      .filter((line) => line.includes('"kind":"step"'));
    for (const line of steps)
      expect(JSON.parse(line)).toMatchObject({ task: expect.any(Number), distillation: expect.any(Number) });
    expect(readRecord(await loadModel(out))?.layers.length).toBeGreaterThan(0);
  });

  it("with --distill leaves the labels out", async () => {
    const { code, stderr, recipe } = await trained("--distill", "--steps", "2");
    expect(code, stderr).toBe(0);
    expect(recipe).toMatchObject({
      steps: 2,
      loss: { task: "none", distill: { kind: "soft-targets" } },
      schedule: { warmup: 0 },
    });
  });

  it("with no steps only calibrates: the filters differ from those of the weights alone", async () => {
    const { code, stderr, json, out } = await trained("--steps", "0");
    expect(code, stderr).toBe(0);
    expect(json).toMatchObject({ verified: true, trained: { epochs: [] } });
    const alone = at("alone.onnx");
    const io = {
      stdout: { write: () => undefined },
      stderr: { write: () => undefined },
      signal: new AbortController().signal,
    };
    expect(
      await compress.run([at("model.onnx"), "-o", alone, "--keep-params", "0.6", "--layout", "batch-folded"], io),
    ).toBe(0);
    const [calibrated, plain] = await Promise.all(
      [out, alone].map(async (file) => readRecord(await loadModel(file))!.layers),
    );
    expect(calibrated!.map(({ name, splits, basisSize }) => [name, splits, basisSize])).toEqual(
      plain!.map(({ name, splits, basisSize }) => [name, splits, basisSize]),
    );
    expect(calibrated!.every(({ error }, i) => error! > plain![i]!.error!)).toBe(true); // the SVD alone is nearest to the filters
  });

  it("stops when asked to: the run can be resumed, and no model is written", async () => {
    const { code, stderr, run, out } = await trainedUntil((told) => told.includes("epoch 1: "), "--epochs", "10000");
    expect([code, existsSync(out)]).toEqual([130, false]);
    expect(stderr).toContain(`stopped while fine-tuning\n  cure: resume: filterbasis train ${run} --resume`);
    expect(existsSync(join(run, "checkpoints"))).toBe(true);
  });

  it("keeps what was trained when the writing fails, and says how to take it from there", async () => {
    const out = at("in-the-way.onnx");
    const { code, stderr } = await compressed(
      out,
      (text) => void (text.includes("epoch 1: ") && mkdirSync(out, { recursive: true })),
    );
    expect(code, stderr).toBe(1);
    const [folder] = beside(out).map(at);
    expect(stderr).toContain(`what was trained is in ${folder}; resume: filterbasis train ${folder} --resume`);
    expect(stderr).toContain(`filterbasis export ${folder} -o ${out} --fold-bn --layout auto`);
    rmdirSync(out);
    const said = /filterbasis export (.*)/.exec(stderr)![1]!;
    const io = {
      stdout: { write: () => undefined },
      stderr: { write: () => undefined },
      signal: new AbortController().signal,
    };
    const words = said.replace("--layout auto", "--layout batch-folded").split(" "); // auto times every layout
    expect(await exporting.run(words, io)).toBe(0);
    expect(readRecord(await loadModel(out))?.layers.length).toBeGreaterThan(0);
  });

  it("keeps a run that was stopped, though no folder was named for it", async () => {
    const out = at("stopped.onnx");
    const { code, stderr } = await compressed(
      out,
      (text, stop) => void (text.includes("epoch 1: ") && stop.abort("SIGINT")),
      "--epochs",
      "10000",
    );
    expect(code).toBe(130);
    const [folder] = beside(out).map(at);
    expect(stderr).toContain(`resume: filterbasis train ${folder} --resume`);
    expect(stderr).toContain(`filterbasis export ${folder} -o ${out}`);
    expect(existsSync(join(folder!, "checkpoints"))).toBe(true);
  });

  it("leaves no run folder behind when all went well, or when nothing was trained", async () => {
    const well = at("well.onnx");
    expect((await compressed(well, () => undefined)).code).toBe(0);
    expect(beside(well)).toEqual([]);
    const badly = at("badly.onnx");
    expect((await compressed(badly, () => undefined, "--data", at("empty"))).code).toBe(1);
    expect(beside(badly)).toEqual([]);
  });

  it("warms up for a tenth of what is less than an epoch", async () => {
    const { code, stderr, recipe } = await trained("--epochs", "0.5");
    expect(code, stderr).toBe(0);
    expect(recipe.schedule.warmup).toBeCloseTo(0.05, 12);
  });

  it.each([
    ["--lr", "fast", "usage"],
    ["--data", "/nowhere/at/all", "not-found"],
  ])("refuses %s %s and writes no model", async (option, value, error) => {
    const { code, json, out } = await trained(option, value);
    expect(code).not.toBe(0);
    expect(json.error.code).toBe(error);
    expect(existsSync(out)).toBe(false);
  });
});

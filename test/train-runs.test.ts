// Whole trainings in run folders: how they begin, that loader threads change nothing but the time, and that they end.
import { spawn } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, expect, it } from "vitest";
import exporting from "../src/cli/export.js";
import { readNewestCheckpoint } from "../src/train/checkpoint.js";
import { parseRecipe, type Recipe } from "../src/train/recipe.js";
import { runTraining } from "../src/train/run.js";
import { trainInWorker } from "../src/train/worker-client.js";
import { describeEngine } from "./engine.js";
import { someImage, writePng } from "./images.js";

let root: string;
const cache = process.env.FILTERBASIS_CACHE;
beforeAll(async () => {
  root = mkdtempSync(join(tmpdir(), "filterbasis-runs-"));
  process.env.FILTERBASIS_CACHE = join(root, "cache");
  for (let label = 0; label < 2; label++) {
    for (let i = 0; i < 7; i++)
      await writePng(join(root, "classes/train", `c${label}`, `${i}.png`), someImage(32, 32, { seed: 10 * label + i }));
    await writePng(join(root, "classes/test", `c${label}`, "0.png"), someImage(32, 32, { seed: 10 * label + 9 }));
  }
  for (let i = 0; i < 4; i++)
    await writePng(join(root, "pictures", `${i}.png`), someImage(48, 40 + 2 * i, { seed: i }));
});
afterAll(() => {
  if (cache === undefined) delete process.env.FILTERBASIS_CACHE;
  else process.env.FILTERBASIS_CACHE = cache;
  rmSync(root, { recursive: true, force: true });
});

/** Three epochs of four steps, 14 images in fours. */
const classes = (fields: object = {}, data: object = {}): Recipe =>
  parseRecipe({
    name: "classes",
    network: { name: "resnet", depth: 8, widths: [4, 4, 4], classes: 2, init: "kaiming" },
    data: { name: "folder", folder: join(root, "classes"), batch: 4, ...data },
    optimizer: { name: "sgd", lr: 0.02 },
    epochs: 3,
    threads: 2,
    ...fields,
  });

/** Three epochs of four steps, batch norm recalibrated first, distilled from the original. */
const patches = (fields: object = {}, data: object = {}): Recipe =>
  parseRecipe({
    name: "patches",
    network: { name: "edsr", scale: 2, blocks: 1, width: 8 },
    compress: { method: "basis", splits: 1, basis: 4 },
    recalibrate: 5,
    data: { name: "pairs", folder: join(root, "pictures"), scale: 2, patch: 16, batch: 2, stepsPerEpoch: 4, ...data },
    loss: { task: "l1", distill: { kind: "l1" } },
    optimizer: { name: "adam" },
    epochs: 3,
    threads: 2,
    ...fields,
  });

let made = 0;
const folder = () => join(root, `run-${made++}`);

/** What a run came to: its model, and every figure of every step and epoch but the time. */
const outcome = (run: string) => ({
  model: readFileSync(join(run, "last.onnx")),
  metrics: readFileSync(join(run, "metrics.jsonl"), "utf8").replace(/"seconds":[\d.e-]+/g, ""),
});

describeEngine("loader threads", () => {
  it.each([
    ["classification", classes],
    ["super-resolution", patches],
  ])(
    "1 or 2 of them give the weights of none, and of a run resumed in the middle of an epoch: %s",
    async (_, recipe) => {
      const without = folder();
      await runTraining(without, recipe());
      for (const loaders of [1, 2]) {
        const whole = folder();
        await runTraining(whole, recipe({}, { loaders }));
        expect(outcome(whole)).toEqual(outcome(without));
      }
      const parts = folder();
      let steps = 0;
      const stopping = () => steps === 6; // in the second epoch
      expect(
        await runTraining(parts, recipe({}, { loaders: 2 }), { onStep: () => void steps++, stopping }),
      ).toMatchObject({
        finished: false,
        globalStep: 6,
      });
      expect((await runTraining(parts, "resume")).finished).toBe(true);
      expect(outcome(parts)).toEqual(outcome(without));
    },
  );

  it("are no more than the threads that compute, and the run says so", async () => {
    const notes: string[] = [];
    await runTraining(folder(), classes({ steps: 1, threads: 1 }, { loaders: 2 }), {
      note: (text) => void notes.push(text),
    });
    expect(notes).toEqual(["1 of 2 loaders: no more than the threads that compute"]);
  });

  it("end with a training on a thread of its own, finished or failed with the loader's own error", async () => {
    expect((await trainInWorker(folder(), classes({ steps: 2 }, { loaders: 2 }))).finished).toBe(true);
    const large = patches({}, { loaders: 2, patch: 96 });
    await expect(trainInWorker(folder(), large)).rejects.toMatchObject({
      name: "FilterBasisError",
      code: "data-mismatch",
      expected: "at least 96 x 96",
      place: { file: expect.stringContaining(join("pictures", "0.png")) },
    });
  });

  it("let the program end: after a loss that is not finite with 1, after an interrupt with 130", async () => {
    const program = ["--import", "tsx", fileURLToPath(new URL("../src/cli/main.ts", import.meta.url)), "train"];
    const train = (recipe: Recipe, run: string, fate?: (said: string, kill: () => void) => void) => {
      const file = `${run}.json`;
      writeFileSync(file, JSON.stringify(recipe));
      const child = spawn(process.execPath, [...program, file, "-o", run], { stdio: ["ignore", "ignore", "pipe"] });
      let said = "";
      child.stderr.on("data", (text) => fate?.((said += text), () => child.kill("SIGINT")));
      return new Promise<{ code: number | null; said: string }>((resolve) =>
        child.on("close", (code) => resolve({ code, said })),
      );
    };
    const wild = await train(
      classes({ optimizer: { name: "sgd", lr: 1e30 } }, { loaders: 2 }),
      folder(),
      () => undefined,
    );
    expect(wild).toEqual({ code: 1, said: expect.stringContaining("error non-finite") });
    const run = folder();
    const { code } = await train(classes({ epochs: 1000 }, { loaders: 2 }), run, (said, kill) => {
      if (said.includes("epoch 2:")) kill();
    });
    expect(code).toBe(130);
    expect(readdirSync(join(run, "checkpoints")).length).toBeGreaterThan(0);
  });
});

describeEngine("a run's folder", () => {
  it("holds no best model where there is nothing to evaluate on", async () => {
    const run = folder();
    expect(await runTraining(run, patches({ steps: 1 }))).toMatchObject({ best: null, metrics: {} });
    expect(existsSync(join(run, "best.onnx"))).toBe(false);
    expect(existsSync(join(run, "last.onnx"))).toBe(true);
  });

  it("in which a try failed before its first step is begun anew, and what else lies there stays", async () => {
    const run = folder();
    mkdirSync(run);
    writeFileSync(join(run, "notes.txt"), "mine");
    // It had compressed and evaluated; its recipe names more than the next one does.
    const wild = patches({ loss: { task: "l1", gamma: 1e60 } });
    await expect(runTraining(run, wild)).rejects.toMatchObject({ code: "non-finite" });
    expect(existsSync(join(run, "start.onnx"))).toBe(true);
    await expect(runTraining(run, classes({}, { folder: join(root, "nowhere") }))).rejects.toMatchObject({
      code: "not-found",
    });
    expect(existsSync(join(run, "start.onnx"))).toBe(false);
    expect(await runTraining(run, classes({ steps: 1 }))).toMatchObject({ finished: true, globalStep: 1 });
    expect(readFileSync(join(run, "notes.txt"), "utf8")).toBe("mine");
    expect(JSON.parse(readFileSync(join(run, "recipe.json"), "utf8"))).toMatchObject({ name: "classes", steps: 1 });
    expect(readFileSync(join(run, "log.txt"), "utf8")).toMatch(
      / begun: patches.*failed: .*begun: classes.*failed: .*nowhere/s,
    );
  });

  it("is left before the first step by a network for other classes", async () => {
    const run = folder();
    const ten = classes({ network: { name: "resnet", depth: 8, widths: [4, 4, 4], classes: 10 } });
    await expect(runTraining(run, ten)).rejects.toMatchObject({ code: "data-mismatch" });
    expect(existsSync(join(run, "metrics.jsonl"))).toBe(false);
  });

  it("keeps the last good checkpoint where the loss stops being finite, and its log says what went wrong", async () => {
    const run = folder();
    const wild = classes({
      schedule: { name: "step", milestones: [1], factor: 1e30 },
      checkpoint: { everySteps: 1, keep: 9 },
    });
    await expect(runTraining(run, wild)).rejects.toMatchObject({ code: "non-finite" });
    const kept = await readNewestCheckpoint(join(run, "checkpoints"), () => undefined);
    expect(kept!.step).toBeGreaterThanOrEqual(4); // the first epoch's
    for (const [name, { type, data }] of kept!.tensors)
      if (type === "float32")
        expect([name, [...new Float32Array(data.slice().buffer)].every(Number.isFinite)]).toEqual([name, true]);
    expect(readFileSync(join(run, "log.txt"), "utf8")).toMatch(/failed: .*not finite/);
  });

  it("is refused once a step was made in it, even without a checkpoint", async () => {
    const run = folder();
    await runTraining(run, classes({ steps: 1 }));
    rmSync(join(run, "checkpoints"), { recursive: true });
    rmSync(join(run, "last.onnx"));
    rmSync(join(run, "best.onnx"));
    await expect(runTraining(run, classes())).rejects.toMatchObject({ code: "usage", message: /holds a run already/ });
  });

  it.each(["recipe.json", "last.onnx", "start.json", "metrics.jsonl"])(
    "is refused where it holds another's %s, which stays",
    async (name) => {
      const run = folder();
      mkdirSync(run);
      const own = JSON.stringify(classes());
      writeFileSync(join(run, name), own);
      await expect(runTraining(run, classes())).rejects.toMatchObject({ code: "usage" });
      expect(readFileSync(join(run, name), "utf8")).toBe(own);
      expect(readdirSync(run)).toEqual([name]);
    },
  );
});

describeEngine("export of a run", () => {
  /** What the command prints and how it ends. */
  async function exported(...words: string[]) {
    let [stdout, stderr] = ["", ""];
    const code = await exporting.run([...words, "--threads", "1"], {
      stdout: { write: (text: string) => void (stdout += text) },
      stderr: { write: (text: string) => void (stderr += text) },
      signal: new AbortController().signal,
    });
    return { code, stdout, stderr };
  }

  it("takes the model of the last epoch, or of the best, as they are, and says which", async () => {
    const [run, out] = [folder(), join(root, "out.onnx")];
    await runTraining(run, classes({ compress: { method: "basis", splits: 2, basis: 3 } }));
    const epochs = readFileSync(join(run, "metrics.jsonl"), "utf8")
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line))
      .filter(({ kind }) => kind === "epoch");
    for (const [which, words, epoch] of [
      ["last", [], epochs.at(-1)],
      ["best", ["--best"], epochs.findLast(({ best }) => best)],
    ] as const) {
      const { code, stdout } = await exported(run, "-o", out, ...words, "--json");
      expect(code).toBe(0);
      const from = { file: join(run, `${which}.onnx`), which, epoch: epoch.epoch, metrics: epoch.metrics };
      expect(JSON.parse(stdout)).toMatchObject({ from, verified: true });
      expect(readFileSync(out).equals(readFileSync(from.file))).toBe(true);
      expect((await exported(run, "-o", out, ...words)).stdout).toContain(
        `took ${from.file}: the model of the ${which} epoch${which === "best" ? " on the test data" : ""} (epoch ${epoch.epoch}, top1Error `,
      );
    }
    const shipped = await exported(run, "-o", out, "--fold-bn", "--layout", "dense", "--fp16", "--json");
    expect(shipped.code).toBe(0);
    expect(JSON.parse(shipped.stdout)).toMatchObject({ layouts: ["7 dense"], verified: true });
  });

  it("refuses a best that there is not, and a choice where there is none", async () => {
    const [run, out] = [folder(), join(root, "never.onnx")];
    await runTraining(run, patches({ steps: 1 }));
    expect(await exported(run, "-o", out, "--best")).toMatchObject({
      code: 1,
      stderr: expect.stringContaining("no best model"),
    });
    expect((await exported(join(run, "last.onnx"), "-o", out, "--best")).code).toBe(2);
    expect((await exported(join(run, "original.onnx"), "-o", out, "--layout", "auto")).code).toBe(2);
    expect((await exported(join(root, "pictures"), "-o", out)).code).toBe(1);
    expect(existsSync(out)).toBe(false);
  });
});

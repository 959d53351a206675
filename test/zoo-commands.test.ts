// The commands that list and write: nets, methods, recipes, tables.
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Command } from "../src/cli/frame.js";
import methods from "../src/cli/methods.js";
import nets from "../src/cli/nets.js";
import recipes from "../src/cli/recipes.js";
import tables from "../src/cli/tables.js";
import { float32Tensor } from "../src/graph/attributes.js";
import { resnet } from "../src/nets/resnet.js";
import { loadModel } from "../src/runtime/files.js";
import { writeWeights } from "../src/runtime/weights.js";

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "filterbasis-zoo-"));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

async function run(command: Command, ...raw: string[]) {
  const [out, err]: [string[], string[]] = [[], []];
  const stream = (lines: string[]) => ({ write: (text: string) => lines.push(text) > 0, isTTY: false });
  const code = await command.run(raw, {
    stdout: stream(out),
    stderr: stream(err),
    signal: new AbortController().signal,
  });
  return { code, out: out.join(""), err: err.join("") };
}

interface TableLine {
  readonly row: string;
  readonly what: string;
  readonly paper: number | null;
  readonly ours: number | null;
  readonly difference: number | null;
}

async function tableOf(
  ...raw: string[]
): Promise<{ readonly lines: readonly TableLine[]; readonly notes: readonly string[] }> {
  const { code, out } = await run(tables, ...raw, "--json");
  expect(code).toBe(0);
  const { tables: made } = JSON.parse(out) as { tables: { lines: TableLine[]; notes: string[] }[] };
  return { lines: made.flatMap(({ lines }) => lines), notes: made.flatMap(({ notes }) => notes) };
}

describe("nets", () => {
  it("lists the networks with their options", async () => {
    const { code, out } = await run(nets, "--json");
    expect(code).toBe(0);
    const names = (JSON.parse(out) as { nets: { name: string; options: string[] }[] }).nets.map(({ name }) => name);
    for (const name of [
      "vgg16",
      "resnet20",
      "resnet56",
      "resnet110",
      "densenet-12-40",
      "srresnet",
      "edsr",
      "edsr-8-128",
    ])
      expect(names).toContain(name);
  });

  it("writes a network, the same for the same seed", async () => {
    const [a, b, c] = ["a", "b", "c"].map((name) => join(folder, `${name}.onnx`)) as [string, string, string];
    expect((await run(nets, "resnet", "-o", a, "--set", "depth=8")).code).toBe(0);
    expect((await run(nets, "resnet", "-o", b, "--set", "depth=8")).code).toBe(0);
    expect((await run(nets, "resnet", "-o", c, "--set", "depth=8", "--seed", "2")).code).toBe(0);
    const weights = await Promise.all(
      [a, b, c].map(async (file) => (await loadModel(file)).initializers.get("features.0.0.weight")!.data),
    );
    expect(Buffer.compare(weights[0]!, weights[1]!)).toBe(0);
    expect(Buffer.compare(weights[0]!, weights[2]!)).not.toBe(0);
  });

  it("writes a network with the weights of a file, and says which parameters the file lacks", async () => {
    const file = join(folder, "weights.safetensors");
    const given = new Map(resnet(8, { seed: 9 }).initializers);
    const all = new Map([...given].filter(([, { type }]) => type === "float32"));
    await writeWeights(file, all);
    const output = join(folder, "trained.onnx");
    expect((await run(nets, "resnet", "-o", output, "--set", "depth=8", "--weights", file)).code).toBe(0);
    const loaded = (await loadModel(output)).initializers.get("classifier.weight")!.data;
    expect(Buffer.compare(loaded, all.get("classifier.weight")!.data)).toBe(0);
    all.set("classifier.weight", float32Tensor([1], Float32Array.of(1)));
    await writeWeights(file, all);
    const { code, err } = await run(
      nets,
      "resnet",
      "-o",
      join(folder, "no.onnx"),
      "--set",
      "depth=8",
      "--weights",
      file,
    );
    expect([code, err]).toEqual([1, expect.stringMatching(/classifier\.weight.*expected \[10, 64\]/)]);
  });

  it.each([
    [["resnet57", "-o", "x.onnx"], 1, "no network"],
    [["resnet20"], 2, "-o"],
    [["resnet20", "-o", "x.onnx", "--set", "scale=2"], 2, "scale"],
    [["resnet20", "-o", "x.onnx", "--set", "seed"], 2, "option=value"],
    [["--set", "scale=2"], 2, "--set needs NAME: name a network"],
  ])("ends with an error for %j", async (raw, code, message) => {
    const result = await run(nets, ...raw);
    expect(result.code).toBe(code);
    expect(result.err).toContain(message);
  });
});

describe("methods and recipes", () => {
  it("list what there is", async () => {
    const listed = JSON.parse((await run(methods, "--json")).out) as { methods: { name: string }[] };
    for (const name of ["basis", "basis-scratch", "factor", "group"])
      expect(listed.methods.map((method) => method.name)).toContain(name);
    const { out } = await run(recipes);
    expect(out).toMatch(/table5-vgg16-basis\s+vgg16\s+basis-scratch\s+cifar10\s+300\s+table 5: VGG-16, Basis \(ours\)/);
  });
});

describe("tables", () => {
  it("shows counts that agree as agreeing, those that do not with their difference, and dashes where nothing was run", async () => {
    const { lines } = await tableOf("4", "--results", folder);
    const find = (row: string, what: string) => lines.find((line) => line.row === row && line.what === what);
    expect(find("M36T6", "parameters")).toMatchObject({ paper: 331_000, ours: 330_888, difference: 0 });
    expect(find("M24", "parameters")).toMatchObject({ ours: 319_992, difference: 0 });
    expect(find("M36T6", "top-1 error, %")).toMatchObject({ paper: 5.32, ours: null, difference: null });
    expect(find("M36T6", "MACs, %")?.ours).toBeCloseTo(270.96, 2);
    const { out } = await run(tables, "4", "--results", folder);
    expect(out).toMatch(/M36T6\s+top-1 error, %\s+5\.32\s+-\s+-/);
  });

  it("takes measured metrics from result files alone, and states their conditions", async () => {
    const result = {
      recipe: "table4-m36t6",
      metrics: { top1Error: 5.5 },
      epochs: 10,
      epochsOfRecipe: 400,
      seed: 3,
      machine: "2 cores",
      commit: "abc",
    };
    await writeFile(join(folder, "run.json"), JSON.stringify(result));
    await writeFile(join(folder, "bench.json"), JSON.stringify({ command: "something else" }));
    const { lines, notes } = await tableOf("4", "--results", folder);
    const line = lines.find(({ row, what }) => row === "M36T6" && what.startsWith("top-1"));
    expect(line).toMatchObject({ paper: 5.32, ours: 5.5 });
    expect(line?.difference).toBeCloseTo(0.18);
    expect(notes).toContain("M36T6: ours is table4-m36t6: 10 of 400 epochs, seed 3, 2 cores, commit abc");
    await writeFile(join(folder, "run.json"), JSON.stringify({ ...result, epochs: "many" }));
    const broken = await run(tables, "4", "--results", folder);
    expect([broken.code, broken.err]).toEqual([1, expect.stringMatching(/run\.json.*epochs/)]);
  });

  it("refuses a table that the paper has not", async () => {
    expect((await run(tables, "7")).code).toBe(2);
  });
});

// What can be known at the start is told at the start: before a model is read, which here would be told as broken.
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import compress from "../src/cli/compress.js";
import data from "../src/cli/data.js";
import demo from "../src/cli/demo.js";
import evaluate from "../src/cli/evaluate.js";
import exporting from "../src/cli/export.js";
import type { Command } from "../src/cli/frame.js";
import nets from "../src/cli/nets.js";
import report from "../src/cli/report.js";
import train from "../src/cli/train.js";
import upscale from "../src/cli/upscale.js";
import { loadModel, saveModel } from "../src/runtime/files.js";
import { oneConv } from "./small-graphs.js";

const commands: readonly Command[] = [compress, data, demo, evaluate, exporting, nets, report, train, upscale];
let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "filterbasis-first-"));
  writeFileSync(join(folder, "broken.onnx"), "broken");
  writeFileSync(join(folder, "a.png"), "broken");
  writeFileSync(
    join(folder, "recipe.yaml"),
    "name: x\nnetwork: { name: resnet20 }\ndata: { name: folder, folder: /nowhere }\n",
  );
  writeFileSync(join(folder, "good.yaml"), "name: x\nnetwork: { name: resnet20 }\n");
  symlinkSync("broken.onnx", join(folder, "link.onnx"));
  mkdirSync(join(folder, "run"));
  writeFileSync(join(folder, "run", "metrics.jsonl"), "");
  writeFileSync(join(folder, "run", "last.onnx"), "broken");
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

async function run(line: string) {
  const [name, ...words] = line.replaceAll("DIR", folder).split(" ");
  let [stdout, stderr] = ["", ""];
  const code = await commands
    .find((command) => command.name === name)!
    .run([...words, "--json"], {
      stdout: { write: (text) => void (stdout += text) },
      stderr: { write: (text) => void (stderr += text) },
      signal: new AbortController().signal,
    });
  return { code, stderr, error: (JSON.parse(stdout) as { readonly error: { code: string; message: string } }).error };
}

describe("told before a model is read", () => {
  test.each([
    ["export DIR/broken.onnx -o DIR/none/out.onnx", "not-found", /folder to write into does not exist/],
    ["export DIR/broken.onnx -o DIR", "io", /is a folder/],
    ["export DIR/broken.onnx -o DIR/link.onnx", "usage", /replace the input/],
    ["export DIR/link.onnx -o DIR/broken.onnx", "usage", /replace the input/],
    ["export DIR/broken.onnx -o DIR/a.png/out.onnx", "io", /is a file/],
    ["upscale DIR/broken.onnx DIR/a.png -o DIR/none/out.png", "not-found", /does not exist/],
    ["upscale DIR/broken.onnx DIR/a.png -o DIR/a.png", "usage", /replace the input/],
    ["upscale DIR/broken.onnx DIR/none.png -o DIR/out.png", "not-found", /none\.png/],
    ["report DIR/none.onnx", "not-found", /none\.onnx": there is no such file or folder/],
    ["nets edsr -o DIR/none/out.onnx", "not-found", /does not exist/],
    ["nets edsr -o DIR/a.png --weights DIR/a.png", "usage", /replace the input/],
    ["evaluate DIR/broken.onnx --data DIR/none", "not-found", /no such data/],
    ["evaluate DIR/broken.onnx --against DIR/none.onnx --data DIR", "not-found", /none\.onnx/],
    ["evaluate DIR/broken.onnx --data DIR --normalize none --shave 2", "usage", /exclude each other/],
    ["train DIR/recipe.yaml -o DIR/new", "not-found", /"\/nowhere": there is no such data/],
    ["train DIR/good.yaml -o DIR/a.png", "io", /file is where the folder would be/],
    ["train DIR/run --resume --set epochs=3", "usage", /exclude each other/],
    ["train DIR/run --resume -o DIR/other", "usage", /exclude each other/],
    ["demo -o DIR/a.png", "io", /file is where the folder would be/],
    ["demo --speedup 200", "usage", /from 1 to 100/],
    ["demo --speedup 0.5", "usage", /from 1 to 100/],
    ["demo --normalize none", "usage", /needs --model/],
    ["demo --model DIR/none.onnx", "not-found", /none\.onnx/],
    ["data get set5 --folder DIR/a.png", "io", /file is where the folder would be/],
    ["data get cifar10 --folder DIR/a.png/x", "io", /file is where the folder would be/],
    ["data get set5 --repair", "usage", /needs check/],
    ["data check div2k --scale 2", "usage", /exclude each other/],
  ])("%s", async (line, code, says) => {
    const before = readdirSync(folder);
    const { code: exit, error } = await run(line);
    expect(error).toMatchObject({ code, message: expect.stringMatching(says) });
    expect(exit).toBe(code === "usage" ? 2 : 1);
    expect(readdirSync(folder)).toEqual(before);
  });
});

test("a file that the tensors of the input lie in is an input too", async () => {
  const model = oneConv({ outChannels: 16, inChannels: 16, kernel: [3, 3] });
  const home = join(folder, "external");
  mkdirSync(home);
  await saveModel(model, join(home, "model.onnx"), { external: "always" });
  const data = readdirSync(home).find((name) => name.endsWith(".data"))!;
  for (const line of ["export", "compress"].map((name) => `${name} DIR/external/model.onnx -o DIR/external/${data}`)) {
    const { error } = await run(line);
    expect(error).toMatchObject({ code: "usage", message: expect.stringMatching(/replace the input/) });
  }
  expect((await loadModel(join(home, "model.onnx"))).initializers.size).toBe(model.initializers.size);
});

test("a report does not replace a file of the run that it is about", async () => {
  const { error } = await run("report DIR/run -o DIR/run/last.onnx --no-times");
  expect(error.message).toMatch(/replace the input/);
  expect(readFileSync(join(folder, "run", "last.onnx"), "utf8")).toBe("broken");
});

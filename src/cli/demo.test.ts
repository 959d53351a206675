// The demo says at once what is wrong with its photographs, before minutes of fine-tuning.
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { someImage, writePng } from "../../test/images.js";
import demo from "./demo.js";

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "filterbasis-demo-"));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

async function run() {
  let err = "";
  const ignore = { write: () => undefined };
  const io = {
    stdout: ignore,
    stderr: { write: (text: string) => void (err += text) },
    signal: new AbortController().signal,
  };
  const code = await demo.run(["--pictures", folder, "-o", join(folder, "out")], io);
  return { code, err };
}

test("one image is not enough", async () => {
  await writePng(join(folder, "a.png"), someImage(32, 32));
  const { code, err } = await run();
  expect(code).not.toBe(0);
  expect(err).toContain("at least two images");
  expect(err).not.toContain("fine-tuning");
});

test("an image that cannot be read is named", async () => {
  await writePng(join(folder, "a.png"), someImage(32, 32));
  await writeFile(join(folder, "b.png"), "");
  const { code, err } = await run();
  expect(code).not.toBe(0);
  expect(err).toMatch(/b\.png.*0 bytes/);
  expect(err).not.toContain("fine-tuning");
});

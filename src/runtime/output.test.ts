// Outputs are refused before the work, for all that is known then; and nothing is left behind by looking.
import {
  linkSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { FilterBasisError } from "../errors/error.js";
import { checkOutput, checkOutputFolder } from "./output.js";
import { writeAside } from "./write.js";

let folder: string;
const at = (...names: string[]) => join(folder, ...names);
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "filterbasis-output-"));
  writeFileSync(at("in.onnx"), "model");
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

async function refusal(check: Promise<void>): Promise<FilterBasisError> {
  return await check.then(
    () => {
      throw new Error("nothing was refused");
    },
    (error: FilterBasisError) => error,
  );
}

describe("an output file", () => {
  test("is taken where it is new, where an older one is replaced, and behind a link to another file", async () => {
    writeFileSync(at("old.onnx"), "old");
    symlinkSync("old.onnx", at("link.onnx"));
    for (const name of ["new.onnx", "old.onnx", "link.onnx"])
      await checkOutput(at(name), { inputs: [at("in.onnx")], bytes: 5 });
    expect(readFileSync(at("old.onnx"), "utf8")).toBe("old");
    expect(readdirSync(folder).sort()).toEqual(["in.onnx", "link.onnx", "old.onnx"]);
  });

  test("is refused where it is the input, by the same path, another one, or links on either side", async () => {
    symlinkSync("in.onnx", at("to-file.onnx"));
    symlinkSync(".", at("to-folder"));
    const same = [
      at("in.onnx"),
      join(folder, ".", "to-folder", "..", "in.onnx"),
      at("to-file.onnx"),
      at("to-folder", "in.onnx"),
    ];
    for (const output of same) {
      for (const input of same) {
        const error = await refusal(checkOutput(output, { inputs: [at("none"), input] }));
        expect(error).toMatchObject({ code: "usage", message: expect.stringMatching(/would replace the input/) });
        expect(error.cures.length).toBeGreaterThan(0);
      }
    }
  });

  test("may be another hard link to the input: writing replaces the name, not the bytes", async () => {
    linkSync(at("in.onnx"), at("hard.onnx"));
    await checkOutput(at("hard.onnx"), { inputs: [at("in.onnx")] });
    await writeAside(at("hard.onnx"), "new");
    expect(readFileSync(at("in.onnx"), "utf8")).toBe("model");
  });

  test("is refused with a cure where a folder is, or is named", async () => {
    for (const path of [folder, `${folder}/`, at("new/")]) {
      const error = await refusal(checkOutput(path));
      expect(error).toMatchObject({ code: "io", message: expect.stringMatching(/is a folder/) });
      expect(error.cures[0]).toMatch(/name a file in it/);
    }
  });

  test("is refused where its folder is not there, or is a file", async () => {
    expect(await refusal(checkOutput(at("a", "b", "out.onnx")))).toMatchObject({
      code: "not-found",
      got: at("a", "b"),
      cures: [`mkdir -p ${at("a", "b")}`],
    });
    expect(await refusal(checkOutput(at("in.onnx", "out.onnx")))).toMatchObject({ code: "io" });
  });

  test("is refused where the disk has too little room", async () => {
    const error = await refusal(checkOutput(at("out.onnx"), { bytes: 1e17 }));
    expect(error).toMatchObject({
      code: "io",
      message: expect.stringMatching(/too little room/),
      expected: "about 100000000000 MB free",
    });
    expect(error.cures).toContain("make room");
  });

  test("is refused where the name is too long", async () => {
    expect((await refusal(checkOutput(at("x".repeat(300))))).message).toMatch(/name is too long/);
    await checkOutput(at("x".repeat(250)));
    await writeAside(at("x".repeat(250)), "new");
  });

  test.skipIf(process.platform !== "linux")("is refused where the folder takes no files", async () => {
    expect(await refusal(checkOutput("/proc/out.onnx"))).toMatchObject({
      code: "io",
      place: { file: "/proc/out.onnx" },
    });
  });

  test.skipIf(process.platform !== "linux")("may be a device", async () => {
    await checkOutput("/dev/null");
  });

  test.skipIf(process.getuid?.() === 0)("is refused where one may not write", async () => {
    mkdirSync(at("closed"), { mode: 0o555 });
    expect((await refusal(checkOutput(at("closed", "out.onnx")))).message).toMatch(/no permission/);
  });
});

describe("an output folder", () => {
  test("is taken where it is there, and where it or those above it are still to be made", async () => {
    for (const path of [folder, at("new"), at("a", "b", "c")]) await checkOutputFolder(path, { bytes: 5 });
    expect(readdirSync(folder)).toEqual(["in.onnx"]);
  });

  test("is refused where a file is in its place or above it, and where there is no room", async () => {
    for (const path of [at("in.onnx"), at("in.onnx", "run")]) {
      expect(await refusal(checkOutputFolder(path))).toMatchObject({ code: "io", got: at("in.onnx") });
    }
    expect((await refusal(checkOutputFolder(at("new"), { bytes: 1e17 }))).message).toMatch(/too little room/);
  });
});

// Models as files: tensors in a file beside the model, and what a model may not make us read.
import { execFileSync } from "node:child_process";
import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { create, toBinary } from "@bufbuild/protobuf";
import { ModelProtoSchema } from "onnx-buf";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { isError } from "../errors/error.js";
import { writeModelChunks } from "../formats/onnx/index.js";
import { float32Tensor, makeNode, tensor } from "../graph/attributes.js";
import type { Graph } from "../graph/types.js";
import { loadModel, saveModel } from "./files.js";
import { openSession } from "./open.js";

let folder: string;
let model: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "filterbasis-files-"));
  mkdirSync(join(folder, "home", "sub"), { recursive: true });
  model = join(folder, "home", "model.onnx");
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const values = Float32Array.from({ length: 600 }, (_, at) => at / 7);
const bytes = new Uint8Array(values.buffer);

/** y = x + w, w [600]. */
const sum: Graph = {
  name: "sum",
  nodes: [makeNode("Add", ["x", "w"], ["y"])],
  initializers: new Map([["w", float32Tensor([600], values)]]),
  inputs: [{ name: "x", tensor: { type: "float32", dims: [600] } }],
  outputs: [{ name: "y", tensor: { type: "float32", dims: [600] } }],
  values: new Map(),
  opsets: new Map([["", 17]]),
  irVersion: 8,
  metadata: new Map(),
};

/** Writes a model whose constants w0, w1, ... [600] lie elsewhere, each as its entries say. */
function writeReferring(...constants: Record<string, string>[]): void {
  const initializer = constants.map((entries, at) => ({
    name: `w${at}`,
    dataType: 1,
    dims: [600n],
    dataLocation: 1,
    externalData: Object.entries(entries).map(([key, value]) => ({ key, value })),
  }));
  const graph = { name: "g", initializer };
  writeFileSync(
    model,
    toBinary(ModelProtoSchema, create(ModelProtoSchema, { irVersion: 8n, opsetImport: [{ version: 17n }], graph })),
  );
}

async function refusal(): Promise<{ code: string; message: string }> {
  try {
    await loadModel(model);
  } catch (error) {
    if (isError(error)) return { code: error.code, message: error.message };
    throw error;
  }
  return { code: "read", message: "" };
}

describe("a model with a second file", () => {
  test("is read back as it was saved, and runs in ONNX Runtime", async () => {
    await saveModel(sum, model, { external: "always" });
    expect(readdirSync(join(folder, "home")).sort()).toEqual([
      "model.onnx",
      expect.stringMatching(/^model\.onnx\.[0-9a-f]{12}\.data$/),
      "sub",
    ]);
    expect(readFileSync(model).length).toBeLessThan(500);
    const graph = await loadModel(model);
    expect(graph.initializers.get("w")).toMatchObject({ type: "float32", dims: [600], data: bytes });
    const session = await openSession(model, { threads: 1 });
    const { y } = await session.run({ x: float32Tensor([600], values) });
    await session.release();
    expect(new Float32Array(Uint8Array.from(y!.data).buffer)).toEqual(values.map((value) => value + value));
  });

  test("keeps its second file where the model was renamed or copied and another is saved under its old name", async () => {
    await saveModel(sum, model, { external: "always" });
    const kept = join(folder, "home", "kept.onnx");
    renameSync(model, kept);
    const minus = float32Tensor(
      [600],
      values.map((value) => -value),
    );
    const other = { ...sum, initializers: new Map([["w", minus]]) };
    await saveModel(other, model, { external: "always" });
    await saveModel(sum, model, { external: "always" });
    await saveModel(other, model);
    expect((await loadModel(kept)).initializers.get("w")!.data).toEqual(bytes);
    expect(readdirSync(join(folder, "home")).filter((name) => name.endsWith(".data"))).toHaveLength(1);
  });

  test("becomes one file again when it is saved so", async () => {
    await saveModel(sum, model, { external: "always" });
    await saveModel(await loadModel(model), join(folder, "one.onnx"));
    expect(readdirSync(folder).sort()).toEqual(["home", "one.onnx"]);
    expect((await loadModel(join(folder, "one.onnx"))).initializers.get("w")!.data).toEqual(bytes);
  });

  test("leaves no second file of an older version behind", async () => {
    await saveModel(sum, model, { external: "always" });
    await saveModel(
      {
        ...sum,
        initializers: new Map([
          [
            "w",
            float32Tensor(
              [600],
              values.map((value) => -value),
            ),
          ],
        ]),
      },
      model,
      { external: "always" },
    );
    expect(readdirSync(join(folder, "home")).length).toBe(3);
    await saveModel(sum, model);
    expect(readdirSync(join(folder, "home")).sort()).toEqual(["model.onnx", "sub"]);
  });

  test("keeps the weights of Constant nodes to itself, which not every runtime finds elsewhere", async () => {
    const constant = makeNode("Constant", [], ["w"], { value: tensor(float32Tensor([600], values)) });
    await saveModel({ ...sum, nodes: [constant, ...sum.nodes], initializers: new Map() }, model, {
      external: "always",
    });
    expect(readdirSync(join(folder, "home"))).toEqual(["model.onnx", "sub"]);
  });

  test("shares bytes between constants that share them", async () => {
    const shared = float32Tensor([600], values);
    const two = {
      ...sum,
      initializers: new Map([
        ["w", shared],
        ["v", { ...shared }],
      ]),
    };
    await saveModel(two, model, { external: "always" });
    const data = readdirSync(join(folder, "home")).find((name) => name.endsWith(".data"))!;
    expect(readFileSync(join(folder, "home", data)).length).toBe(2400);
    expect((await loadModel(model)).initializers.get("v")!.data).toEqual(bytes);
  });

  test("is what saving falls back to beyond 2 GB, which is known before a byte is copied", () => {
    // Memory that nobody touches costs nothing.
    const half = { type: "uint8", dims: [1.2e9], data: new Uint8Array(1.2e9) } as const;
    const initializers = new Map([
      ["a", half],
      ["b", half],
    ]);
    expect(() => writeModelChunks({ ...sum, initializers })).toThrow(/cannot pass 2 GB/);
    const { length } = writeModelChunks({ ...sum, initializers }, (data) =>
      data.length > 1000 ? { location: "d", offset: 0 } : undefined,
    );
    expect(length).toBeLessThan(1000);
  });
});

describe("a model that refers to another file", () => {
  test("gets the range that it names, from its own folder or one below", async () => {
    writeFileSync(join(folder, "home", "sub", "w.bin"), Buffer.concat([Buffer.alloc(64), bytes]));
    writeReferring({ location: "sub/w.bin", offset: "64", length: "2400" }, { location: "./sub/w.bin", offset: "64" });
    const { initializers } = await loadModel(model);
    for (const name of ["w0", "w1"]) expect(initializers.get(name)!.data).toEqual(bytes);
  });

  test("may refer through a link that stays inside", async () => {
    writeFileSync(join(folder, "home", "sub", "w.bin"), bytes);
    symlinkSync(join("sub", "w.bin"), join(folder, "home", "w.bin"));
    writeReferring({ location: "w.bin" });
    expect((await refusal()).code).toBe("read");
  });

  const secret = "secret.bin";
  const rows: readonly (readonly [string, () => Record<string, string>[], string, RegExp])[] = [
    ["an absolute path", () => [{ location: join(folder, secret) }], "malformed", /absolute path/],
    ["a Windows path", () => [{ location: `C:\\${secret}` }], "malformed", /absolute path/],
    ["a path that leads up", () => [{ location: `../${secret}` }], "malformed", /"\.\."/],
    ["a path that leads down and up", () => [{ location: `sub/../../${secret}` }], "malformed", /"\.\."/],
    ["a path that leads up in Windows' way", () => [{ location: `..\\${secret}` }], "malformed", /"\.\."/],
    ["a zero byte in the path", () => [{ location: `w\0.bin` }], "malformed", /zero byte/],
    ["no location", () => [{ offset: "0" }], "malformed", /without a location/],
    ["the folder itself", () => [{ location: "." }], "malformed", /link that leads out|not a regular file/],
    ["a folder", () => [{ location: "sub" }], "malformed", /not a regular file/],
    ["a file that is not there", () => [{ location: "nothing.bin" }], "not-found", /not there/],
    ["a negative offset", () => [{ location: "w.bin", offset: "-4" }], "malformed", /bad offset/],
    ["an offset that is no number", () => [{ location: "w.bin", offset: "1e3" }], "malformed", /bad offset/],
    ["an offset beyond the file", () => [{ location: "w.bin", offset: "999999999999" }], "malformed", /beyond the end/],
    [
      "a length beyond the file",
      () => [{ location: "w.bin", offset: "4", length: "2400" }],
      "malformed",
      /beyond the end/,
    ],
    ["a length that is not the tensor's", () => [{ location: "w.bin", length: "4" }], "malformed", /wrong length/],
    ["a negative length", () => [{ location: "w.bin", length: "-1" }], "malformed", /bad length/],
    [
      "ranges that overlap again and again",
      () => [0, 4, 8].map((offset) => ({ location: "long.bin", offset: `${offset}` })),
      "malformed",
      /overlap/,
    ],
  ];
  for (const [name, entries, code, says] of rows) {
    test(`is refused for ${name}`, async () => {
      writeFileSync(join(folder, secret), bytes);
      writeFileSync(join(folder, "home", "w.bin"), bytes);
      writeFileSync(join(folder, "home", "long.bin"), Buffer.concat([bytes, Buffer.alloc(100)]));
      writeReferring(...entries());
      const { code: got, message } = await refusal();
      expect([got, message]).toEqual([code, expect.stringMatching(says)]);
      expect(message).toContain("model.onnx");
    });
  }

  test("is refused for a link that leads out, also by way of a linked folder", async () => {
    writeFileSync(join(folder, secret), bytes);
    symlinkSync(join(folder, secret), join(folder, "home", "w.bin"));
    symlinkSync(folder, join(folder, "home", "up"));
    for (const location of ["w.bin", `up/${secret}`]) {
      writeReferring({ location });
      expect(await refusal()).toMatchObject({
        code: "malformed",
        message: expect.stringMatching(/link that leads out/),
      });
    }
  });

  test.skipIf(process.platform === "win32")(
    "is refused for a pipe, without waiting for somebody to write into it",
    async () => {
      execFileSync("mkfifo", [join(folder, "home", "w.bin")]);
      writeReferring({ location: "w.bin" });
      expect((await refusal()).message).toMatch(/not a regular file/);
    },
  );
});

describe("a path that is no model", () => {
  test("says so: nothing there, a folder, an empty file", async () => {
    expect((await refusal()).code).toBe("not-found");
    await expect(loadModel(folder)).rejects.toMatchObject({ code: "io" });
    writeFileSync(model, "");
    expect(await refusal()).toMatchObject({ code: "malformed", message: expect.stringContaining("model.onnx") });
  });

  test("an invalid graph is not saved, and the old file stays", async () => {
    writeFileSync(model, "old");
    await expect(saveModel({ ...sum, nodes: [makeNode("Add", ["x", "nobody"], ["y"])] }, model)).rejects.toMatchObject({
      code: "invalid-graph",
    });
    expect(readFileSync(model, "utf8")).toBe("old");
  });
});

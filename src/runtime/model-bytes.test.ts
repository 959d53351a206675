import { mkdtempSync, readdirSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { edsr } from "../nets/edsr.js";
import { saveModel } from "./files.js";
import { modelBytes } from "./model-bytes.js";

test("a model is as large as its file and the files that its tensors lie in, and no others", async () => {
  const folder = mkdtempSync(join(tmpdir(), "filterbasis-bytes-"));
  try {
    const graph = edsr({ blocks: 1, width: 8, scale: 2 });
    const [whole, parted] = [join(folder, "whole.onnx"), join(folder, "parted.onnx")];
    await saveModel(graph, whole);
    expect(await modelBytes(whole)).toBe(statSync(whole).size);
    await saveModel(graph, parted, { external: "always" });
    const data = readdirSync(folder).find((name) => name.endsWith(".data"))!;
    expect(await modelBytes(parted)).toBe(statSync(parted).size + statSync(join(folder, data)).size);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});

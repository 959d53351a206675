// ONNX Runtime writes nothing to the terminal, whatever model it is given: its words are in our errors.
import { spawnSync } from "node:child_process";
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { float32Tensor, makeNode } from "../src/graph/attributes.js";
import type { Graph } from "../src/graph/types.js";
import { saveModel } from "../src/runtime/files.js";
import { noShared, shared } from "./shared.js";
import { smallGraph } from "./small-graphs.js";

const entry = new URL("../src/runtime/index.js", import.meta.url).href;

/**
 * Opens each file and runs it at a size that many networks refuse; what happens is printed, what is logged comes on
 * stderr.
 */
function runAll(files: readonly string[], runtime: string) {
  const program = `
    import { openSession, sampleFeeds } from ${JSON.stringify(entry)};
    for (const file of ${JSON.stringify(files)}) {
      try {
        const session = await openSession(file, { runtime: ${JSON.stringify(runtime)}, threads: 1 });
        await session.run(sampleFeeds(session.inputs, { side: 20 }));
        console.log("ran");
      } catch (error) {
        console.log(error.code, error.message);
      }
    }`;
  return spawnSync(process.execPath, ["--import", "tsx", "--input-type=module", "-e", program], { encoding: "utf8" });
}

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "filterbasis-quiet-"));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/**
 * A weight that is an input too is worth a warning to ONNX Runtime, a weight that nobody reads another, a wrong size an
 * error.
 */
async function talkative(): Promise<string> {
  const matrix = float32Tensor([7, 2], new Float32Array(14));
  const graph: Graph = {
    ...smallGraph({
      nodes: [makeNode("MatMul", ["x", "w"], ["y"], {}, { name: "product" })],
      initializers: { w: matrix, unread: matrix },
      inputs: ["x", "w"].map((name) => ({
        name,
        tensor: { type: "float32", dims: name === "x" ? ["N", "M"] : [7, 2] },
      })),
      outputs: ["y"],
    }),
    irVersion: 4,
  };
  const file = join(folder, "talkative.onnx");
  await saveModel(graph, file);
  return file;
}

describe.each(["node", "web"])("onnxruntime-%s", (runtime) => {
  test("warnings and errors stay off the terminal", async () => {
    const { stdout, stderr } = runAll([await talkative()], runtime);
    expect(stderr).toBe("");
    expect(stdout).toMatch(/^runtime .*node "product".*MatMul dimension mismatch/);
  });

  const folders = ["wild", "data/models", "cases"].flatMap((name) => shared(name) ?? []);
  test.skipIf(folders.length === 0)(`so they do for real networks ${folders.length > 0 ? "" : `(${noShared})`}`, () => {
    const files = folders.flatMap((at) =>
      readdirSync(at)
        .filter(
          (name) =>
            name.endsWith(".onnx") && (runtime === "node" || /quant|vad|SINet|axis1|norank|RFB|face/.test(name)),
        )
        .filter((name) => !/candy/.test(name)) // seconds a run, and it says nothing
        .map((name) => join(at, name)),
    );
    const { stdout, stderr } = runAll(files, runtime);
    expect(stderr).toBe("");
    const lines = stdout.trimEnd().split("\n");
    expect(lines).toHaveLength(files.length);
    for (const line of lines) expect(line).toMatch(/^(ran|[a-z-]+ .*)$/);
    expect(stdout).not.toMatch(new RegExp(`${String.fromCharCode(27)}|\\.cc:\\d|ONNXRuntimeError`));
  });
});

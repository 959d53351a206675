// Arrays of images that have the network's size need no image library: where sharp does not load they are compared on
// all the same, and what does need it says so.
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import compare from "../src/cli/compare.js";
import { resizeImage } from "../src/data/codec.js";
import { openData } from "../src/data/table.js";
import { withMetadata } from "../src/graph/index.js";
import { buildNet } from "../src/nets/table.js";
import { saveModel } from "../src/runtime/files.js";
import { npy, npz } from "./arrays.js";

vi.mock("sharp", () => {
  throw new Error("no sharp here");
});

let root: string;
const at = (name: string) => join(root, name);
const cache = process.env.FILTERBASIS_CACHE;
beforeAll(async () => {
  root = mkdtempSync(join(tmpdir(), "filterbasis-without-sharp-"));
  process.env.FILTERBASIS_CACHE = at("cache");
  const net = buildNet("resnet", { depth: 8, widths: [4, 4, 4], classes: 2, init: "kaiming" });
  await saveModel(withMetadata(net, { "filterbasis.normalize": "cifar10" }), at("net.onnx"));
  const images = Uint8Array.from({ length: 8 * 3 * 32 * 32 }, (_, i) => (i * 7 + (i >> 5)) % 256);
  const labels = BigInt64Array.from([0, 1, 0, 1, 0, 1, 0, 1].map(BigInt));
  const [x, y] = [npy("|u1", [8, 3, 32, 32], images), npy("<i8", [8], labels)];
  writeFileSync(at("images.npz"), npz({ x_train: x, y_train: y, x_test: x, y_test: y }));
});
afterAll(() => {
  if (cache === undefined) delete process.env.FILTERBASIS_CACHE;
  else process.env.FILTERBASIS_CACHE = cache;
  rmSync(root, { recursive: true, force: true });
});

async function ask(...line: readonly string[]) {
  let [stdout, stderr] = ["", ""];
  const code = await compare.run([...line, "--data", at("images.npz"), "--threads", "1", "--no-latency", "--json"], {
    stdout: { write: (text) => void (stdout += text) },
    stderr: { write: (text) => void (stderr += text) },
    signal: new AbortController().signal,
  });
  return { code, stderr, json: JSON.parse(stdout) };
}

test("arrays in the size that the network takes are compared on; those of another size name sharp", async () => {
  const { code, json, stderr } = await ask(at("net.onnx"), at("net.onnx"));
  expect([code, json.inputs], stderr).toEqual([0, 8]);
  const small = { size: { width: 16, height: 16 } };
  const data = await openData(at("images.npz"));
  await expect(data.inputs({ ...small, size: { width: 32, height: 32 } })).resolves.toMatchObject({ count: 8 });
  await expect(data.inputs(small)).rejects.toThrow("sharp does not load");
});

test.each(["fill", "contain", "cover"] as const)("an image that has its size is not touched by %s", async (fit) => {
  const image = { width: 5, height: 3, channels: 1, data: Uint8Array.from({ length: 15 }, (_, i) => i) } as const;
  expect(await resizeImage(image, { width: 5, height: 3, fit })).toBe(image);
});

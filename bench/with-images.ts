// What images are worth: ResNet-20 at the same budgets with filters alone and with 256 images without labels; top-1
// error on the 10,000 test images of CIFAR-10. The public network is looked for in FILTERBASIS_SHARED, else in `shared`
// beside the project. Run: npm run bench:with-images
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import compress from "../src/cli/compress.js";
import { evaluateModel } from "../src/evaluate/evaluate.js";
import { shared } from "../test/shared.js";
import { writeResult } from "./result.js";

const model = shared("data/models/resnet20-bn.onnx");
if (model === undefined) throw new Error("resnet20-bn.onnx is not here");
const normalize = "imagenet";
const folder = await mkdtemp(join(tmpdir(), "filterbasis-with-images-"));

const errorOf = async (file: string) => {
  const { top1Error } = await evaluateModel(file, { data: "cifar10", normalize, latency: false });
  return top1Error!;
};

async function compressed(...options: readonly string[]): Promise<string> {
  const out = join(folder, "out.onnx");
  let printed = "";
  const code = await compress.run([model!, "-o", out, ...options, "--json"], {
    stdout: { write: (text) => void (printed += text) },
    stderr: process.stderr,
    signal: new AbortController().signal,
  });
  if (code !== 0) throw new Error(`compress ${options.join(" ")}: ${printed}`);
  return out;
}

try {
  const rows: object[] = [];
  for (const keepParams of [0.5, 0.35, 0.25]) {
    const budget = ["--keep-params", String(keepParams)];
    const alone = await errorOf(await compressed(...budget));
    const withImages = await errorOf(await compressed(...budget, "--data", "cifar10", "--normalize", normalize));
    rows.push({ keepParams, alone, withImages });
    process.stderr.write(`${keepParams}: ${alone.toFixed(2)} % alone, ${withImages.toFixed(2)} % with images\n`);
  }
  await writeResult("bench-with-images", "npm run bench:with-images", {
    ...{ network: "resnet20", images: 256, seed: 0, original: await errorOf(model), rows },
  });
} finally {
  await rm(folder, { recursive: true, force: true });
}

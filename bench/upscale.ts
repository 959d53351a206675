// What upscaling a 4K image takes: seconds, and the most memory the process ever held. In tiles, so that it stays under
// 2 GB. usage: npm run bench:upscale [-- --model FILE]      writes results/bench-upscale.json
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { parseArgs } from "node:util";
import { upscaleFile } from "../src/evaluate/upscale-file.js";
import { someImage, writePng } from "../test/images.js";
import { writeResult } from "./result.js";

const { values } = parseArgs({ options: { model: { type: "string", default: "weights/edsr-8-56-x2.onnx" } } });
const [width, height] = [3840, 2160];

const folder = await mkdtemp(join(tmpdir(), "filterbasis-upscale-"));
try {
  const image = join(folder, "4k.png");
  await writePng(image, someImage(width, height, { seed: 1 }));
  const before = process.resourceUsage().maxRSS * 1024;
  const { to, tiles, overlap, exact, seconds, bytes } = await upscaleFile(values.model, image, join(folder, "8k.png"));
  const peakBytes = process.resourceUsage().maxRSS * 1024;
  const row = {
    model: basename(values.model),
    from: [width, height],
    to,
    tiles,
    overlap,
    exact,
    seconds,
    bytes,
    peakBytesBefore: before,
    peakBytes,
  };
  await writeResult("bench-upscale", "npm run bench:upscale", { rows: [row] });
  console.log(
    `${row.model}: ${width} x ${height} -> ${to.join(" x ")}, ${tiles} tiles, ${seconds.toFixed(0)} s, at most ${(peakBytes / 2 ** 30).toFixed(2)} GiB`,
  );
} finally {
  await rm(folder, { recursive: true, force: true });
}

// Several processes of a launcher calibrate one compression: the moments are summed over them.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { numbers } from "../src/graph/values.js";
import { resnet } from "../src/nets/resnet.js";
import { loadModel, saveModel } from "../src/runtime/files.js";
import { meetingFile } from "../src/torch/launcher.js";
import { describeEngine } from "./engine.js";
import { allEnded, program, startMember, writeImages } from "./groups.js";

let root: string;
beforeAll(async () => {
  root = mkdtempSync(join(tmpdir(), "filterbasis-together-"));
  await writeImages(root);
});
afterAll(() => rmSync(root, { recursive: true, force: true }));

describeEngine("a calibration by several processes", () => {
  const compress = (model: string, output: string, data: string): readonly string[] => [
    ...[...program(), "compress", model, "-o", output, "--data", data],
    ...["--keep-params", "0.6", "--images", "16"],
  ];
  const own = (name: string) => ({ FILTERBASIS_CACHE: join(root, name) });

  /** As `--processes` has it: they meet at a file, for a port may be taken by the time they come. */
  const together = (rank: number, meeting: string) => ({
    ...{ RANK: `${rank}`, WORLD_SIZE: "2", LOCAL_RANK: `${rank}`, OMP_NUM_THREADS: "1" },
    [meetingFile]: join(root, meeting),
  });

  it("gives what one process gives, and only the first one speaks", { timeout: 120_000 }, async () => {
    const model = join(root, "model.onnx");
    await saveModel(resnet(8, { widths: [8, 8, 16], classes: 2 }), model);
    const [one, two] = [join(root, "one.onnx"), join(root, "two.onnx")];
    const words = compress(model, two, join(root, "train"));
    const ended = await allEnded([
      startMember(0, compress(model, one, join(root, "train")), own("alone")),
      ...[0, 1].map((rank) => startMember(rank, words, { ...together(rank, "two"), ...own(`cache${rank}`) })),
    ]);
    expect(ended.map(({ code, said }) => (code === 0 ? "" : said))).toEqual(["", "", ""]);
    expect(ended[1]!.said).toContain(`wrote ${two}`);
    expect(ended[2]!.said).toBe("");
    const [expected, found] = await Promise.all([loadModel(one), loadModel(two)]);
    expect([...found.initializers.keys()]).toEqual([...expected.initializers.keys()]);
    for (const [name, tensor] of found.initializers) {
      const wanted = numbers(expected.initializers.get(name)!);
      numbers(tensor).forEach((value, i) => {
        expect(value, name).toBeCloseTo(wanted[i]!, 4);
      });
    }
  });

  it("of other images is an error on all of them", { timeout: 120_000 }, async () => {
    const model = join(root, "model.onnx");
    const ended = await allEnded(
      ["train", "test"].map((data, rank) =>
        startMember(rank, compress(model, join(root, "none.onnx"), join(root, data)), {
          ...together(rank, "others"),
          ...own("others"),
        }),
      ),
    );
    expect(ended.map(({ code }) => code)).toEqual([1, 1]);
    expect(ended[1]!.said).toMatch(/error data-mismatch: process 1 has another network, or other images/);
    expect(ended[0]!.said).toMatch(/error [a-z-]+: .*other images/);
  });
});

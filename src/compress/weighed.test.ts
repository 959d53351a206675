// Which output decides how much layers count, and what of the cache is believed.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { randomTensor, smallGraph } from "../../test/small-graphs.js";
import { openCalibrationCache } from "../calibrate/cache.js";
import { calibrate } from "../calibrate/calibrated.js";
import type { CalibrationImages, Values } from "../calibrate/engine.js";
import { ortEngine } from "../calibrate/ort-engine.js";
import { ints, makeNode } from "../graph/attributes.js";
import { Random } from "../linalg/random.js";
import type { CalibratedJob } from "./plan-calibrated.js";
import { weighed } from "./weighed.js";

const made = smallGraph({
  nodes: [
    makeNode("Conv", ["x", "w"], ["b"], { pads: ints([1, 1, 1, 1]) }),
    makeNode("Conv", ["b", "v"], ["y"], { pads: ints([1, 1, 1, 1]) }),
    makeNode("ArgMax", ["y"], ["class"], {}),
  ],
  initializers: { w: randomTensor([4, 3, 3, 3], 1), v: randomTensor([4, 4, 3, 3], 2) },
  inputs: [{ name: "x", tensor: { type: "float32", dims: [1, 3, 6, 6] } }],
  outputs: ["class", "y"],
});
const graph = {
  ...made,
  outputs: [
    { name: "class", tensor: { type: "int64" as const, dims: [1, 1, 6, 6] } },
    { name: "y", tensor: { type: "float32" as const, dims: [1, 4, 6, 6] } },
  ],
};
const random = new Random("weighed");
const pixels = Array.from({ length: 4 }, () => randomTensor([1, 3, 6, 6], random.int(1000)));
const images: CalibrationImages = {
  count: 4,
  key: "four",
  feeds: (first): Values => ({ x: pixels[first]! }),
};
const engine = ortEngine();
const jobOf = (output?: string) =>
  ({ prepared: graph, engine, data: { batch: 1 }, hooks: {}, ...(output && { output }) }) as unknown as CalibratedJob;
const calibration = await calibrate(graph, images, engine, { batch: 1, candidates: { families: ["one-split"] } });
const counts = async (output?: string): Promise<readonly (number | undefined)[]> =>
  (await weighed(jobOf(output), calibration, images)).layers.map(({ sensitivity }) => sensitivity);

let folder = "";
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "filterbasis-weighed-"));
  vi.stubEnv("FILTERBASIS_CACHE", folder);
});
afterEach(() => {
  vi.unstubAllEnvs();
  rmSync(folder, { recursive: true, force: true });
});

describe("how much layers count", () => {
  test("is told by the first output of floats, and the same from the cache", async () => {
    const first = await counts();
    expect(first.every((value) => value! > 0)).toBe(true);
    expect(await counts("y")).toEqual(first);
  });

  test("is alike where the output that decides is of integers, or not there", async () => {
    expect(await counts("class")).toEqual([undefined, undefined]);
    expect(await counts("z")).toEqual([undefined, undefined]);
  });

  test("is measured anew where what was kept is of other layers", async () => {
    const first = await counts();
    const cache = openCalibrationCache(graph, images, engine)!;
    const settings = JSON.stringify([1, "y", undefined, calibration.layers.map(({ choices }) => choices.length)]);
    expect(Object.keys((await cache.sensitivities(settings))!).sort()).toEqual(["v", "w"]);
    await cache.keepSensitivities(settings, { "another layer": 1 });
    expect(await counts()).toEqual(first);
  });
});

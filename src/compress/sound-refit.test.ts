// A refit is only kept where the network as a whole is not the worse for it.
import { expect, test } from "vitest";
import { randomTensor, smallGraph } from "../../test/small-graphs.js";
import { calibrate, compressCalibrated, planByMacs } from "../calibrate/calibrated.js";
import type { CalibrationImages, Values } from "../calibrate/engine.js";
import { ortEngine } from "../calibrate/ort-engine.js";
import { ints, makeNode } from "../graph/attributes.js";
import { soundRefit } from "./sound-refit.js";

const same = { pads: ints([1, 1, 1, 1]) };
const graph = smallGraph({
  nodes: [makeNode("Conv", ["x", "w"], ["b"], same), makeNode("Conv", ["b", "v"], ["y"], same)],
  initializers: { w: randomTensor([4, 3, 3, 3], 1), v: randomTensor([4, 4, 3, 3], 2) },
  inputs: [{ name: "x", tensor: { type: "float32", dims: [1, 3, 6, 6] } }],
  outputs: ["y"],
});
const pixels = [1, 2, 3, 4].map((seed) => randomTensor([1, 3, 6, 6], seed));
const images: CalibrationImages = { count: 4, feeds: (first): Values => ({ x: pixels[first]! }) };
const engine = ortEngine();
const calibration = await calibrate(graph, images, engine, { batch: 1, candidates: { families: ["one-split"] } });
const { chosen } = planByMacs(calibration, 0.6);
const refitted = await compressCalibrated(calibration, chosen, images, engine, { refit: { batch: 1 } });

async function kept(losses: readonly number[]) {
  const [left, notes, most] = [[...losses], [] as string[], [] as (number | undefined)[]];
  const job = {
    engine,
    data: { all: { batch: 1 } } as never,
    hooks: { note: (text: string) => void notes.push(text) },
    lossOf: async (_: unknown, count?: number) => {
      most.push(count);
      return left.shift()!;
    },
  };
  const found = await soundRefit({ calibration, chosen }, refitted, job, images);
  return { refit: found === refitted, notes, most };
}

test("a refit by which the network clearly loses more is not kept, and that is told", async () => {
  expect(await kept([0.08, 0.99])).toMatchObject({
    refit: false,
    notes: [expect.stringMatching(/worse.*0\.990.*0\.0800/)],
  });
  expect(await kept([0.08, 0.1])).toEqual({ refit: true, notes: [], most: [4, 4] });
  expect(await kept([0, 1 / 32])).toMatchObject({ refit: true }); // one of few images is chance
  expect(await kept([-0.01, -0.02])).toMatchObject({ refit: true });
  expect(await kept([0.08, Number.NaN])).toMatchObject({ refit: false });
  expect(await kept([Number.NaN, Number.NaN])).toEqual({ refit: true, notes: [], most: [4, 4] }); // nothing is told
});

test("what nothing compares is taken as it is", async () => {
  const job = { engine, data: { all: { batch: 1 } } as never, hooks: {} };
  expect(await soundRefit({ calibration, chosen }, refitted, job, images)).toBe(refitted);
});

// The networks that ship: small enough, they run, and they reach the metrics that results/ states for them.
import { readFileSync, statSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import { evaluateModel } from "../src/evaluate/evaluate.js";
import { cost } from "../src/ops/cost/cost.js";
import { loadModel } from "../src/runtime/files.js";
import { openSession, sampleFeeds } from "../src/runtime/index.js";
import { noShared, shared } from "./shared.js";

const file = (path: string) => fileURLToPath(new URL(`../${path}`, import.meta.url));
const result = (name: string) =>
  JSON.parse(readFileSync(file(`results/${name}.json`), "utf8")) as {
    readonly weights: number;
    readonly parameters?: number;
    /** The parameters, in results of 0.1. */
    readonly all?: number;
    readonly metrics?: Readonly<Record<string, number>>;
    /** The metrics, in results of 0.1. */
    readonly figures?: Readonly<Record<string, number>>;
  };

describe.each([
  ["resnet20", "resnet20-cifar10", "filterbasis.normalize", "cifar10", [1, 10], 3e6],
  ["vgg16-half", "vgg16-half-cifar10", "filterbasis.normalize", "cifar10", [1, 10], 8e6],
  ["edsr-8-56-x2", "edsr-8-56-x2", "filterbasis.scale", "2", [1, 3, 64, 64], 3e6],
])("weights/%s.onnx", (name, recorded, convention, value, dims, most) => {
  const path = file(`weights/${name}.onnx`);

  test(`is under ${most / 1e6} MB, has the counts of its result, says how it is to be used, and runs`, async () => {
    expect(statSync(path).size).toBeLessThan(most);
    const graph = await loadModel(path);
    const { weights, parameters } = cost(graph);
    const stated = result(recorded);
    expect([weights, parameters]).toEqual([stated.weights, stated.parameters ?? stated.all]);
    expect(graph.metadata.get(convention)).toBe(value);
    expect(graph.metadata.get("filterbasis.trained")).toContain(`results/${recorded}.json`);
    const session = await openSession(path);
    const [output] = Object.values(
      await session.run(sampleFeeds(session.inputs, { shapes: new Map([[session.inputs[0]!.name, [1, 3, 32, 32]]]) })),
    );
    await session.release();
    expect(output!.dims).toEqual(dims);
  });
});

const set5 = shared("data/set5");

test.skipIf(set5 === undefined)(
  `EDSR reaches on Set5 what its result states, 3 dB above bicubic${set5 ? "" : ` (${noShared})`}`,
  async () => {
    const { psnr, bicubic } = await evaluateModel(file("weights/edsr-8-56-x2.onnx"), { data: set5!, latency: false });
    const stated = result("edsr-8-56-x2");
    expect(Math.abs(psnr! - (stated.metrics ?? stated.figures)!.psnr!)).toBeLessThan(1e-3);
    expect(psnr! - bicubic!.psnr).toBeGreaterThan(3);
  },
  120_000,
);

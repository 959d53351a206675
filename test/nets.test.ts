// Every kind of network and every architecture method, small: out as ONNX, evaluated by ONNX Runtime, back, and one
// step of training.
import { describe, expect, it } from "vitest";
import { methodPass } from "../src/methods/methods.js";
import { buildNet, nets } from "../src/nets/table.js";
import { verifyGraph } from "../src/ops/verify/verify.js";
import { describeEngine } from "./engine.js";
import { checkNet } from "./net-checks.js";

const classification = "classification";
const superResolution = "super-resolution";
const small = [
  ["vgg16", { widthDivisor: 8 }, { method: "none" }, classification],
  ["vgg16", { widthDivisor: 8, norm: "none" }, { method: "none" }, classification],
  ["vgg16", { widthDivisor: 8 }, { method: "basis-scratch", preset: "vgg", basis: 12, channels: 16 }, classification],
  ["vgg16", { widthDivisor: 8 }, { method: "factor", preset: "vgg" }, classification],
  ["vgg16", { widthDivisor: 8 }, { method: "group", preset: "vgg", channelsPerGroup: 8 }, classification],
  ["resnet", { depth: 8 }, { method: "none" }, classification],
  ["resnet", { depth: 8, shortcut: "stride", stemBias: false }, { method: "none" }, classification],
  [
    "resnet",
    { depth: 8 },
    { method: "basis-scratch", preset: "resnet", basis: { "16": 6, "32": 12, "64": 20 }, splits: 2 },
    classification,
  ],
  [
    "resnet",
    { depth: 8 },
    { method: "basis-scratch", preset: "resnet", basis: 12, coefficientKernel: 3, layout: "split" },
    classification,
  ],
  ["resnet", { depth: 8 }, { method: "factor", preset: "resnet", layers: 3 }, classification],
  ["resnet", { depth: 8 }, { method: "group", preset: "resnet", channelsPerGroup: 4 }, classification],
  ["densenet", { depth: 10 }, { method: "none" }, classification],
  ["densenet", { depth: 16, bottleneck: true, reduction: 0.5 }, { method: "none" }, classification],
  [
    "densenet",
    { depth: 10 },
    { method: "basis-scratch", preset: "densenet", basis: 10, transition: 6 },
    classification,
  ],
  [
    "densenet",
    { depth: 10 },
    { method: "basis-scratch", preset: "densenet", basis: 10, slice: "last", splits: 2, layout: "grouped" },
    classification,
  ],
  ["densenet", { depth: 10 }, { method: "factor", preset: "densenet" }, classification],
  ["densenet", { depth: 10 }, { method: "group", preset: "densenet", groups: 3 }, classification],
  ["srresnet", { blocks: 1, width: 8, scale: 3 }, { method: "none" }, superResolution],
  [
    "srresnet",
    { blocks: 1, width: 8, scale: 4 },
    { method: "basis-scratch", preset: "srresnet", basis: 5, channels: 4, share: "block" },
    superResolution,
  ],
  ["srresnet", { blocks: 1, width: 8, scale: 2 }, { method: "factor", preset: "srresnet" }, superResolution],
  ["edsr", { blocks: 1, width: 8, scale: 4, resScale: 0.1 }, { method: "none" }, superResolution],
  [
    "edsr",
    { blocks: 2, width: 8, scale: 2 },
    { method: "basis-scratch", preset: "edsr", basis: 3, channels: 2, share: "block" },
    superResolution,
  ],
  ["edsr", { blocks: 1, width: 8, scale: 3 }, { method: "factor", preset: "edsr", layers: 1 }, superResolution],
] as const;

describeEngine("networks", () => {
  it.each(small)(
    "%s %j with %j goes out, is evaluated, comes back and is trained",
    async (name, options, { method, ...given }, task) => {
      const plain = buildNet(name, options);
      const pass = method === "none" ? undefined : methodPass(method, given);
      const { graph, outcomes } = pass?.(plain) ?? { graph: plain, outcomes: [] };
      verifyGraph(graph);
      if (pass !== undefined) expect(outcomes.some(({ applied }) => applied)).toBe(true);
      await checkNet(graph, task);
    },
  );
});

describe("the table of networks", () => {
  it("refuses names, options and presets that are not known, by name", () => {
    expect(() => buildNet("resnet57")).toThrow(/no network "resnet57"/);
    expect(() => buildNet("resnet20", { scale: 2 })).toThrow(/scale/);
    expect(() => buildNet("edsr", { scale: 5 })).toThrow(/scale/);
    expect(() => methodPass("factor", { preset: "vg" })).toThrow(/preset: .*"vgg"/);
    expect(() => buildNet("resnet20", { init: "xavier" })).toThrow(/init/);
  });

  it("builds every network without options", () => {
    for (const name of Object.keys(nets)) {
      const blocks = name === "edsr" ? { blocks: 2 } : {}; // whole, it is built where the counts are checked
      verifyGraph(buildNet(name, { init: "zeros", ...blocks }));
    }
  });
});

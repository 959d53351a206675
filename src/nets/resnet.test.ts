import { describe, expect, it } from "vitest";
import { elements } from "../graph/attributes.js";
import { resnet } from "./resnet.js";

const weights = (graph: ReturnType<typeof resnet>) =>
  [...graph.initializers]
    .filter(([, t]) => t.type === "float32" && t.dims.length > 1)
    .reduce((n, [, t]) => n + elements(t.dims), 0);

describe("resnet", () => {
  it("has the authors' 848,944 weights at depth 56", () => {
    expect(weights(resnet(56, { init: "zeros" }))).toBe(848_944);
  });

  it("names parameters as the authors' state dict does", () => {
    const names = [...resnet(20, { init: "zeros" }).initializers.keys()];
    expect(names).toContain("features.0.0.bias");
    expect(names).toContain("features.3.2.body.4.running_var");
    expect(resnet(20, { init: "zeros", stemBias: false }).initializers.has("features.0.0.bias")).toBe(false);
  });

  it("is the same for the same seed, and every parameter keeps its values when the network changes elsewhere", () => {
    const bytes = (graph: ReturnType<typeof resnet>, name: string) => graph.initializers.get(name)?.data;
    const name = "features.2.0.body.0.weight";
    expect(bytes(resnet(20), name)).toEqual(bytes(resnet(20), name));
    expect(bytes(resnet(20), name)).toEqual(bytes(resnet(56), name));
    expect(bytes(resnet(20), name)).not.toEqual(bytes(resnet(20, { seed: 2 }), name));
  });

  it("refuses a depth that is not 6 n + 2", () => {
    expect(() => resnet(21)).toThrow(/no ResNet for CIFAR has this depth/);
  });
});

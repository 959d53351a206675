// Local functions in the interpreter: unfolded, with attributes, and those that call themselves.
import { expect, test } from "vitest";
import { engine, feed, graph, real, skipNote, thrown } from "../../test/network-graphs.js";
import { float, makeNode } from "../graph/attributes.js";
import type { Attribute, LocalFunction } from "../graph/types.js";
import { TensorScope } from "../torch/scope.js";
import { Network } from "./network.js";

engine(`local functions${skipNote}`, () => {
  const scaled: LocalFunction = {
    domain: "local",
    name: "Scaled",
    overload: "",
    inputs: ["a", "w"],
    outputs: ["out", "a"],
    attributes: [],
    defaults: new Map([["slope", float(0.5)]]),
    nodes: [
      makeNode("MatMul", ["a", "w"], ["t"]),
      {
        ...makeNode("LeakyRelu", ["t"], ["out"]),
        attributes: new Map([["alpha", { kind: "reference", value: "slope", origin: undefined }]]),
      },
    ],
    opsets: new Map([["", 17]]),
  };
  const calls = (attributes: Readonly<Record<string, Attribute>>) =>
    makeNode("Scaled", ["x", "w"], ["y", "z"], attributes, { domain: "local" });

  test("are unfolded: attributes given or by default, weights are trained under their own names", () => {
    for (const [attributes, slope] of [
      [{}, 0.5],
      [{ slope: float(0.25) }, 0.25],
    ] as const) {
      const whole = graph({
        nodes: [calls(attributes)],
        constants: { w: real([1, 1], -2) },
        outputs: ["y", "z"],
        functions: [scaled],
      });
      using network = new Network(whole);
      using _scope = new TensorScope();
      const outputs = network.forward(feed([1, 1], 3));
      expect(outputs.get("y")!.item()).toBe(-6 * slope);
      expect(outputs.get("z")!.item()).toBe(3);
      expect([...network.parameters.keys()]).toEqual(["w"]);
    }
  });

  test("that call themselves are a typed error", () => {
    const endless: LocalFunction = {
      ...scaled,
      nodes: [makeNode("Scaled", ["a", "w"], ["out", "u"], {}, { domain: "local" })],
    };
    const whole = graph({
      nodes: [calls({})],
      constants: { w: real([1, 1], 1) },
      outputs: ["y"],
      functions: [endless],
    });
    expect(thrown(() => new Network(whole)).code).toBe("invalid-graph");
  });
});

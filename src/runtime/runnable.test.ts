// Models that ONNX Runtime cannot open are told apart before anything is done with them.
import { describe, expect, test } from "vitest";
import { noShared, shared } from "../../test/shared.js";
import { smallGraph } from "../../test/small-graphs.js";
import { makeNode } from "../graph/attributes.js";
import { checkRunnable } from "./runnable.js";

const foreign = (nodes: number) => ({
  ...smallGraph({
    nodes: Array.from({ length: nodes }, (_, i) =>
      makeNode(
        "Quant",
        [i === 0 ? "x" : `h${i - 1}`],
        [i === nodes - 1 ? "y" : `h${i}`],
        {},
        { name: `q${i}`, domain: "elsewhere" },
      ),
    ),
    initializers: {},
    outputs: ["y"],
  }),
  opsets: new Map([
    ["", 17],
    ["elsewhere", 1],
  ]),
});

describe.each(["node", "web"] as const)("onnxruntime-%s", (runtime) => {
  test("tells the ports of a model that it can open", async () => {
    const relu = smallGraph({ nodes: [makeNode("Relu", ["x"], ["y"])], initializers: {}, outputs: ["y"] });
    const { inputs, outputs } = await checkRunnable(relu, { runtime, threads: 1 });
    expect([inputs[0]?.name, outputs[0]?.name]).toEqual(["x", "y"]);
  });

  test("names the operator, its domain, how many nodes need it and the first of them", async () => {
    await expect(checkRunnable(foreign(3), { runtime, threads: 1 })).rejects.toMatchObject({
      code: "unsupported",
      problem: "ONNX Runtime has no operator Quant of domain elsewhere: 3 nodes need it",
      place: { op: "Quant", node: "q0" },
    });
  });

  test("names an opset that it does not know yet, and the highest that it does", async () => {
    const relu = smallGraph({ nodes: [makeNode("Relu", ["x"], ["y"])], initializers: {}, outputs: ["y"], opset: 99 });
    await expect(checkRunnable(relu, { runtime, threads: 1 })).rejects.toMatchObject({
      code: "unsupported",
      got: "99",
      expected: expect.stringMatching(/^at most \d+$/),
    });
  });
});

const quantised = shared("wild/espcn_nnresize_quant.onnx");
test.skipIf(!quantised)(
  `a model with operators of a training framework is named as such ${quantised ? "" : `(${noShared})`}`,
  async () => {
    await expect(checkRunnable(quantised!, { threads: 1 })).rejects.toMatchObject({
      code: "unsupported",
      place: { op: "Quant" },
      cures: [expect.stringContaining("onnx.brevitas")],
    });
  },
);

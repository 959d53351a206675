// Real networks, trained and exported elsewhere: each keeps a budget or says the least that can be reached, every
// convolution is either compressed or skipped with a reason, and ONNX Runtime computes what the filters say.
import { describe, expect, test } from "vitest";
import { isError } from "../src/errors/error.js";
import { readModel, writeModel } from "../src/formats/onnx/index.js";
import { nodeName } from "../src/graph/attributes.js";
import { basis } from "../src/methods/basis.js";
import { expand } from "../src/methods/expand.js";
import { readRecord } from "../src/methods/record.js";
import { cost } from "../src/ops/cost/cost.js";
import { verifyGraph } from "../src/ops/verify/verify.js";
import { foldBatchNorm } from "../src/passes/fold-batch-norm.js";
import { loadModel } from "../src/runtime/files.js";
import { openSession, referenceOf, sampleFeeds, verifyModel } from "../src/runtime/index.js";
import { noShared, shared } from "./shared.js";

const names = [
  "vdsr",
  "imdn_x2",
  "imdn_x4",
  "rfdn_x4",
  "rlfn_x4",
  "version-RFB-320",
  "resnet20",
  "resnet20-bn",
  "resnet56",
];
/** These must meet the budget; the others may say that they cannot. */
const must = new Set(["vdsr", "imdn_x2", "imdn_x4", "rfdn_x4"]);

describe.skipIf(shared("data/models/vdsr.onnx") === undefined)(
  `at 60 % of the weights (else skipped: ${noShared})`,
  () => {
    test.each(names)("%s", { timeout: 300_000 }, async (name) => {
      const original = foldBatchNorm(await loadModel(shared(`data/models/${name}.onnx`)!)).graph;
      const before = cost(original);
      let result: ReturnType<ReturnType<typeof basis>>;
      try {
        result = basis({ keepParams: 0.6, layout: "dense" })(original);
      } catch (error) {
        if (must.has(name) || !isError(error, "budget-unreachable")) throw error;
        expect(error.message).toMatch(/the least reachable is 0\.\d+/);
        return;
      }
      const { graph, outcomes } = result;
      verifyGraph(graph);
      const ratio = cost(graph).weights / before.weights;
      expect(ratio).toBeLessThanOrEqual(0.6);
      expect(ratio).toBeGreaterThan(0.58);
      const convolutions = original.nodes.filter(({ op }) => op === "Conv").map(nodeName);
      const told = new Map(outcomes.map(({ layer, reason }) => [layer, reason]));
      for (const conv of convolutions) expect(told.get(conv), conv).toMatch(/\w{3}/);
      expect(readRecord(graph)!.layers.length).toBe(outcomes.filter(({ applied }) => applied).length);
      const dense = expand(graph).graph;
      const session = await openSession(dense, { threads: 1 });
      const feeds = sampleFeeds(session.inputs, { side: 24 });
      await session.release();
      const { maxDifference } = await verifyModel(
        readModel(writeModel(graph)),
        await referenceOf(dense, [feeds], { threads: 1 }),
        1e-4,
        { threads: 1 },
      );
      expect(maxDifference).toBeLessThan(1e-4);
    });
  },
);

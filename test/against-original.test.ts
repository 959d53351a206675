// Real networks against themselves: folded, rebuilt and written in every layout they agree with the original; with a
// fault they do not.
import { describe, expect, test } from "vitest";
import { layouts } from "../src/basis/layouts.js";
import type { Graph } from "../src/graph/types.js";
import { floats, tensorOf } from "../src/graph/values.js";
import { basis } from "../src/methods/basis.js";
import { expand } from "../src/methods/expand.js";
import { chooseLayouts } from "../src/methods/layout.js";
import { concreteInputs } from "../src/ops/cost/cost.js";
import { foldBatchNorm } from "../src/passes/fold-batch-norm.js";
import { compareWithOriginal, requireAgreement, worstOutput } from "../src/runtime/agreement.js";
import { loadModel } from "../src/runtime/files.js";
import { prepareReference, type ReferenceSet } from "../src/runtime/reference.js";
import { noShared, shared } from "./shared.js";

const sizes = (graph: Graph) => concreteInputs(graph, new Map());

/** A reference, and the graph that it is of. */
async function prepared(file: string): Promise<{ readonly graph: Graph; readonly reference: ReferenceSet }> {
  const graph = await loadModel(file);
  return { graph, reference: await prepareReference(file, { shapes: sizes(graph), threads: 1 }) };
}

function onFile(name: string, title: string, run: (file: string) => Promise<void>, slow = false): void {
  const file = shared(name);
  const why =
    file === undefined ? noShared : slow && process.env.FILTERBASIS_FULL !== "1" ? "minutes; set FILTERBASIS_FULL" : "";
  test.skipIf(why !== "")(`${name}: ${title}${why && ` (skipped: ${why})`}`, () => run(file!), 300_000);
}

describe("exact steps pass", () => {
  const models = [
    "cases/heatmap.onnx",
    "cases/noise2.onnx",
    "cases/const_bn.onnx",
    "cases/full_fp16.onnx",
    "wild/ppocrv3_det.onnx",
    "wild/selfie_landscape.onnx",
    "wild/basic_pitch_nmp.onnx",
    "data/models/resnet20-bn.onnx",
  ];
  for (const name of [...models, "wild/candy.onnx"]) {
    const title = "folding batch norms, and every layout of a compressed model against its dense expansion";
    onFile(
      name,
      title,
      async (file) => {
        const { graph, reference } = await prepared(file);
        const folded = foldBatchNorm(graph).graph;
        requireAgreement(await compareWithOriginal(folded, reference, { kind: "exact" }));
        const compressed = basis({ keepParams: 0.7 })(folded).graph;
        const dense = await prepareReference(expand(compressed).graph, { threads: 1, feeds: reference.feeds });
        for (const layout of layouts)
          requireAgreement(
            await compareWithOriginal(chooseLayouts(() => layout)(compressed).graph, dense, { kind: "exact" }),
            layout,
          );
        const approximate = await compareWithOriginal(compressed, reference, { kind: "approximate" });
        expect(approximate.agrees).toBe(true);
        if (!reference.still) expect(worstOutput(approximate)!.relative).toBeGreaterThan(1e-3);
      },
      name === "wild/candy.onnx",
    );
  }
});

describe("faults are found", () => {
  const changed = (graph: Graph, name: string, change: (values: Float64Array) => void): Graph => {
    const { type, dims } = graph.initializers.get(name)!;
    const values = Float64Array.from(floats(graph.initializers.get(name)!));
    change(values);
    return { ...graph, initializers: new Map(graph.initializers).set(name, tensorOf(type, dims, values)) };
  };
  const largest = (values: Float64Array) =>
    values.reduce((best, value, i) => (Math.abs(value) > Math.abs(values[best]!) ? i : best), 0);
  const models = ["resnet20-bn.onnx", "version-RFB-320.onnx"].map((name) => `data/models/${name}`);
  for (const name of [
    ...models,
    "wild/gtcrn.onnx",
    "wild/mnist_cntk_8.onnx",
    "cases/heatmap.onnx",
    "cases/noise2.onnx",
  ]) {
    onFile(name, "one weight changed by 1 %, a dropped bias, swapped channels", async (file) => {
      const { graph, reference } = await prepared(file);
      const layers = graph.nodes.filter(
        ({ op, inputs }) => op === "Conv" && (graph.initializers.get(inputs[1]!)?.dims[0] ?? 0) > 1,
      );
      for (const { inputs } of [layers[0]!, layers[layers.length >> 1]!]) {
        const [, weight = "", bias = ""] = inputs;
        const filter = floats(graph.initializers.get(weight)!).length / graph.initializers.get(weight)!.dims[0]!;
        const wrong = [
          changed(graph, weight, (values) => (values[largest(values)]! *= 1.01)),
          changed(graph, weight, (values) =>
            values.set([...values.subarray(filter, 2 * filter), ...values.subarray(0, filter)]),
          ),
          ...(graph.initializers.has(bias) ? [changed(graph, bias, (values) => values.fill(0))] : []),
        ];
        for (const [i, one] of wrong.entries())
          expect((await compareWithOriginal(one, reference, { kind: "exact" })).agrees, `${weight} ${i}`).toBe(false);
      }
    });
  }

  onFile(
    "cases/bn_train9.onnx",
    "batch norm that normalises by the batch, taken for one that does not",
    async (file) => {
      const { graph, reference } = await prepared(file);
      const wrong = graph.nodes.map((node) =>
        node.op === "BatchNormalization" ? { ...node, outputs: node.outputs.slice(0, 1) } : node,
      );
      const agreement = await compareWithOriginal({ ...graph, nodes: wrong }, reference, { kind: "exact" });
      expect(() => requireAgreement(agreement)).toThrow(/does not compute what the original does/);
    },
  );
});

describe("what is fed and what is compared", () => {
  onFile(
    "wild/ppocrv3_det.onnx",
    "a text detector that is silent for noise gets inputs in which it finds something",
    async (file) => {
      const { reference } = await prepared(file);
      expect(reference.rules[0]).toMatchObject({ state: "compared" });
      const spread = reference.outputs.map((outputs) => {
        const values = floats(Object.values(outputs)[0]!);
        return (
          values.reduce((most, value) => Math.max(most, value), 0) -
          values.reduce((least, value) => Math.min(least, value), 1)
        );
      });
      expect(Math.max(...spread)).toBeGreaterThan(0.1);
    },
  );

  onFile("cases/noise2.onnx", "its random operator is named", async (file) => {
    const { reference, graph } = await prepared(file);
    expect(reference.random).toEqual(["nz (RandomNormalLike)"]);
    const { outputs, compared } = await compareWithOriginal(graph, reference, { kind: "exact" });
    expect(outputs).toMatchObject([{ output: "y", state: "random", reason: "it depends on nz (RandomNormalLike)" }]);
    expect(compared).toBe(0);
  });

  onFile("wild/unity_maze.onnx", "its constants and its drawn action are no agreement", async (file) => {
    const { reference, graph } = await prepared(file);
    const { outputs } = await compareWithOriginal(graph, reference, { kind: "exact" });
    const states = Object.fromEntries(outputs.map(({ output, state }) => [output, state]));
    expect(states).toEqual({
      version_number: "constant",
      memory_size: "constant",
      discrete_actions: "random",
      discrete_action_output_shape: "constant",
    });
  });
});

// Real pretrained networks, written by real exporters: the interpreter's outputs against ONNX Runtime's, at two batch
// and image sizes.
import { readFileSync } from "node:fs";
import { afterAll, describe, expect, test } from "vitest";
import { readModel } from "../src/formats/onnx/index.js";
import { elements, float32Tensor } from "../src/graph/attributes.js";
import type { Graph, TensorData } from "../src/graph/types.js";
import { Network } from "../src/interpreter/network.js";
import { tensorFrom } from "../src/interpreter/operators/values.js";
import { compareOutputs } from "../src/runtime/compare.js";
import { openSession } from "../src/runtime/open.js";
import { noGrad, setThreads, TensorScope, unloadableReason } from "../src/torch/index.js";
import { noShared, shared } from "./shared.js";

/** ONNX Runtime's Sigmoid is approximate; everything else is nearer. */
const tolerance = 1e-4;

const index = shared("data/models/models.json");
const listed =
  index === undefined ? [] : (JSON.parse(readFileSync(index, "utf8")) as { models: { file: string }[] }).models;
const names = listed.filter(({ file }) => file.endsWith(".onnx"));
const reason = index === undefined ? noShared : unloadableReason();

/** Sizes for the free axes: batch, height, width. */
const sizes = [
  [2, 24, 24],
  [3, 16, 28],
] as const;

/**
 * A soft pattern with a little noise in [0, 1], the same every time: pure noise would leave a restoration network
 * nothing to do.
 */
function image(graph: Graph, free: readonly number[]): { readonly name: string; readonly data: TensorData } {
  const { name, tensor } = graph.inputs.find((input) => !graph.initializers.has(input.name))!;
  const dims = tensor!.dims!.map((dim, i) => (typeof dim === "number" ? dim : free[i === 0 ? 0 : i - 1]!));
  const width = dims[3]!;
  let state = 99;
  const values = Float32Array.from({ length: elements(dims) }, (_, i) => {
    state = (state * 1103515245 + 12345) % 2147483648;
    return 0.5 + 0.4 * Math.sin((i % width) / 3) * Math.cos(Math.floor(i / width) / 4) + 0.05 * (state / 2147483648);
  });
  return { name, data: float32Tensor(dims, values) };
}

describe.skipIf(reason !== undefined)(
  `pretrained networks in the interpreter${reason === undefined ? "" : ` (${reason})`}`,
  () => {
    if (reason === undefined) setThreads(2);
    const worst: string[] = [];
    afterAll(() => console.log(worst.join("\n")));
    for (const { file } of names) {
      test(`${file} computes what ONNX Runtime computes`, async () => {
        const bytes = new Uint8Array(readFileSync(shared(`data/models/${file}`)!));
        const graph = readModel(bytes);
        using network = new Network(graph);
        const session = await openSession(bytes, { threads: 2 });
        for (const free of sizes) {
          const { name, data } = image(graph, free);
          const expected = await session.run({ [name]: data });
          using _scope = new TensorScope();
          const given = noGrad(() => network.forward(new Map([[name, tensorFrom(data)]])));
          const got: Record<string, TensorData> = {};
          for (const [output, value] of given) got[output] = float32Tensor(value.shape, value.floats());
          const { relative } = compareOutputs(got, expected);
          worst.push(`${file} ${data.dims.join("x")}: ${relative.toExponential(1)} of the largest output`);
          expect(relative).toBeLessThan(tolerance);
          expect(Math.max(...Object.values(got).map(({ data: output }) => output.length))).toBeGreaterThan(0);
        }
        await session.release();
      });
    }
  },
);

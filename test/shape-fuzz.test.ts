// Shape inference against ONNX Runtime on operators with randomly drawn attributes, and against graphs broken at
// random.
import { readFileSync } from "node:fs";
import { InferenceSession, Tensor } from "onnxruntime-node";
import { describe, expect, it } from "vitest";
import { FilterBasisError, isError } from "../src/errors/error.js";
import { readModel, writeModel } from "../src/formats/onnx/index.js";
import { float, floats, int, ints, makeNode, string, tensor } from "../src/graph/attributes.js";
import { substitute } from "../src/graph/dims.js";
import { numbers } from "../src/graph/index.js";
import type { Attribute, Dim, Graph, Node } from "../src/graph/types.js";
import { Random } from "../src/linalg/random.js";
import { cost, inferShapes, verifyGraph } from "../src/ops/index.js";
import { foldBatchNorm } from "../src/passes/fold-batch-norm.js";
import { foldConstants } from "../src/passes/fold-constants.js";
import { removeDeadNodes } from "../src/passes/remove-unread.js";
import { noTestdata, testCases } from "./onnx-testdata.js";
import { type Draw, draws, i64, type Pick, pickers } from "./shape-draws.js";

const rounds = Number(process.env.FILTERBASIS_DRAWS ?? 25);

function graphOf(draw: Draw, symbolic: boolean): Graph {
  const outputs = Array.from({ length: draw.outputs ?? 1 }, (_, index) => `y${index}`);
  const type = draw.op === "ArgMax" || draw.op === "Shape" ? "int64" : "float32";
  return {
    name: "drawn",
    nodes: [makeNode(draw.op, draw.inputs, outputs, draw.attributes)],
    initializers: new Map(Object.entries(draw.constants)),
    inputs: [
      {
        name: "x",
        tensor: { type: "float32", dims: draw.shape.map((size, axis): Dim => (symbolic ? `d${axis}` : size)) },
      },
    ],
    outputs: outputs.map((name, index) => ({
      name,
      tensor: { type: draw.op === "TopK" && index === 1 ? "int64" : type },
    })),
    values: new Map(),
    opsets: new Map([["", draw.opset]]),
    irVersion: 8,
    metadata: new Map(),
  };
}

const attempt = (action: () => ReturnType<typeof inferShapes>): ReturnType<typeof inferShapes> | FilterBasisError => {
  try {
    return action();
  } catch (error) {
    if (isError(error)) return error;
    throw error;
  }
};

describe("shape inference agrees with ONNX Runtime on drawn attributes", () => {
  for (const [name, draw] of Object.entries(draws)) {
    it(
      name,
      async () => {
        const random = new Random(7);
        let ran = 0;
        for (let round = 0; round < rounds; round++) {
          const drawn = draw(pickers(random));
          const story = describeDraw(drawn);
          const outputs = await computed(graphOf(drawn, true), drawn.shape);
          if (outputs === undefined) continue;
          ran++;
          const concrete = attempt(() => inferShapes(graphOf(drawn, false)));
          const symbolic = attempt(() => inferShapes(graphOf(drawn, true)));
          const sizes = new Map(drawn.shape.map((size, axis): [string, Dim] => [`d${axis}`, size]));
          for (const [output, { type, dims }] of Object.entries(outputs)) {
            if (concrete instanceof FilterBasisError || symbolic instanceof FilterBasisError)
              throw new Error(`${story}: ${concrete} ${symbolic}; ONNX Runtime: ${dims}`);
            const inferred = concrete.get(output);
            expect(`${story}: ${inferred?.type}[${inferred?.dims}]`).toBe(`${story}: ${type}[${dims}]`);
            const general = symbolic.get(output)?.dims;
            if (general === undefined || drawn.large === false) continue;
            const filled = general.map((dim) => substitute(dim, sizes));
            if (filled.some((dim, axis) => dim !== null && dim !== dims[axis]))
              throw new Error(`${story}: ${general} for ${dims}`);
            expect(filled.length).toBe(dims.length);
          }
        }
        expect(ran).toBeGreaterThan(rounds / 5);
      },
      20_000 + rounds * 1000,
    );
  }
});

/** The call as one line, to be found again from a failure. */
function describeDraw({ op, opset, shape, attributes, constants }: Draw): string {
  const plain = (value: unknown) =>
    typeof value === "bigint" ? Number(value) : value instanceof Uint8Array ? new TextDecoder().decode(value) : value;
  const lists = Object.entries(constants).map(
    ([name, value]) => `${name} ${value.type === "int64" ? numbers(value) : `[${value.dims}]`}`,
  );
  return `${op} ${opset} on ${shape} ${JSON.stringify(Object.entries(attributes), (_, value) => plain(value))} ${lists.join(" ")}`;
}

/** What ONNX Runtime makes of it; undefined where it refuses the call. */
async function computed(graph: Graph, shape: readonly number[]) {
  try {
    verifyGraph(graph);
    const session = await InferenceSession.create(writeModel(graph), { logSeverityLevel: 4, intraOpNumThreads: 1 });
    try {
      const x = new Tensor("float32", new Float32Array(shape.reduce((a, b) => a * b, 1)), shape);
      return await session.run({ x });
    } finally {
      await session.release();
    }
  } catch (error) {
    if (error instanceof FilterBasisError && error.code !== "invalid-graph") throw error;
    return undefined;
  }
}

/** A graph with one thing changed that nobody checked. */
function broken(graph: Graph, { below, one, list }: Pick): Graph {
  const at = below(Math.max(1, graph.nodes.length));
  const change = (node: Node): Node => {
    const names = [...node.attributes.keys()];
    const name =
      names.length > 0 && below(2)
        ? one(...names)
        : one("axis", "axes", "pads", "perm", "k", "split", "kernel_shape", "group", "to", "shape");
    const value = one<Attribute>(
      int(below(20) - 10),
      ints(list(below(6), -5, 5)),
      float(-1),
      floats([1, Number.NaN]),
      string("?"),
      tensor(i64([3])),
      int(2 ** 60),
    );
    const act = below(4);
    if (act === 0) return { ...node, attributes: new Map([...node.attributes, [name, value]]) };
    if (act === 1) return { ...node, inputs: node.inputs.filter((_, index) => index !== below(4)) };
    if (act === 2) return { ...node, inputs: [...node.inputs].reverse() };
    return {
      ...node,
      op: one(
        "Conv",
        "Reshape",
        "Slice",
        "Concat",
        "Gather",
        "Split",
        "Resize",
        "MatMul",
        "BatchNormalization",
        "Constant",
        node.op,
      ),
    };
  };
  const inputs = graph.inputs.map((input) => {
    const dims = input.tensor?.dims?.map((dim) => (below(4) ? dim : one<Dim>(0, 1, 7, null, "N", -1, "a b", 2 ** 40)));
    return input.tensor === undefined || dims === undefined
      ? input
      : { ...input, tensor: { ...input.tensor, dims: below(5) ? dims : dims.slice(1) } };
  });
  return {
    ...graph,
    inputs,
    nodes: graph.nodes.map((node, index) => (index === at ? change(node) : node)),
    opsets: new Map([["", one(7, 9, 11, 13, 18, 21)]]),
  };
}

const cases = testCases();

describe.skipIf(cases.length === 0)(`broken graphs${cases.length === 0 ? ` (${noTestdata})` : ""}`, () => {
  it("end in typed errors or results, never in anything else", () => {
    const random = new Random(11);
    const counts = { result: 0, error: 0 };
    for (const test of cases.filter((_, index) => index % 6 === 0)) {
      const graph = readModel(new Uint8Array(readFileSync(test.model)), { verify: false });
      for (let round = 0; round < Math.ceil(rounds / 5); round++) {
        const bad = broken(graph, pickers(random));
        for (const act of [inferShapes, cost, foldBatchNorm, foldConstants(), removeDeadNodes]) {
          try {
            act(bad);
            counts.result++;
          } catch (error) {
            if (!isError(error))
              throw new Error(`${test.name}: ${act.name}: ${error instanceof Error ? error.stack : error}`);
            counts.error++;
          }
        }
      }
    }
    expect(counts.error).toBeGreaterThan(100);
    expect(counts.result).toBeGreaterThan(100);
  });
});

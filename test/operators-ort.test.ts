// Random windows, pads and resizes: the interpreter against ONNX Runtime, whose reading of the corner cases is the one
// that counts.
import { describe, expect, test } from "vitest";
import { isError } from "../src/errors/error.js";
import { writeModel } from "../src/formats/onnx/index.js";
import { elements, float, float32Tensor, int, int64Tensor, ints, makeNode, string } from "../src/graph/attributes.js";
import type { Attribute, Graph, TensorData } from "../src/graph/types.js";
import { Network } from "../src/interpreter/network.js";
import { tensorFrom } from "../src/interpreter/operators/values.js";
import { Random } from "../src/linalg/random.js";
import { compareOutputs } from "../src/runtime/compare.js";
import { openSession } from "../src/runtime/open.js";
import { noGrad, setThreads, TensorScope, unloadableReason } from "../src/torch/index.js";

interface Sample {
  readonly op: string;
  readonly dims: readonly number[];
  readonly attributes: Readonly<Record<string, Attribute>>;
  /** Further inputs; undefined where one is left out. */
  readonly constants: readonly (TensorData | undefined)[];
  readonly opset?: number;
}

type Draw = (random: Random) => Sample;

const whole = (random: Random, low: number, high: number): number => low + Math.floor(random.next() * (high - low + 1));
const pick = <T>(random: Random, list: readonly T[]): T => list[whole(random, 0, list.length - 1)]!;
const many = (count: number, draw: () => number): number[] => Array.from({ length: count }, draw);
const noise = (random: Random, dims: readonly number[]): TensorData =>
  float32Tensor(
    dims,
    Float32Array.from({ length: elements(dims) }, () => random.next() * 2 - 1),
  );

function windowed(random: Random, rank: number): Record<string, Attribute> {
  const kernel = many(rank, () => whole(random, 1, 3));
  const auto = pick(random, ["NOTSET", "NOTSET", "NOTSET", "SAME_UPPER", "SAME_LOWER", "VALID"]);
  return {
    kernel_shape: ints(kernel),
    strides: ints(many(rank, () => whole(random, 1, 3))),
    ...(auto === "NOTSET"
      ? { pads: ints([...kernel, ...kernel].map((k) => whole(random, 0, k - 1))) }
      : { auto_pad: string(auto) }),
  };
}

const spatial = (random: Random, rank: number): number[] => many(rank, () => whole(random, 5, 9));
const kernelOf = (attributes: Record<string, Attribute>): number[] => {
  const { kernel_shape: kernel } = attributes;
  return kernel?.kind === "ints" ? kernel.value.map(Number) : [];
};

const draws: Readonly<Record<string, Draw>> = {
  Conv: (random) => {
    const rank = whole(random, 1, 3);
    const group = pick(random, [1, 2]);
    const window = windowed(random, rank);
    // ONNX Runtime refuses automatic pads with dilations.
    const widest = "auto_pad" in window ? 1 : 2;
    const attributes = { ...window, dilations: ints(many(rank, () => whole(random, 1, widest))), group: int(group) };
    const constants = [
      noise(random, [4, 4 / group, ...kernelOf(attributes)]),
      random.next() < 0.5 ? noise(random, [4]) : undefined,
    ];
    return { op: "Conv", dims: [2, 4, ...spatial(random, rank)], attributes, constants };
  },
  ConvTranspose: (random) => {
    const rank = whole(random, 1, 2);
    const strides = many(rank, () => whole(random, 1, 3));
    const kernel = many(rank, () => whole(random, 1, 3));
    const group = pick(random, [1, 2]);
    const pads = [...kernel, ...kernel].map((k) => whole(random, 0, k - 1));
    const extra = strides.map((s) => whole(random, 0, s - 1));
    const attributes = {
      kernel_shape: ints(kernel),
      strides: ints(strides),
      pads: ints(pads),
      output_padding: ints(extra),
      group: int(group),
    };
    return {
      op: "ConvTranspose",
      dims: [1, 4, ...spatial(random, rank)],
      attributes,
      constants: [noise(random, [4, 3, ...kernel]), noise(random, [3 * group])],
    };
  },
  MaxPool: (random) => {
    const rank = whole(random, 1, 3);
    const attributes = {
      ...windowed(random, rank),
      ceil_mode: int(whole(random, 0, 1)),
      dilations: ints(many(rank, () => whole(random, 1, 2))),
    };
    return { op: "MaxPool", dims: [1, 2, ...spatial(random, rank)], attributes, constants: [], opset: 12 };
  },
  AveragePool: (random) => {
    const rank = whole(random, 1, 3);
    const attributes = {
      ...windowed(random, rank),
      dilations: ints(many(rank, () => whole(random, 1, 2))),
      ceil_mode: int(whole(random, 0, 1)),
      count_include_pad: int(whole(random, 0, 1)),
    };
    return { op: "AveragePool", dims: [1, 2, ...spatial(random, rank)], attributes, constants: [], opset: 19 };
  },
  LpPool: (random) => ({
    op: "LpPool",
    dims: [1, 2, ...spatial(random, 2)],
    attributes: { ...windowed(random, 2), p: int(pick(random, [1, 2, 3])) },
    constants: [],
    opset: 11,
  }),
  Pad: (random) => {
    const mode = pick(random, ["constant", "reflect", "edge"]);
    const pads = many(8, () => whole(random, mode === "reflect" ? 0 : -1, 2));
    return { op: "Pad", dims: [3, 3, 4, 5], attributes: { mode: string(mode) }, constants: [int64Tensor([8], pads)] };
  },
  Resize: (random) => {
    const mode = pick(random, ["nearest", "linear", "cubic"]);
    const coordinates = pick(random, ["half_pixel", "pytorch_half_pixel", "align_corners", "asymmetric"]);
    const rounding = pick(random, ["round_prefer_floor", "round_prefer_ceil", "floor", "ceil"]);
    const attributes = {
      mode: string(mode),
      coordinate_transformation_mode: string(coordinates),
      ...(mode === "nearest" ? { nearest_mode: string(rounding) } : {}),
      ...(mode === "cubic"
        ? {
            cubic_coeff_a: float(pick(random, [-0.75, -0.5])),
            exclude_outside: int(coordinates === "half_pixel" ? whole(random, 0, 1) : 0),
          }
        : {}),
    };
    const scales = random.next() < 0.5;
    const sizes = int64Tensor([4], [1, 2, whole(random, 3, 12), whole(random, 3, 12)]);
    const factors = float32Tensor(
      [4],
      Float32Array.of(1, 1, pick(random, [0.5, 0.75, 1, 1.5, 2, 3]), pick(random, [0.5, 1, 1.25, 2, 4])),
    );
    return {
      op: "Resize",
      dims: [1, 2, 6, 8],
      attributes,
      constants: scales ? [undefined, factors] : [undefined, undefined, sizes],
      opset: 13,
    };
  },
  "Resize with antialiasing": (random) => {
    const attributes = {
      mode: string(pick(random, ["linear", "cubic"])),
      antialias: int(1),
      coordinate_transformation_mode: string("half_pixel"),
    };
    const sizes = int64Tensor([4], [1, 2, whole(random, 3, 12), whole(random, 3, 12)]);
    return { op: "Resize", dims: [1, 2, 9, 8], attributes, constants: [undefined, undefined, sizes], opset: 18 };
  },
  LRN: (random) => ({
    op: "LRN",
    dims: [2, 6, 3, 3],
    attributes: { size: int(pick(random, [1, 3, 5])), alpha: float(0.3), beta: float(0.6) },
    constants: [],
  }),
  Slice: (random) => {
    const bounds = () =>
      int64Tensor(
        [2],
        many(2, () => whole(random, -9, 9)),
      );
    const steps = int64Tensor(
      [2],
      many(2, () => pick(random, [-2, -1, 1, 2])),
    );
    return {
      op: "Slice",
      dims: [5, 6],
      attributes: {},
      constants: [bounds(), bounds(), int64Tensor([2], [0, -1]), steps],
    };
  },
};

function graphOf({ op, dims, attributes, constants, opset = 13 }: Sample): Graph {
  const initializers = new Map(constants.flatMap((data, i) => (data === undefined ? [] : [[`c${i}`, data] as const])));
  return {
    name: op,
    nodes: [makeNode(op, ["x", ...constants.map((data, i) => (data === undefined ? "" : `c${i}`))], ["y"], attributes)],
    initializers,
    inputs: [{ name: "x", tensor: { type: "float32", dims } }],
    outputs: [{ name: "y", tensor: { type: "float32" } }],
    values: new Map(),
    opsets: new Map([["", opset]]),
    irVersion: 8,
    metadata: new Map(),
  };
}

/** What ONNX Runtime gives, or undefined where it refuses the model or the run. */
async function reference(graph: Graph, x: TensorData): Promise<Record<string, TensorData> | undefined> {
  try {
    const session = await openSession(writeModel(graph), { threads: 1 });
    try {
      return await session.run({ x });
    } finally {
      await session.release();
    }
  } catch (error) {
    if (isError(error)) return undefined;
    throw error;
  }
}

const reason = unloadableReason();

describe.skipIf(reason !== undefined)(`random attributes${reason === undefined ? "" : ` (${reason})`}`, () => {
  if (reason === undefined) setThreads(1);
  const rounds = Number(process.env.FILTERBASIS_ROUNDS ?? 25);
  for (const [name, draw] of Object.entries(draws)) {
    test(`${name} computes what ONNX Runtime computes`, async () => {
      const random = new Random(11);
      let compared = 0;
      const wrong: string[] = [];
      for (let round = 0; round < rounds; round++) {
        const sample = draw(random);
        const graph = graphOf(sample);
        const x = noise(random, sample.dims);
        const expected = await reference(graph, x);
        if (expected === undefined) continue;
        compared++;
        const reason = compare(graph, x, expected);
        const attributes = Object.entries(sample.attributes).map(
          ([key, { kind, ...rest }]) =>
            `${key}=${kind === "string" ? new TextDecoder().decode((rest as { value: Uint8Array }).value) : (rest as { value: unknown }).value}`,
        );
        if (reason !== undefined) wrong.push(`[${sample.dims}] ${attributes.join(" ")}: ${reason}`);
      }
      expect(wrong).toEqual([]);
      expect(compared).toBeGreaterThan(rounds / 2);
    });
  }
});

function compare(graph: Graph, x: TensorData, expected: Record<string, TensorData>): string | undefined {
  try {
    using network = new Network(graph);
    using _scope = new TensorScope();
    const y = noGrad(() => network.forward(new Map([["x", tensorFrom(x)]]))).get("y")!;
    const { relative } = compareOutputs({ y: float32Tensor(y.shape, y.floats()) }, expected);
    // Both sum in float32, in different orders.
    return relative < 1e-5 ? undefined : `differs by ${relative.toExponential(1)}`;
  } catch (error) {
    if (isError(error)) return error.message;
    throw error;
  }
}

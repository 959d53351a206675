// A model's bytes run in ONNX Runtime on seeded inputs, and outputs compared with what computing in another order may
// change.
import { InferenceSession, Tensor } from "onnxruntime-node";
import { halfToFloat } from "../src/graph/values.js";
import { Random } from "../src/linalg/random.js";

export type Outputs = Readonly<Record<string, Tensor>>;
export type RunFeeds = Readonly<Record<string, Tensor>>;

/** What a model computes, and how far from it another that computes the same may be: by output, absolute. */
export interface Expected {
  readonly feeds: RunFeeds;
  readonly outputs: Outputs;
  readonly allowed: ReadonlyMap<string, number>;
  /** It computes in half precision. */
  readonly half: boolean;
}

/** Normal numbers for float32 inputs. */
export function feedsOf(shapes: ReadonlyMap<string, readonly number[]>, seed: number): RunFeeds {
  const random = new Random(seed);
  return Object.fromEntries(
    [...shapes].map(([name, dims]) => {
      const count = dims.reduce((product, dim) => product * dim, 1);
      return [
        name,
        new Tensor(
          "float32",
          Float32Array.from({ length: count }, () => random.normal()),
          dims,
        ),
      ];
    }),
  );
}

export async function run(model: Uint8Array, feeds: RunFeeds, level: "all" | "disabled" = "all"): Promise<Outputs> {
  const session = await InferenceSession.create(model, {
    logSeverityLevel: 4,
    intraOpNumThreads: 1,
    graphOptimizationLevel: level,
  });
  try {
    return await session.run(feeds);
  } finally {
    await session.release();
  }
}

/** float32 sums in another order, and weights rounded once more, relative to an output's largest value. */
const floatFloor = 1e-4;
/**
 * The same where everything is computed, or weights are rounded, in half precision: eight units in the last of its 11
 * bits.
 */
const halfFloor = 8 * 2 ** -11;

/**
 * How far inputs are moved to see what rounding does: 16 units in the last place of float32; 2 of half precision, which
 * has few.
 */
const nudges = { float: 1e-6, half: 2 ** -10 };

/**
 * Runs the original. Allowed is, besides the floor, what ONNX Runtime's own rewriting changes (16 times: ours come on
 * top), and what inputs that are off by some units in the last place do to it (4 times): networks that blow up rounding
 * errors, as a normalisation in training mode over nearly equal values, do so to both alike. `rounded`: what is
 * compared stores weights of its own in half precision.
 */
export async function expectedOf(model: Uint8Array, feeds: RunFeeds, half: boolean, rounded = half): Promise<Expected> {
  const outputs = await run(model, feeds);
  const unoptimised = await run(model, feeds, "disabled");
  const by = half ? nudges.half : nudges.float;
  const moved = await run(
    model,
    Object.fromEntries(Object.entries(feeds).map(([name, tensor]) => [name, nudged(tensor, by)])),
  );
  const allowed = Object.entries(outputs).map(([name, output]): [string, number] => {
    const largest = numbersIn(output).reduce((most, value) => Math.max(most, Math.abs(value)), 0);
    const floor = (rounded ? halfFloor : floatFloor) * largest + 1e-7;
    return [name, floor + 16 * distance(unoptimised[name]!, output) + 4 * distance(moved[name]!, output)];
  });
  return { feeds, outputs, allowed: new Map(allowed), half };
}

const nudged = (tensor: Tensor, by: number): Tensor =>
  new Tensor(
    "float32",
    (tensor.data as Float32Array).map((value, index) => value * (index % 2 === 0 ? 1 + by : 1 - by)),
    tensor.dims,
  );

/** The outputs that are not those expected, one line each. */
export function differences(got: Outputs, { outputs, allowed }: Expected): readonly string[] {
  return Object.entries(outputs).flatMap(([name, output]) => {
    const other = got[name];
    if (other === undefined) return [`${name} is missing`];
    if (`${other.dims}` !== `${output.dims}`)
      return [`${name} is ${other.dims.join("x")}, not ${output.dims.join("x")}`];
    const far = distance(other, output);
    return far <= allowed.get(name)!
      ? []
      : [`${name} is ${far.toExponential(2)} off, ${allowed.get(name)!.toExponential(2)} allowed`];
  });
}

/** The largest difference of two elements; infinite where one is not finite and the other is. */
function distance(a: Tensor, b: Tensor): number {
  const [left, right] = [numbersIn(a), numbersIn(b)];
  let most = 0;
  for (const [index, value] of left.entries()) {
    const other = right[index]!;
    if (Object.is(value, other)) continue;
    const far = Math.abs(value - other);
    most = Math.max(most, Number.isNaN(far) ? Number.POSITIVE_INFINITY : far);
  }
  return most;
}

const numbersIn = ({ type, data }: Tensor): ArrayLike<number> & Float64Array =>
  Float64Array.from(data as Float32Array, type === "float16" ? halfToFloat : Number);

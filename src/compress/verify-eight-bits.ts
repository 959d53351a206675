// A network in eight bits is verified against its own simulation in floats: every value rounded as the file says,
// nothing computed in integers. Values half-way between two steps may go either way, and one that does moves others:
// how far that goes is measured on the simulation itself, with its steps moved by a rounding of float32.
import type { Engine } from "../calibrate/engine.js";
import { FilterBasisError } from "../errors/error.js";
import type { Graph, TensorData } from "../graph/types.js";
import { isFloat, tensorOf } from "../graph/values.js";
import { differences } from "../runtime/differences.js";
import { type Feeds, openSession, type SessionOptions } from "../runtime/index.js";

export interface EightBitsVerified {
  /** Root mean square difference of file and simulation, relative to the output's; of the worst output. */
  readonly difference: number;
  /** What it may be: `moved` four times, or half of what rounding to eight bits changes, whichever is more. */
  readonly allowed: number;
  /** Difference of the simulation from itself with steps moved. */
  readonly moved: number;
  /** Difference of the simulation from the float network. */
  readonly rounding: number;
  readonly output: string;
}

type Outputs = Readonly<Record<string, TensorData>>;

/** By which part steps are moved. */
const nudge = 2 ** -20;
const multiple = 4;
/** Sums in floats are off by this much where nothing is rounded. */
const floor = 2 ** -16;

/** @throws FilterBasisError `verification-failed` where the file does not compute what its simulation does */
export async function verifyEightBits(
  file: string | Graph,
  quantized: Graph,
  float: Graph,
  feeds: readonly Feeds[],
  engine: Engine,
  options: SessionOptions = {},
): Promise<EightBitsVerified> {
  const simulated = await run(engine, quantized, feeds);
  const moved = await run(engine, nudgedSteps(quantized), feeds);
  const exact = await run(engine, float, feeds);
  const session = await openSession(file, options);
  const written: Outputs[] = [];
  try {
    for (const one of feeds) written.push(await session.run(one));
  } finally {
    await session.release();
  }
  let worst: EightBitsVerified | undefined;
  for (const { name } of quantized.outputs) {
    if (!simulated.every((outputs) => outputs[name] !== undefined && isFloat(outputs[name].type))) continue;
    const by = (others: readonly Outputs[]): number => relative(others, simulated, name);
    const [difference, noise, rounding] = [by(written), by(moved), by(exact)];
    const allowed = Math.max(multiple * noise, rounding / 2, floor);
    const one = { difference, allowed, moved: noise, rounding, output: name };
    if (worst === undefined || difference / allowed > worst.difference / worst.allowed) worst = one;
  }
  if (worst === undefined) return { difference: 0, allowed: 0, moved: 0, rounding: 0, output: "" };
  if (worst.difference <= worst.allowed) return worst;
  throw new FilterBasisError("verification-failed", "the model does not compute what its simulation does", {
    ...(typeof file === "string" ? { file } : {}),
    tensor: worst.output,
    expected: `off by at most ${worst.allowed.toPrecision(3)} of the output (rms)`,
    got: worst.difference.toPrecision(3),
    cures: ["--target x86-avx2, where sums of products saturate"],
  });
}

async function run(engine: Engine, graph: Graph, feeds: readonly Feeds[]): Promise<readonly Outputs[]> {
  const opened = await engine.open(graph);
  try {
    const outputs: Outputs[] = [];
    for (const one of feeds) outputs.push(await opened.run(one));
    return outputs;
  } finally {
    await opened.close();
  }
}

/** Over all inputs; not finite differences count as infinite. */
function relative(got: readonly Outputs[], expected: readonly Outputs[], name: string): number {
  let [squares, scale] = [0, 0];
  for (const [i, outputs] of expected.entries()) {
    const found = differences(got[i]![name]!, outputs[name]!);
    if (found.notFinite > 0) return Number.POSITIVE_INFINITY;
    squares += found.rms ** 2 * found.count;
    scale += found.scale.rms ** 2 * found.count;
  }
  return squares === 0 ? 0 : Math.sqrt(squares / Math.max(scale, Number.MIN_VALUE));
}

/** The steps of activations a little larger and smaller in turn. */
function nudgedSteps(graph: Graph): Graph {
  const steps = new Set(graph.nodes.flatMap(({ op, inputs }) => (op === "QuantizeLinear" ? [inputs[1] ?? ""] : [])));
  const initializers = new Map(
    [...graph.initializers].map(([name, tensor], i) => {
      if (!steps.has(name) || tensor.type !== "float32") return [name, tensor] as const;
      const [scale = 1] = new Float32Array(tensor.data.slice().buffer);
      return [name, tensorOf("float32", tensor.dims, [scale * (1 + (i % 4 < 2 ? nudge : -nudge))])] as const;
    }),
  );
  return { ...graph, initializers };
}

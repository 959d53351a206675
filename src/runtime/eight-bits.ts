// What a processor does with products of eight bits, and how weights are to be rounded for it. Without VNNI an x86
// processor adds products in pairs into 16 bits, which saturate: 255 x 127 twice is more than 32,767.
import { int, makeNode } from "../graph/attributes.js";
import type { Graph } from "../graph/types.js";
import { floats, tensorOf } from "../graph/values.js";
import type { Machine } from "./machine.js";
import { openSession } from "./open.js";
import type { SessionOptions } from "./session.js";

/** Where a model is to run. */
export const targets = ["this", "x86-avx2", "x86-vnni", "arm", "wasm"] as const;
export type Target = (typeof targets)[number];

/**
 * Formats of weights for a target, the fastest first: full integers where sums are exact; where pairs saturate,
 * integers of seven bits, or unsigned ones, which are multiplied otherwise.
 */
export const weightFormatsFor: Readonly<Record<Exclude<Target, "this">, readonly ("int8" | "int7" | "uint8")[]>> = {
  "x86-avx2": ["int7", "uint8"],
  "x86-vnni": ["int8"],
  arm: ["int8"],
  wasm: ["int8"],
};

const sums = 64;
/** Largest activation and weight. */
const [activation, weight] = [255, 127];

/** A product of matrices whose sums are as large as eight bits allow. */
function largestSums(): Graph {
  const scalar = (type: "float32" | "uint8", value: number) => tensorOf(type, [], [value]);
  return {
    name: "sums",
    nodes: [
      makeNode("QuantizeLinear", ["x", "one", "zero"], ["q"]),
      makeNode("DequantizeLinear", ["q", "one", "zero"], ["d"]),
      makeNode("DequantizeLinear", ["w", "ones", "zeros"], ["f"], { axis: int(1) }),
      makeNode("MatMul", ["d", "f"], ["y"]),
    ],
    initializers: new Map([
      ["one", scalar("float32", 1)],
      ["zero", scalar("uint8", 0)],
      ["w", tensorOf("int8", [sums, sums], new Array<number>(sums * sums).fill(weight))],
      ["ones", tensorOf("float32", [sums], new Array<number>(sums).fill(1))],
      ["zeros", tensorOf("int8", [sums], new Array<number>(sums).fill(0))],
    ]),
    inputs: [{ name: "x", tensor: { type: "float32", dims: [1, sums] } }],
    outputs: [{ name: "y", tensor: { type: "float32", dims: [1, sums] } }],
    values: new Map(),
    opsets: new Map([["", 13]]),
    irVersion: 8,
    metadata: new Map(),
  };
}

/** Whether sums of products of eight bits are wrong here because pairs of them saturate: measured in ONNX Runtime. */
export async function saturatesPairs(options: SessionOptions = {}): Promise<boolean> {
  const session = await openSession(largestSums(), options);
  try {
    const x = tensorOf("float32", [1, sums], new Array<number>(sums).fill(activation));
    const { y } = await session.run({ x });
    return floats(y!).some((value) => value !== sums * activation * weight);
  } finally {
    await session.release();
  }
}

/** The target that this machine is, in the runtime asked for. */
export async function thisTarget(
  { instructions }: Pick<Machine, "instructions">,
  options: SessionOptions = {},
): Promise<Exclude<Target, "this">> {
  if (await saturatesPairs(options)) return "x86-avx2";
  if (options.runtime === "web") return "wasm";
  return instructions.some((name) => name.startsWith("asimd")) ? "arm" : "x86-vnni";
}

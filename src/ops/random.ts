// Operators that draw at random.
import { elements, int, makeNode, readFloat, readInt, readInts, tensor } from "../graph/attributes.js";
import { dataTypes, type Node } from "../graph/types.js";
import { numbers, tensorOf } from "../graph/values.js";
import { Random } from "../linalg/random.js";
import { calls, type Family, old } from "./operator.js";
import { input, type Rule } from "./rules/call.js";
import type { RandomRule, StillContext } from "./rules/random.js";
import { inPlace } from "./rules/reach.js";
import { likeWithType, typeNumber } from "./rules/shapes.js";

/** Dropout: the mask has the same shape. */
const dropout: Rule = (call) => {
  const { type, dims } = input(call, 0);
  return [
    { type, dims },
    { type: call.opset < 10 ? type : "bool", dims },
  ];
};

/** A fixed shape given by the attribute `shape` (RandomNormal, RandomUniform). */
const shapeAttribute: Rule = (call) => [
  { type: typeNumber(call, readInt(call.node, "dtype", 1)), dims: readInts(call.node, "shape", undefined) },
];

type Still = NonNullable<RandomRule["still"]>;

const coin: Still = (node, { fresh, type, constant }) => {
  const [input, output] = [node.inputs[0]!, node.outputs[0]!];
  const own = type(input);
  const above = fresh(`${output}.above`);
  return [
    makeNode("Greater", [input, constant(tensorOf(own, [], [0.5]))], [above]),
    makeNode("Cast", [above], [output], { to: int(readInt(node, "dtype", dataTypes.indexOf(own) + 1)) }),
  ];
};

const likeliest: Still = (node, { fresh, constant }) => {
  const [place, repeated] = [fresh("likeliest"), fresh("repeated")];
  const times = constant(tensorOf("int64", [2], [1, readInt(node, "sample_size", 1)]));
  return [
    makeNode("ArgMax", node.inputs, [place], { axis: int(1), keepdims: int(1) }),
    makeNode("Tile", [place, times], [repeated]),
    makeNode("Cast", [repeated], node.outputs, { to: int(readInt(node, "dtype", dataTypes.indexOf("int32") + 1)) }),
  ];
};

/** A point of the range of a uniform distribution. */
function between(node: Node, part: number): number {
  const low = readFloat(node, "low", 0);
  return low + part * (readFloat(node, "high", 1) - low);
}

/** The same numbers, of the stated shape, in every run. */
function drawn(node: Node, draw: (random: Random) => number): readonly Node[] {
  const dims = readInts(node, "shape", []);
  const random = new Random("still");
  const values = Float64Array.from({ length: elements(dims) }, () => draw(random));
  const type = dataTypes[readInt(node, "dtype", 1) - 1] ?? "float32";
  return [makeNode("Constant", [], node.outputs, { value: tensor(tensorOf(type, dims, values)) }, { name: node.name })];
}

/** One number everywhere, in the shape of the input. */
function like(node: Node, value: number, { fresh, type }: StillContext): readonly Node[] {
  const output = node.outputs[0]!;
  const stated = readInt(node, "dtype", 0);
  const own = stated > 0 ? (dataTypes[stated - 1] ?? "float32") : type(node.inputs[0]!);
  const shape = fresh(`${output}.shape`);
  return [
    makeNode("Shape", node.inputs, [shape]),
    makeNode("ConstantOfShape", [shape], [output], { value: tensor(tensorOf(own, [1], [value])) }, { name: node.name }),
  ];
}

/**
 * Since version 12 a flag among the inputs says whether it drops anything; a flag that is computed may say so. Without
 * its flag it drops nothing.
 */
const drops: RandomRule = {
  draws: (node, constant) => {
    const flag = node.inputs[2] ?? "";
    const known = flag === "" ? undefined : constant(flag);
    return flag !== "" && (known === undefined || numbers(known)[0] !== 0);
  },
  still: (node) => (node.inputs.length < 3 ? undefined : [{ ...node, inputs: node.inputs.slice(0, 2) }]),
};

const normal = (node: Node, random: Random): number =>
  readFloat(node, "mean", 0) + readFloat(node, "scale", 1) * random.normal();

export const randoms = {
  RandomNormal: {
    shapes: shapeAttribute,
    random: { still: (node) => drawn(node, (random) => normal(node, random)) },
  },
  RandomUniform: {
    shapes: shapeAttribute,
    random: { still: (node) => drawn(node, (random) => between(node, random.next())) },
  },
  RandomNormalLike: {
    shapes: likeWithType,
    random: {
      still: (node, context) => like(node, readFloat(node, "mean", 0) + readFloat(node, "scale", 1) / 2, context),
    },
  },
  RandomUniformLike: {
    shapes: likeWithType,
    random: { still: (node, context) => like(node, between(node, 0.75), context) },
  },
  Bernoulli: { shapes: likeWithType, random: { still: coin } },
  Multinomial: { random: { still: likeliest } },
  Dropout: {
    channels: "kept",
    signature: calls([1, 3], { is_test: "int", ratio: "float", seed: "int", ...old }, [1, 2]),
    shapes: dropout,
    reach: inPlace,
    random: drops,
    exact: "always",
    bounded: "first",
  },
} satisfies Family;

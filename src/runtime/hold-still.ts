// A graph whose random operators give fixed numbers instead, so that what depends on them can be compared after all: the same draws
// in the original and in what was made of it.
import { elements, int, makeNode, readFloat, readInt, readInts, tensor } from "../graph/attributes.js";
import { freshNames, replaceNodes, withInitializers } from "../graph/edit.js";
import { type DataType, dataTypes, type Graph, type Node, type TensorData } from "../graph/types.js";
import { tensorOf } from "../graph/values.js";
import { Random } from "../linalg/random.js";
import { inferShapes } from "../ops/infer.js";

/** What a replacement needs beside its node. */
interface Context {
  readonly fresh: (stem: string) => string;
  /** The type of a value, as far as it is known. */
  readonly type: (name: string) => DataType;
  /** Makes an initializer and gives its name. */
  readonly constant: (value: TensorData) => string;
}

/** The graph with every random operator of its main part replaced; undefined where it has an opset too old for that. */
export function heldStill(graph: Graph): Graph | undefined {
  const opset = graph.opsets.get("") ?? 1;
  if (opset < 9) return undefined; // no ConstantOfShape
  const types = typesOf(graph);
  const initializers = new Map<string, TensorData>();
  const fresh = freshNames(graph);
  const context: Context = {
    fresh,
    type: (name) => types.get(name)?.type ?? "float32",
    constant(value) {
      const name = fresh("still");
      initializers.set(name, value);
      return name;
    },
  };
  const replaced = new Map<Node, readonly Node[]>();
  for (const node of graph.nodes) {
    const still = node.domain === "" && Object.hasOwn(replacements, node.op) ? replacements[node.op]!(node, context) : undefined;
    if (still !== undefined) replaced.set(node, still);
  }
  return withInitializers(replaceNodes(graph, replaced), initializers);
}

function typesOf(graph: Graph): ReturnType<typeof inferShapes> {
  try {
    return inferShapes(graph);
  } catch {
    return new Map();
  }
}

type Replacement = (node: Node, context: Context) => readonly Node[] | undefined;

const replacements: Readonly<Record<string, Replacement>> = {
  RandomNormal: (node) => drawn(node, (random) => readFloat(node, "mean", 0) + readFloat(node, "scale", 1) * random.normal()),
  RandomUniform: (node) => drawn(node, (random) => between(node, random.next())),
  RandomNormalLike: (node, context) => like(node, readFloat(node, "mean", 0) + readFloat(node, "scale", 1) / 2, context),
  RandomUniformLike: (node, context) => like(node, between(node, 0.75), context),
  Bernoulli(node, { fresh, type, constant }) {
    const [input, output] = [node.inputs[0]!, node.outputs[0]!];
    const own = type(input);
    const above = fresh(`${output}.above`);
    return [
      makeNode("Greater", [input, constant(tensorOf(own, [], [0.5]))], [above]),
      makeNode("Cast", [above], [output], { to: int(readInt(node, "dtype", dataTypes.indexOf(own) + 1)) }),
    ];
  },
  Multinomial(node, { fresh, constant }) {
    const [likeliest, repeated] = [fresh("likeliest"), fresh("repeated")];
    const times = constant(tensorOf("int64", [2], [1, readInt(node, "sample_size", 1)]));
    return [
      makeNode("ArgMax", node.inputs, [likeliest], { axis: int(1), keepdims: int(1) }),
      makeNode("Tile", [likeliest, times], [repeated]),
      makeNode("Cast", [repeated], node.outputs, { to: int(readInt(node, "dtype", dataTypes.indexOf("int32") + 1)) }),
    ];
  },
  /** Without its flag it drops nothing. */
  Dropout: (node) => (node.inputs.length < 3 ? undefined : [{ ...node, inputs: node.inputs.slice(0, 2) }]),
};

/** A point of the range of a uniform distribution. */
function between(node: Node, share: number): number {
  const low = readFloat(node, "low", 0);
  return low + share * (readFloat(node, "high", 1) - low);
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
function like(node: Node, value: number, { fresh, type }: Context): readonly Node[] {
  const output = node.outputs[0]!;
  const stated = readInt(node, "dtype", 0);
  const own = stated > 0 ? (dataTypes[stated - 1] ?? "float32") : type(node.inputs[0]!);
  const shape = fresh(`${output}.shape`);
  return [
    makeNode("Shape", node.inputs, [shape]),
    makeNode("ConstantOfShape", [shape], [output], { value: tensor(tensorOf(own, [1], [value])) }, { name: node.name }),
  ];
}

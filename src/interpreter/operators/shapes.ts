// Constants, shapes and types: operators whose results are mostly known before libtorch is asked.
import { readFloat, readInt, readTensor } from "../../graph/attributes.js";
import { type DataType, dataTypes } from "../../graph/types.js";
import { numbers } from "../../graph/values.js";
import { call, create, type Tensor } from "./aten.js";
import { Host, hostInts, hostLimit } from "./host.js";
import { bounded } from "./limits.js";
import { type Lowering, type LoweringContext, refuse, type Value } from "./lowering.js";
import { dimsOf, type EngineType, engineType, first, numbersOf, scalarOf, tensor } from "./values.js";

const shape: Lowering = ({ node }) => {
  const start = readInt(node, "start", 0);
  const end = readInt(node, "end", undefined);
  return (inputs) => hostInts(dimsOf(inputs[0]).slice(start, end));
};

const size: Lowering = () => (inputs) => new Host("int64", [], [dimsOf(inputs[0]).reduce((a, b) => a * b, 1)]);

/** The element type in an attribute; a typed refusal where libtorch has none. */
function typeAttribute(context: LoweringContext, name: string): DataType | undefined {
  const code = readInt(context.node, name, undefined);
  if (code === undefined) return undefined;
  const type = dataTypes[code - 1];
  if (type === undefined || engineType(type) === undefined)
    throw refuse(context, `the type ${type ?? code} is not one of libtorch's`);
  return type;
}

/** float16 is computed in float32, but a Cast to it rounds. */
const rounded = (x: Tensor): Tensor => call("to.dtype", call("to.dtype", x, "float16"), "float32");

const cast: Lowering = (context) => {
  const type = typeAttribute(context, "to");
  if (type === undefined) throw refuse(context, "no type is given");
  const engine = engineType(type)!;
  return (inputs) => (type === "float16" ? rounded(first(inputs)) : call("to.dtype", first(inputs), engine));
};

const castLike: Lowering = () => (inputs) => call("to.dtype", first(inputs), tensor(inputs[1]).dtype);

const constantOfShape: Lowering = (context) => {
  const value = readTensor(context.node, "value");
  const type = value?.type ?? "float32";
  const engine = engineType(type);
  if (engine === undefined) throw refuse(context, `the type ${type} is not one of libtorch's`);
  const fill = value === undefined ? 0 : (numbers(value)[0] ?? 0);
  return (inputs) => {
    const dims = bounded(numbersOf(inputs[0]));
    const count = dims.reduce((a, b) => a * b, 1);
    if (count <= hostLimit && Number.isFinite(fill)) return new Host(type, dims, new Array<number>(count).fill(fill));
    return create("full", engine, dims, fill);
  };
};

/** Range: from start, by delta, short of limit. */
const range: Lowering = () => (inputs) => {
  const [start, limit, delta] = [0, 1, 2].map((i) => scalarOf(inputs[i], 0)) as [number, number, number];
  const count = Math.max(0, Math.ceil((limit - start) / delta));
  const type = typeOf(inputs[0]!);
  bounded([count]);
  const steps = create("arange", type, count);
  return call("to.dtype", call("add.Scalar", call("mul.Scalar", steps, delta), start), type);
};

/** The engine's type of a value. */
function typeOf(value: Value): EngineType {
  return (value instanceof Host ? engineType(value.type) : value.dtype) as EngineType;
}

const eyeLike: Lowering = (context) => {
  const type = typeAttribute(context, "dtype");
  const k = readInt(context.node, "k", 0);
  return (inputs) => {
    const dims = dimsOf(inputs[0]);
    const dtype = type === undefined ? typeOf(inputs[0]!) : engineType(type)!;
    const ones = create("ones", "float32", bounded(dims));
    const diagonal = call("tril", call("triu", ones, k), k);
    return call("to.dtype", diagonal, dtype);
  };
};

/** Dropout: drops in training, or where its own training_mode says so; passes everything on otherwise. */
const dropout: Lowering = ({ node, opset, constants }) => {
  const stated = readFloat(node, "ratio", 0.5);
  const off = constants[2]?.values[0] === 0;
  const wantsMask = Boolean(node.outputs[1]);
  return (inputs, { training }) => {
    const x = first(inputs);
    const ratio = opset < 12 ? stated : scalarOf(inputs[1], 0.5);
    const drops = (training && !off) || scalarOf(inputs[2], 0) !== 0;
    if (!wantsMask) return drops ? call("dropout", x, ratio, true) : call("alias", x);
    const ones = call("ones_like", x);
    const mask = drops ? call("bernoulli.p", ones, 1 - ratio) : ones;
    const y = drops ? call("mul.Tensor", x, call("div.Scalar", mask, 1 - ratio)) : call("alias", x);
    return [y, call("to.dtype", mask, opset < 10 ? x.dtype : "bool")];
  };
};

/** Constant and Identity are resolved when the graph is compiled. */
const resolved: Lowering = (context) => {
  throw refuse(context, "it is resolved before anything runs");
};

export const shapes = {
  Shape: shape,
  Size: size,
  Cast: cast,
  CastLike: castLike,
  Constant: resolved,
  Identity: resolved,
  ConstantOfShape: constantOfShape,
  Range: range,
  EyeLike: eyeLike,
  Dropout: dropout,
} satisfies Record<string, Lowering>;

// Arithmetic, comparisons and logic, element by element, with ONNX's broadcasting.
import { readInt } from "../../graph/attributes.js";
import { call, type Tensor } from "./aten.js";
import { broadcast, sameDims } from "./limits.js";
import { type Inputs, type Lowering, type LoweringContext, refuse } from "./lowering.js";
import { dimsOf, first, isFloating, tensor } from "./values.js";

type Binary = (a: Tensor, b: Tensor) => Tensor;

/** Both operands; b is first aligned to a's axis where opsets before 7 say so. */
function operands(context: LoweringContext): (inputs: Inputs) => readonly [Tensor, Tensor] {
  const axis =
    context.opset < 7 && readInt(context.node, "broadcast", 0) !== 0
      ? readInt(context.node, "axis", undefined)
      : undefined;
  return (inputs) => {
    const [a, b] = [first(inputs), tensor(inputs[1])];
    if (axis === undefined) return [a, b];
    const trailing = dimsOf(a).length - (axis < 0 ? axis + dimsOf(a).length : axis) - dimsOf(b).length;
    return [a, call("view", b, [...dimsOf(b), ...new Array<number>(Math.max(0, trailing)).fill(1)])];
  };
}

function binary(apply: Binary): Lowering {
  return (context) => {
    const both = operands(context);
    return (inputs) => {
      const [a, b] = both(inputs);
      checkShapes(a, b);
      return apply(a, b);
    };
  };
}

/** Refuses a result that would be far larger than its operands; true where the shapes are the same. */
function checkShapes(a: Tensor, b: Tensor): boolean {
  const [m, n] = [a.shape, b.shape];
  if (sameDims(m, n)) return true;
  broadcast(m, n);
  return false;
}

const add: Lowering = (context) => {
  const both = operands(context);
  return (inputs, run) => {
    const [a, b] = both(inputs);
    const same = checkShapes(a, b);
    if (a.dtype === "bool") throw refuse(context, "booleans cannot be added");
    return call(same && run.inPlace ? "add_.Tensor" : "add.Tensor", a, b);
  };
};

/** Whole numbers are divided towards zero, as in C. */
const div = binary((a, b) =>
  isFloating(a) ? call("div.Tensor", a, b) : call("div.Tensor_mode", a, b, { rounding_mode: "trunc" }),
);

/** The result has the base's type, whatever the exponent's. */
const pow = binary((a, b) => {
  const y = call("pow.Tensor_Tensor", isFloating(b) && !isFloating(a) ? call("to.dtype", a, "float64") : a, b);
  return y.dtype === a.dtype ? y : call("to.dtype", y, a.dtype);
});

const mod: Lowering = (context) => {
  const name = readInt(context.node, "fmod", 0) !== 0 ? "fmod.Tensor" : "remainder.Tensor";
  return binary((a, b) => call(name, a, b))(context);
};

/** One or more operands, combined from the left. */
function variadic(apply: Binary, finish: (x: Tensor, count: number) => Tensor = (x) => x): Lowering {
  return () => (inputs) => {
    const [lead, ...rest] = inputs.map(tensor) as [Tensor, ...Tensor[]];
    if (rest.length === 0) return call("alias", lead);
    const all = rest.reduce((a, b) => {
      checkShapes(a, b);
      return apply(a, b);
    }, lead);
    return finish(all, inputs.length);
  };
}

/** An operator of libtorch over one tensor. */
const unary =
  (name: string): Lowering =>
  () =>
  (inputs) =>
    call(name, first(inputs));

const isInf: Lowering = ({ node }) => {
  const [negative, positive] = [readInt(node, "detect_negative", 1) !== 0, readInt(node, "detect_positive", 1) !== 0];
  return (inputs) => {
    const x = first(inputs);
    if (negative && positive) return call("isinf", x);
    if (negative) return call("isneginf", x);
    return positive ? call("isposinf", x) : call("zeros_like", x, { dtype: "bool" });
  };
};

const where: Lowering = () => (inputs) => {
  const [condition, a, b] = [first(inputs), tensor(inputs[1]), tensor(inputs[2])];
  broadcast(broadcast(condition.shape, a.shape), b.shape);
  return call("where.self", condition, a, b);
};

const named = (name: string): Lowering => binary((a, b) => call(name, a, b));

export const elementwise = {
  Add: add,
  Sub: named("sub.Tensor"),
  Mul: named("mul.Tensor"),
  Div: div,
  Pow: pow,
  Mod: mod,
  And: named("logical_and"),
  Or: named("logical_or"),
  Xor: named("logical_xor"),
  Equal: named("eq.Tensor"),
  Less: named("lt.Tensor"),
  LessOrEqual: named("le.Tensor"),
  Greater: named("gt.Tensor"),
  GreaterOrEqual: named("ge.Tensor"),
  Where: where,
  Min: variadic((a, b) => call("minimum", a, b)),
  Max: variadic((a, b) => call("maximum", a, b)),
  Sum: variadic((a, b) => call("add.Tensor", a, b)),
  Mean: variadic(
    (a, b) => call("add.Tensor", a, b),
    (x, count) => call("div.Scalar", x, count),
  ),
  Sqrt: unary("sqrt"),
  Exp: unary("exp"),
  Log: unary("log"),
  Abs: unary("abs"),
  Neg: unary("neg"),
  Sign: unary("sign"),
  Floor: unary("floor"),
  Ceil: unary("ceil"),
  Round: unary("round"),
  Reciprocal: unary("reciprocal"),
  Erf: unary("erf"),
  Sin: unary("sin"),
  Cos: unary("cos"),
  Tan: unary("tan"),
  Asin: unary("asin"),
  Acos: unary("acos"),
  Atan: unary("atan"),
  Sinh: unary("sinh"),
  Cosh: unary("cosh"),
  Asinh: unary("asinh"),
  Acosh: unary("acosh"),
  Atanh: unary("atanh"),
  Not: unary("logical_not"),
  IsNaN: unary("isnan"),
  IsInf: isInf,
} satisfies Record<string, Lowering>;

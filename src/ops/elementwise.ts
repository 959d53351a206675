// Arithmetic, comparisons and logic, element by element, with ONNX's broadcasting.
import { readInt } from "../graph/attributes.js";
import { add, floorDivide, multiply, subtract } from "../graph/dims.js";
import { isFloat, roundEven } from "../graph/values.js";
import { any, calls, type Family, type Kinds, old } from "./operator.js";
import { differ, ifEqual, negated, never, ofOne, pointwise, truth } from "./rules/arithmetic.js";
import { broadcast, input, type Rule } from "./rules/call.js";
import { broadcastDemand } from "./rules/demand.js";
import { broadcastStrides, emptyLike, walk } from "./rules/elements.js";
import { inPlace } from "./rules/reach.js";
import { broadcastTo, likeInput, likeInputOf } from "./rules/shapes.js";
import type { ValueRule } from "./rules/value.js";

const placed = { axis: "int", broadcast: "int", ...old } as const satisfies Kinds;
const unary = { shapes: likeInput, reach: inPlace, channels: "kept" } as const;
const function1 = { ...unary, signature: calls(1, old) };
const binary = { signature: calls(2, placed), shapes: broadcastTo(), reach: inPlace, channels: "tied" } as const;
const compared = { ...binary, shapes: broadcastTo("bool"), stepwise: true, exact: "whole" } as const;
const logical = { ...binary, shapes: broadcastTo("bool"), exact: "whole" } as const;
const variadic = { signature: calls([1, any], old), shapes: broadcastTo(), reach: inPlace, channels: "tied" } as const;
const bits = { shapes: broadcastTo(), reach: inPlace };
const demands = broadcastDemand;

const shapesOfPow: Rule = (call) => [{ ...broadcastTo()(call)[0], type: input(call, 0).type }];

const shapesOfWhere: Rule = (call) => [
  {
    type: input(call, 1).type ?? input(call, 2).type,
    dims: broadcast(
      call,
      call.inputs.map((known) => known.dims),
    ),
  },
];

/** Where the condition is not known, what both sides have in common. */
const chosen: ValueRule = {
  kind: "converts",
  sizes: true,
  of: ({ inputs: [condition, yes, no], outputs: [output] }) => {
    if (condition === undefined || yes === undefined || no === undefined) return undefined;
    const { dims } = output!;
    const [asked, ifYes, ifNo] = [condition, yes, no].map(({ elements, dims: own }) => {
      const spread = emptyLike(
        elements,
        dims.reduce((product, size) => product * size, 1),
      );
      walk(dims, broadcastStrides(own, dims), 0, (from, to) => void (spread[to] = elements[from]!));
      return spread;
    });
    const made = emptyLike(ifYes!, ifYes!.length);
    for (let at = 0; at < made.length; at++) {
      const [wanted, a, b] = [asked![at]!, ifYes![at]!, ifNo![at]!];
      made[at] = typeof wanted === "number" ? (wanted === 0 ? b : a) : a === b ? a : null;
    }
    return [made];
  },
};

/** With fmod the remainder has the sign of the dividend, as in C; else that of the divisor. */
const remainder = pointwise((a, b) => a % b, never);
const floored = pointwise((a, b) => a - Math.floor(a / b) * b, never);
const modulo: ValueRule = {
  ...floored,
  of: (call) => (readInt(call.call.node, "fmod", 0) !== 0 ? remainder : floored).of(call),
};

const sum = pointwise((a, b) => a + b, add);

const arithmetic = {
  Add: {
    ...binary,
    demands,
    operands: ["per-channel", "per-channel"],
    value: sum,
    affine: true,
    exact: "whole",
    overwritable: true,
    since: 7,
  },
  Sub: {
    ...binary,
    demands,
    value: pointwise((a, b) => a - b, subtract),
    affine: true,
    exact: "whole",
    overwritable: true,
    since: 7,
  },
  Mul: {
    ...binary,
    demands,
    operands: ["per-channel", "per-channel"],
    value: pointwise((a, b) => a * b, multiply),
    affine: true,
    bounded: "all",
    since: 7,
  },
  Div: {
    ...binary,
    demands,
    value: pointwise(
      (a, b, type) => (isFloat(type) ? a / b : Math.trunc(a / b)),
      (a, b, type) => (isFloat(type) && b !== 1 ? null : floorDivide(a, b)),
    ),
    affine: true,
    since: 7,
  },
  Pow: { ...binary, demands, shapes: shapesOfPow, value: pointwise((a, b) => a ** b, never), since: 7 },
  Mod: { ...bits, value: modulo, stepwise: true },
  Min: { ...variadic, demands, value: pointwise((a, b) => Math.min(a, b), ifEqual), exact: "always", bounded: "all" },
  Max: { ...variadic, demands, value: pointwise((a, b) => Math.max(a, b), ifEqual), exact: "always", bounded: "all" },
  Sum: { ...variadic, value: sum },
  Mean: variadic,
  BitShift: bits,
  BitwiseAnd: bits,
  BitwiseOr: bits,
  BitwiseXor: bits,
} satisfies Family;

const logic = {
  Equal: {
    ...compared,
    value: pointwise(
      (a, b) => truth(a === b),
      (a, b) => (a !== null && a === b ? 1 : differ(a, b) ? 0 : null),
    ),
    since: 7,
  },
  Less: { ...compared, value: pointwise((a, b) => truth(a < b), never), since: 9 },
  LessOrEqual: { ...compared, value: pointwise((a, b) => truth(a <= b), never) },
  Greater: { ...compared, value: pointwise((a, b) => truth(a > b), never), since: 9 },
  GreaterOrEqual: { ...compared, value: pointwise((a, b) => truth(a >= b), never) },
  And: { ...logical, value: pointwise((a, b) => truth(a !== 0 && b !== 0), never), since: 7 },
  Or: { ...logical, value: pointwise((a, b) => truth(a !== 0 || b !== 0), never), since: 7 },
  Xor: { ...logical, value: pointwise((a, b) => truth((a !== 0) !== (b !== 0)), never) },
  Not: {
    ...function1,
    value: ofOne(
      (a) => truth(a === 0),
      () => null,
    ),
    exact: "whole",
    since: 1,
  },
  IsNaN: { shapes: likeInputOf("bool"), reach: inPlace, channels: "kept", stepwise: true },
  IsInf: { shapes: likeInputOf("bool"), reach: inPlace, channels: "kept", stepwise: true },
  Where: {
    signature: calls(3),
    shapes: shapesOfWhere,
    value: chosen,
    demands,
    reach: inPlace,
    channels: "tied",
    since: 9,
  },
} satisfies Family;

const functions = {
  Abs: { ...function1, value: ofOne(Math.abs, () => null), exact: "whole", since: 6 },
  Neg: { ...function1, value: ofOne((a) => -a, negated), exact: "whole", since: 6 },
  Sqrt: { ...function1, value: ofOne(Math.sqrt, () => null), since: 6 },
  Exp: { ...function1, value: ofOne(Math.exp), since: 6 },
  Log: { ...function1, value: ofOne(Math.log), since: 6 },
  Floor: { ...unary, value: ofOne(Math.floor, (a) => a), stepwise: true, since: 6 },
  Ceil: { ...unary, value: ofOne(Math.ceil, (a) => a), stepwise: true, since: 6 },
  Round: { ...unary, value: ofOne(roundEven, (a) => a), stepwise: true },
  Sign: { ...unary, value: ofOne(Math.sign, () => null), stepwise: true },
  Reciprocal: {
    ...unary,
    value: ofOne(
      (a) => 1 / a,
      () => null,
    ),
    since: 6,
  },
  Erf: { ...unary, bounded: "always", since: 9 },
  Sin: { ...unary, bounded: "always", since: 7 },
  Cos: { ...unary, bounded: "always", since: 7 },
  Tan: unary,
  Asin: unary,
  Acos: unary,
  Atan: unary,
  Sinh: unary,
  Cosh: unary,
  Asinh: unary,
  Acosh: unary,
  Atanh: unary,
  BitwiseNot: unary,
} satisfies Family;

export const elementwise = { ...arithmetic, ...logic, ...functions } satisfies Family;

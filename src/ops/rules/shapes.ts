// Shape rules that several families share: results shaped like an input, like all inputs broadcast, of a stated type.
import { readInt } from "../../graph/attributes.js";
import { type DataType, type Dim, dataTypes } from "../../graph/types.js";
import { broadcast, type Call, input, type Known, mismatch, type Rule, unknownDims } from "./call.js";

/** The result is like the first input. */
export const likeInput: Rule = (call) => {
  const { type, dims } = input(call, 0);
  return [{ type, dims }];
};

/** Like the first input, of a fixed type. */
export const likeInputOf =
  (type: DataType): Rule =>
  (call) => [{ type, dims: input(call, 0).dims }];

/** All inputs broadcast against each other (numpy); the type is that of the last input, or the one given. */
export function broadcastTo(type?: DataType): Rule {
  return (call) => [
    { type: type ?? call.inputs.findLast((known) => known.type !== undefined)?.type, dims: broadcastAll(call) },
  ];
}

function broadcastAll(call: Call): readonly Dim[] | undefined {
  // before opset 7, `axis` and `broadcast` place the second input inside the first, which keeps its shape
  if (call.opset < 7 && call.node.attributes.has("broadcast")) return input(call, 0).dims;
  return broadcast(
    call,
    call.inputs.map((known) => known.dims),
  );
}

/** ONNX's number of an element type, from 1. */
export function typeNumber(call: Call, number: number): DataType {
  const type = dataTypes[number - 1];
  if (type !== undefined) return type;
  throw mismatch(call, "no such element type", `1 to ${dataTypes.length}`, String(number));
}

/** A value whose shape is given by a tensor that is not known: its rank is the tensor's length. */
export function rankOf(shapeTensor: Known): readonly Dim[] | undefined {
  const rank = shapeTensor.dims?.[0];
  return typeof rank === "number" ? unknownDims(rank) : undefined;
}

/** EyeLike, RandomNormalLike, RandomUniformLike, Bernoulli: like the input, of the type named by `dtype`. */
export const likeWithType: Rule = (call) => {
  const number = readInt(call.node, "dtype", undefined);
  return [{ type: number === undefined ? input(call, 0).type : typeNumber(call, number), dims: input(call, 0).dims }];
};

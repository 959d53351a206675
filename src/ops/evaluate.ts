// Following the elements of small tensors through a graph: the sizes that exporters compute with Shape, Gather, Concat and the like.
import { readFloat, readInt, readInts, readTensor } from "../graph/attributes.js";
import type { Dim } from "../graph/types.js";
import { numbers } from "../graph/values.js";
import { axesOf, slicePlaces } from "./joining.js";
import { elementwise, reduction, rounded } from "./rules/arithmetic.js";
import { type Call, has, input, type Known, numbersOf } from "./rules/call.js";

/** An operator's output elements, row-major; the output's type and shape are those that its rule found. */
type Evaluation = (call: Call, output: Whole, index: number) => readonly Dim[] | undefined;

/** A tensor whose shape is known in numbers. */
interface Whole {
  readonly type: NonNullable<Known["type"]>;
  readonly dims: readonly number[];
}

interface Followed extends Whole {
  readonly elements: readonly Dim[];
}

/** The elements of a node's output, where all that it reads is known; undefined elsewhere, and for outputs of more than `limit` elements. */
export function evaluate(call: Call, output: Known | undefined, index: number, limit: number): readonly Dim[] | undefined {
  const evaluation = call.node.domain === "" && Object.hasOwn(evaluations, call.node.op) ? evaluations[call.node.op] : undefined;
  if (evaluation === undefined || output?.elements !== undefined || !isWhole(output) || count(output.dims) > limit)
    return undefined;
  const elements = evaluation(call, output, index);
  return elements?.length === count(output.dims) ? elements : undefined;
}

const isWhole = (known: Known | undefined): known is Known & Whole =>
  known?.type !== undefined && known.dims?.every((dim) => typeof dim === "number") === true;

const count = (dims: readonly number[]): number => dims.reduce((product, dim) => product * dim, 1);

/** The input at a position with its elements; undefined where they are not known. */
function followed(call: Call, index: number): Followed | undefined {
  const known = input(call, index);
  return isWhole(known) && known.elements !== undefined ? { ...known, elements: known.elements } : undefined;
}

const sameElements: Evaluation = (call) => followed(call, 0)?.elements;

/** For each place of the output, the element of the source at the place that `from` names. */
function moved(
  source: Followed | undefined,
  dims: readonly number[],
  from: (place: readonly number[]) => readonly number[],
): readonly Dim[] | undefined {
  if (source === undefined) return undefined;
  return everyPlace(dims, (place) => source.elements[flat(from(place), source.dims)] ?? null);
}

function everyPlace<T>(dims: readonly number[], at: (place: readonly number[]) => T): T[] {
  const place = new Array<number>(dims.length).fill(0);
  return Array.from({ length: count(dims) }, () => {
    const value = at(place);
    for (let axis = dims.length - 1; axis >= 0 && ++place[axis]! === dims[axis]; axis--) place[axis] = 0;
    return value;
  });
}

const flat = (place: readonly number[], dims: readonly number[]): number =>
  place.reduce((sum, at, axis) => sum * dims[axis]! + at, 0);

/** Where a broadcast input is read for a place of the output. */
const broadcastFrom =
  (dims: readonly number[]) =>
  (place: readonly number[]): readonly number[] =>
    dims.map((size, axis) => (size === 1 ? 0 : place[place.length - dims.length + axis]!));

const pointwise: Evaluation = (call, output) => {
  const sources = call.inputs.map((_, index) => followed(call, index));
  const first = sources[0];
  if (first === undefined || sources.some((source) => source === undefined)) return undefined;
  const operate = elementwise(call.node.op, first.type, output.type);
  if (operate === undefined) return undefined;
  const read = sources.map((source) => ({ source: source!, from: broadcastFrom(source!.dims) }));
  return everyPlace(output.dims, (place) =>
    operate(read.map(({ source, from }) => source.elements[flat(from(place), source.dims)] ?? null)),
  );
};

const evaluateWhere: Evaluation = (call, output) => {
  const [condition, yes, no] = [0, 1, 2].map((index) => followed(call, index));
  if (condition === undefined || yes === undefined || no === undefined) return undefined;
  const at = (source: Followed, place: readonly number[]) =>
    source.elements[flat(broadcastFrom(source.dims)(place), source.dims)] ?? null;
  return everyPlace(output.dims, (place) => {
    const chosen = at(condition, place);
    if (typeof chosen === "number") return at(chosen === 0 ? no : yes, place);
    return at(yes, place) === at(no, place) ? at(yes, place) : null;
  });
};

const reduceElements: Evaluation = (call, output) => {
  const [source, axes] = [followed(call, 0), axesOf(call, 1)];
  const join = source && reduction(call.node.op, source.type);
  if (source === undefined || join === undefined || axes === null || source.elements.length === 0) return undefined;
  if (axes === undefined || axes.length === 0) {
    return output.dims.every((dim) => dim === 1) ? [source.elements.reduce((a, b) => join(a, b))] : undefined;
  }
  const gone = new Set(axes.map((axis) => (axis < 0 ? axis + source.dims.length : axis)));
  const parts = new Map<number, Dim>();
  const kept = source.dims.map((size, axis) => (gone.has(axis) ? 1 : size));
  const places = everyPlace(source.dims, (place) =>
    flat(
      place.map((at, axis) => (gone.has(axis) ? 0 : at)),
      kept,
    ),
  );
  places.forEach((place, index) => {
    const element = source.elements[index]!;
    parts.set(place, parts.has(place) ? join(parts.get(place)!, element) : element);
  });
  return Array.from({ length: parts.size }, (_, index) => parts.get(index)!);
};

const concatElements: Evaluation = (call, output) => {
  const sources = call.inputs.map((_, index) => followed(call, index));
  if (sources.some((source) => source === undefined)) return undefined;
  const axis = wrap(readInt(call.node, "axis", 0), output.dims.length);
  return everyPlace(output.dims, (place) => {
    let at = place[axis]!;
    for (const source of sources) {
      if (at < source!.dims[axis]!) return source!.elements[flat(place.with(axis, at), source!.dims)] ?? null;
      at -= source!.dims[axis]!;
    }
    return null;
  });
};

const wrap = (axis: number, rank: number): number => (axis < 0 ? axis + rank : axis);

const sliceElements: Evaluation = (call, output) => {
  const source = followed(call, 0);
  if (source === undefined) return undefined;
  const attributes = call.opset < 10;
  const list = (name: string, at: number) => (attributes ? readInts(call.node, name, undefined) : numbersOf(input(call, at)));
  const [starts, ends] = [list("starts", 1), list("ends", 2)];
  const steps = !attributes && has(call, 4) ? list("steps", 4) : starts?.map(() => 1);
  const axes = attributes || has(call, 3) ? list("axes", 3) : undefined;
  if (starts === undefined || ends === undefined || steps === undefined || (!attributes && has(call, 3) && axes === undefined))
    return undefined;
  const from = new Array<number>(source.dims.length).fill(0);
  const by = new Array<number>(source.dims.length).fill(1);
  starts.forEach((start, index) => {
    const axis = wrap(axes?.[index] ?? index, source.dims.length);
    from[axis] = slicePlaces(source.dims[axis]!, start, ends[index]!, steps[index]!).from;
    by[axis] = steps[index]!;
  });
  return moved(source, output.dims, (place) => place.map((at, axis) => from[axis]! + at * by[axis]!));
};

const gatherElements: Evaluation = (call, output) => {
  const [source, indices] = [followed(call, 0), followed(call, 1)];
  if (source === undefined || indices === undefined || numbersOf(indices) === undefined) return undefined;
  const axis = wrap(readInt(call.node, "axis", 0), source.dims.length);
  const rank = indices.dims.length;
  return moved(source, output.dims, (place) => {
    const at = indices.elements[flat(place.slice(axis, axis + rank), indices.dims)] as number;
    return [...place.slice(0, axis), wrap(at, source.dims[axis]!), ...place.slice(axis + rank)];
  });
};

const transposeElements: Evaluation = (call, output) => {
  const source = followed(call, 0);
  const order = readInts(call.node, "perm", undefined) ?? output.dims.map((_, axis) => output.dims.length - 1 - axis);
  return moved(source, output.dims, (place) => place.map((_, axis) => place[order.indexOf(axis)]!));
};

const expandElements: Evaluation = (call, output) => {
  const source = followed(call, 0);
  return source && moved(source, output.dims, broadcastFrom(source.dims));
};

const tileElements: Evaluation = (call, output) => {
  const source = followed(call, 0);
  return source && moved(source, output.dims, (place) => place.map((at, axis) => at % source.dims[axis]!));
};

const splitElements: Evaluation = (call, output, index) => {
  const source = followed(call, 0);
  if (source === undefined) return undefined;
  const axis = wrap(readInt(call.node, "axis", 0), source.dims.length);
  const parts = readInts(call.node, "split", undefined) ?? numbersOf(input(call, 1));
  const part = Math.ceil(source.dims[axis]! / call.node.outputs.length);
  const start = parts === undefined ? part * index : parts.slice(0, index).reduce((sum, size) => sum + size, 0);
  return moved(source, output.dims, (place) => place.with(axis, place[axis]! + start));
};

const castElements: Evaluation = (call, output) => {
  const source = followed(call, 0);
  return source?.elements.map((element) =>
    typeof element === "number" ? rounded(element, output.type) : output.type === "bool" ? null : element,
  );
};

const filled: Evaluation = (call, output) => {
  const value = readTensor(call.node, "value");
  return new Array<Dim>(count(output.dims)).fill(value === undefined ? 0 : numbers(value)[0]!);
};

const rangeElements: Evaluation = (call, output) => {
  const [start, , delta] = [0, 1, 2].map((index) => numbersOf(input(call, index))?.[0]);
  if (start === undefined || delta === undefined) return undefined;
  return Array.from({ length: output.dims[0]! }, (_, index) => rounded(start + index * delta, output.type));
};

/** The constant of Constant's attributes other than `value`. */
const constantElements: Evaluation = ({ node }) => {
  const value = readFloat(node, "value_float", undefined);
  return value === undefined ? undefined : [value];
};

const each = (evaluation: Evaluation, ...ops: readonly string[]): Record<string, Evaluation> =>
  Object.fromEntries(ops.map((op) => [op, evaluation]));

const evaluations: Readonly<Record<string, Evaluation>> = {
  ...each(sameElements, "Identity", "Reshape", "Flatten", "Squeeze", "Unsqueeze"),
  ...each(
    pointwise,
    "Add",
    "Sub",
    "Mul",
    "Div",
    "Mod",
    "Pow",
    "Min",
    "Max",
    "Sum",
    "Equal",
    "Less",
    "LessOrEqual",
    "Greater",
    "GreaterOrEqual",
  ),
  ...each(pointwise, "And", "Or", "Xor", "Neg", "Abs", "Floor", "Ceil", "Round", "Sqrt", "Sign", "Reciprocal", "Not", "Relu"),
  ...each(reduceElements, "ReduceSum", "ReduceProd", "ReduceMax", "ReduceMin"),
  Where: evaluateWhere,
  Concat: concatElements,
  Slice: sliceElements,
  Gather: gatherElements,
  Transpose: transposeElements,
  Expand: expandElements,
  Tile: tileElements,
  Split: splitElements,
  Cast: castElements,
  CastLike: castElements,
  ConstantOfShape: filled,
  Range: rangeElements,
  Constant: constantElements,
};

// Pad in all its modes, at any axes.
import { readFloat, readInts, readString } from "../../graph/attributes.js";
import { call, type Tensor } from "./aten.js";
import { indexVector } from "./indexing.js";
import { bounded, boundedList } from "./limits.js";
import { type Lowering, refuse } from "./lowering.js";
import { dimsOf, first, fromFront, isFloating, numbersOf, scalarOf } from "./values.js";
import { padConstant } from "./windows.js";

/** Where the element at position i of a padded axis comes from, n being the size without pads. */
const sources = {
  edge: (i: number, n: number) => Math.min(Math.max(i, 0), n - 1),
  wrap: (i: number, n: number) => ((i % n) + n) % n,
  /** The edge itself is not repeated. */
  reflect: (i: number, n: number) => {
    if (n === 1) return 0;
    const period = 2 * (n - 1);
    const at = ((i % period) + period) % period;
    return at < n ? at : period - at;
  },
};

type Mode = keyof typeof sources;

/** libtorch's own operators for the last two axes of an image [N, C, H, W]. */
const imagePads: Partial<Record<Mode, string>> = { edge: "replication_pad2d", reflect: "reflection_pad2d" };

/** Pad: begins then ends, of all axes or of those given (opset 18). Negative pads crop. */
const pad: Lowering = (context) => {
  const mode = readString(context.node, "mode", "constant");
  if (mode !== "constant" && !Object.hasOwn(sources, mode)) throw refuse(context, `the mode ${mode} is not known`);
  const stated = readInts(context.node, "pads", undefined) ?? readInts(context.node, "paddings", undefined);
  const value = readFloat(context.node, "value", 0);
  return (inputs) => {
    const x = first(inputs);
    const dims = dimsOf(x);
    const given = stated ?? numbersOf(inputs[1]);
    const axes = inputs[3] === undefined ? undefined : numbersOf(inputs[3]);
    const pads = axes === undefined ? given : spread(given, axes, dims.length);
    if (pads.length !== 2 * dims.length)
      throw refuse(context, `pads must have two numbers for each of ${dims.length} axes`);
    bounded(dims.map((n, i) => n + pads[i]! + pads[dims.length + i]!));
    if (mode === "constant") return padConstant(x, pads, stated === undefined ? scalarOf(inputs[2], 0) : value);
    return padFrom(x, dims, pads, mode as Mode);
  };
};

function spread(given: readonly number[], axes: readonly number[], rank: number): number[] {
  const pads = new Array<number>(2 * rank).fill(0);
  axes.forEach((a, i) => {
    const axis = fromFront(a, rank);
    pads[axis] = given[i]!;
    pads[rank + axis] = given[axes.length + i]!;
  });
  return pads;
}

function padFrom(x: Tensor, dims: readonly number[], pads: readonly number[], mode: Mode): Tensor {
  const rank = dims.length;
  const name = imagePads[mode];
  const outer = pads.filter((_, i) => i % rank < rank - 2);
  const [top, left, bottom, right] = [pads[rank - 2]!, pads[rank - 1]!, pads[2 * rank - 2]!, pads[2 * rank - 1]!];
  const fits =
    [top, bottom].every((p) => p >= 0 && p < dims[rank - 2]!) &&
    [left, right].every((p) => p >= 0 && p < dims[rank - 1]!);
  if (rank === 4 && name !== undefined && fits && isFloating(x) && outer.every((p) => p === 0) && !dims.includes(0)) {
    return call(name, x, [left, right, top, bottom]);
  }
  let y = x;
  dims.forEach((n, axis) => {
    const [begin, end] = [pads[axis]!, pads[rank + axis]!];
    if (begin === 0 && end === 0) return;
    const places = Array.from({ length: boundedList(n + begin + end) }, (_, i) => sources[mode](i - begin, n));
    y = call("index_select", y, axis, indexVector(places));
  });
  return y === x ? call("alias", x) : y;
}

export const padding = { Pad: pad } satisfies Record<string, Lowering>;

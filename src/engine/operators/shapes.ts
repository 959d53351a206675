// Constants, shapes and types: operators whose results are mostly known before libtorch is asked.
import { readInt, readTensor } from "../../graph/attributes.js";
import type { DataType } from "../../graph/types.js";
import { dataTypes } from "../../graph/types.js";
import { numbers } from "../../graph/values.js";
import { call } from "./aten.js";
import { Host, hostInts, hostLimit } from "./host.js";
import { type Lowering, refuse, type Site } from "./site.js";
import { dimsOf, engineType, first, numbersOf } from "./values.js";

const shape: Lowering = ({ node }) => {
  const start = readInt(node, "start", 0);
  const end = readInt(node, "end", undefined);
  return (inputs) => hostInts(dimsOf(inputs[0]).slice(start, end));
};

const size: Lowering = () => (inputs) => new Host("int64", [], [dimsOf(inputs[0]).reduce((a, b) => a * b, 1)]);

/** The element type of a Cast-like operator; a typed refusal where libtorch has none. */
export function typeAttribute(site: Site, name: string, fallback?: DataType): DataType {
  const code = readInt(site.node, name, undefined);
  const type = code === undefined ? fallback : dataTypes[code - 1];
  if (type === undefined || engineType(type) === undefined)
    throw refuse(site, `the type ${type ?? code} is not one of libtorch's`);
  return type;
}

const cast: Lowering = (site) => {
  const type = typeAttribute(site, "to");
  const engine = engineType(type)!;
  return (inputs) => {
    const x = first(inputs);
    // Half precision is computed in float32, but a Cast to it must round.
    if (type === "float16") return call("to.dtype", call("to.dtype", x, "float16"), "float32");
    return call("to.dtype", x, engine);
  };
};

const constantOfShape: Lowering = (site) => {
  const value = readTensor(site.node, "value");
  const type = value?.type ?? "float32";
  if (engineType(type) === undefined) throw refuse(site, `the type ${type} is not one of libtorch's`);
  const fill = value === undefined ? 0 : (numbers(value)[0] ?? 0);
  return (inputs) => {
    const dims = numbersOf(inputs[0]);
    const count = dims.reduce((a, b) => a * b, 1);
    if (count <= hostLimit) return new Host(type, dims, new Array<number>(count).fill(fill));
    return call("full", dims, fill, { dtype: engineType(type)! });
  };
};
export const shapes = { Shape: shape, Size: size, Cast: cast, ConstantOfShape: constantOfShape } satisfies Record<
  string,
  Lowering
>;

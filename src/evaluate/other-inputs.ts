// What goes into the inputs of a network beside the one that counts: an array of the data, example by example, or
// values that are stated, found, or drawn with one seed.
import { sampleOrder } from "../data/inputs.js";
import { FilterBasisError } from "../errors/error.js";
import { feeds } from "../graph/edit.js";
import type { Graph } from "../graph/types.js";
import { type Feeds, type ModelInputs, sampleFeeds } from "../runtime/index.js";
import { type FedArray, fedArray, fedDims, fedValues, fills } from "./fed-array.js";
import type { NamedInputs } from "./named-inputs.js";

/** The input that counts, as the data fills it. */
interface Primary {
  readonly name: string;
  /** Inputs of the data that go in at once. */
  readonly each: number;
  /** Whether each is a whole input, with its first axis. */
  readonly whole: boolean;
  /** The sizes of one. */
  readonly dims: readonly number[];
}

export interface OtherInputs {
  /** The sizes of all inputs of the network. */
  readonly shapes: ModelInputs["shapes"];
  /** Whether one of the arrays holds what several examples cannot put side by side. */
  readonly alone: boolean;
  /** The values beside examples `first` to `first + count - 1` of the one that counts. */
  at(first: number, count: number): Feeds;
}

interface Given {
  readonly primary: Primary;
  /** Inputs that have a place for each example along their first axis. */
  readonly along: readonly string[];
  /** Arrays by the inputs' names, and their file. */
  readonly named?: NamedInputs;
  readonly file?: string;
  readonly seed?: number;
}

/** @throws FilterBasisError `data-mismatch`, `non-finite`; what drawing values throws */
export function otherInputs(graph: Graph, inputs: ModelInputs, given: Given): OtherInputs {
  const { primary, along, seed } = given;
  const fed = fedBeside(graph, inputs, given);
  const sizes = new Map<string, readonly number[]>([
    [primary.name, primary.whole ? primary.dims : [inputs.shapes.get(primary.name)?.[0] ?? 1, ...primary.dims]],
    ...fed.map((one) => [one.port.name, fedDims(one)] as const),
  ]);
  const inRows = new Set([
    ...(primary.whole ? [] : [primary.name]),
    ...fed.flatMap(({ rows, port }) => (rows === undefined ? [] : [port.name])),
  ]);
  const shapes = sizesWith(graph, inputs, sizes, inRows);
  const rest = drawn(graph, new Set(sizes.keys()), { ...inputs, shapes });
  const order = fed[0] && sampleOrder(fills(fed[0]), seed === undefined ? {} : { seed });
  return {
    shapes,
    alone: fed.some(({ rows, port }) => rows === undefined || !along.includes(port.name)),
    at: (first, count) => ({
      ...repeated(rest, along, count * primary.each),
      ...Object.fromEntries(
        fed.map((one) => [one.port.name, fedValues(one, [...order!.subarray(first, first + count)])]),
      ),
    }),
  };
}

/** The arrays of the other inputs that there is one for. */
function fedBeside(graph: Graph, { shapes }: ModelInputs, { primary, along, named, file = "" }: Given) {
  const fed = feeds(graph).flatMap((port): FedArray[] => {
    const array = named?.arrays.get(port.name);
    if (array === undefined || port.name === primary.name) return [];
    const shape = shapes.get(port.name)!;
    return [fedArray(file, port, array, shape, along.includes(port.name) ? primary.each : (shape[0] ?? 1))];
  });
  if (named !== undefined) checkCounts(file, named.arrays.get(primary.name)!.dims[0]! / primary.each, primary, fed);
  return fed;
}

/** Every array has to fill its input as often as the others fill theirs. */
function checkCounts(file: string, wanted: number, primary: Primary, fed: readonly FedArray[]): void {
  const counts = fed.map((one) => ({ name: one.port.name, filled: fills(one) }));
  const other = counts.find(({ filled }) => filled !== wanted);
  if (other === undefined) return;
  throw new FilterBasisError("data-mismatch", "the arrays hold different numbers of examples", {
    file,
    tensor: other.name,
    expected: `as many as ${primary.name} has: ${wanted}`,
    got: counts.map(({ name, filled }) => `${name}: ${filled}`).join("; "),
    cures: ["an input whose first axis is no batch takes a whole input for each example: [N, ...its own sizes]"],
  });
}

/**
 * Sizes of all inputs with some of them as the data has them: an axis that has the same name elsewhere has the same
 * size there.
 * @param fed - the sizes of those; @param along - which of them have examples along their first axis
 */
function sizesWith(
  graph: Graph,
  { shapes, values }: ModelInputs,
  fed: ReadonlyMap<string, readonly number[]>,
  along: ReadonlySet<string>,
): ReadonlyMap<string, readonly number[]> {
  const ports = feeds(graph);
  const named = new Map<string, number>();
  for (const { name, tensor } of ports)
    for (const [axis, dim] of (tensor?.dims ?? []).entries()) {
      const size = fed.get(name)?.[axis];
      if (typeof dim === "string" && size !== undefined && !(axis === 0 && along.has(name))) named.set(dim, size);
    }
  return new Map(
    [...shapes].map(([name, dims]) => {
      const own = fed.get(name);
      if (own !== undefined) return [name, own];
      const declared = ports.find((port) => port.name === name)?.tensor?.dims;
      if (declared === undefined || values.has(name)) return [name, dims];
      const sizeAt = (size: number, axis: number): number => {
        const dim = declared[axis];
        return (typeof dim === "string" ? named.get(dim) : undefined) ?? size;
      };
      return [name, dims.map(sizeAt)];
    }),
  );
}

/** Values of the inputs that are no data: stated, found, or drawn with one seed. */
function drawn({ inputs }: Graph, fed: ReadonlySet<string>, found: ModelInputs): Feeds {
  const ports = inputs
    .filter((value) => !fed.has(value.name) && found.shapes.has(value.name))
    .map((value) => ({ name: value.name, type: value.tensor!.type, dims: value.tensor!.dims ?? [] }));
  return sampleFeeds(ports, found);
}

/** The same values for each of several inputs that go in together, for inputs that have a place for each. */
function repeated(rest: Feeds, names: readonly string[], count: number): Feeds {
  const along = names.flatMap((name) => (rest[name]?.dims[0] === 1 ? [[name, rest[name]] as const] : []));
  const several = along.map(([name, { type, dims, data }]) => {
    const bytes = new Uint8Array(count * data.byteLength);
    for (let i = 0; i < count; i++) bytes.set(data, i * data.byteLength);
    return [name, { type, dims: [count, ...dims.slice(1)], data: bytes }] as const;
  });
  return { ...rest, ...Object.fromEntries(several) };
}

// Data of several arrays for a network of several inputs: every array goes into the input of its name.
import type { Data } from "../data/dataset.js";
import { FilterBasisError } from "../errors/error.js";
import { elements } from "../graph/attributes.js";
import { feeds } from "../graph/edit.js";
import type { Graph, TensorData, Value } from "../graph/types.js";
import { isFloat } from "../graph/values.js";
import type { ModelInputs } from "../runtime/index.js";

export interface NamedInputs {
  /** The input whose array is counted, and may be images. */
  readonly primary: string;
  /** The array of every input that there is one for. */
  readonly arrays: ReadonlyMap<string, TensorData>;
}

/**
 * Which arrays of the data go into which inputs; undefined where the data is no file of arrays, and where a network of
 * one input leaves no question, or an array is one of the usual name.
 * @throws FilterBasisError `data-mismatch` (arrays that no input is for, texts), `usage` (an input that is stated
 * twice)
 */
export function namedInputs(
  graph: Graph,
  { name: file, arrays }: Data,
  inputs: ModelInputs,
  { input, array, note }: { readonly input?: string; readonly array?: string; note?(text: string): void },
): NamedInputs | undefined {
  if (arrays === undefined || array !== undefined) return undefined;
  const { byName, labels } = arrays;
  const ports = feeds(graph).filter(({ name }) => inputs.shapes.has(name));
  const fed = ports.filter(({ name }) => byName.has(name));
  const over = [...byName.keys()].filter((name) => !labels.has(name) && !ports.some((port) => port.name === name));
  if (fed.length === 0 && (ports.length <= 1 || over.length === 1)) return undefined;
  const known = fed.some(({ name }) => name === input) || !ports.some(({ name }) => name === input);
  if (fed.length === 0 || !known || (over.length > 0 && ports.length > 1)) throw mismatch(file, ports, byName);
  if (over.length > 0) note?.(`${file}: arrays that no input is for are not used: ${over.join(", ")}`);
  for (const port of fed) checkArray(file, port, byName.get(port.name)!, inputs);
  const missing = ports.filter(({ name }) => !byName.has(name) && !inputs.values.has(name));
  if (missing.length > 0)
    note?.(`${file}: no array for ${missing.map(({ name }) => name).join(", ")}: drawn numbers go in`);
  return {
    primary: fed.find(({ name }) => name === input)?.name ?? primaryOf(fed, byName, inputs).name,
    arrays: new Map(fed.map(({ name }) => [name, byName.get(name)!])),
  };
}

const sized = (name: string, dims: readonly unknown[]): string =>
  `${name} [${dims.map((dim) => (typeof dim === "number" || typeof dim === "string" ? dim : "?")).join(", ")}]`;

const mismatch = (file: string, ports: readonly Value[], arrays: ReadonlyMap<string, TensorData>) =>
  new FilterBasisError("data-mismatch", "the arrays are not named as the inputs are", {
    file,
    expected: `arrays for the inputs ${ports.map(({ name, tensor }) => sized(name, tensor?.dims ?? [])).join("; ")}`,
    got: [...arrays].map(([name, { dims }]) => sized(name, dims)).join("; ") || "no arrays",
    cures: ["name each array as its input, [N, ...] of N examples, and leave others out"],
  });

function checkArray(file: string, { name, tensor }: Value, array: TensorData, { values, assumed }: ModelInputs): void {
  const place = { file, tensor: name };
  if (values.has(name) && !assumed.some(({ input }) => input === name))
    throw new FilterBasisError("usage", "an input is stated that the data has an array for", place);
  if (array.type === "string" || tensor?.type === "string")
    throw new FilterBasisError("data-mismatch", "texts are no data for a network", { ...place, got: array.type });
  if (array.dims.length === 0 || array.dims[0] === 0)
    throw new FilterBasisError("data-mismatch", "the array holds no examples", {
      ...place,
      expected: "[N, ...]",
      got: sized(name, array.dims),
    });
}

/** Of floats before whole numbers, examples along the first axis before states, the largest. */
function primaryOf(fed: readonly Value[], arrays: ReadonlyMap<string, TensorData>, { shapes }: ModelInputs): Value {
  const rank = ({ name, tensor }: Value): number => {
    const dims = shapes.get(name)!;
    const array = arrays.get(name)!;
    const floating = tensor !== undefined && isFloat(tensor.type) ? 4 : 0;
    const rows = isWhole(array.dims, dims) || array.dims.length < 2 ? 0 : 2;
    return floating + rows + elements(dims) / (1 + elements(dims));
  };
  return fed.reduce((best, port) => (rank(port) > rank(best) ? port : best));
}

/** Whether an array holds the whole input for each example, rather than one of the rows along its first axis. */
export const isWhole = (array: readonly number[], input: readonly number[]): boolean =>
  array.length === input.length + 1;

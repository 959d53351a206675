// Puts the tensors of a weight file into a network, whatever their file calls them. Every parameter is filled and every
// tensor is used, or it is said which are not.

import { FilterBasisError } from "../errors/error.js";
import { float32Tensor } from "../graph/attributes.js";
import { withInitializers } from "../graph/edit.js";
import type { Graph, TensorData } from "../graph/types.js";
import { floats } from "../graph/values.js";
import { matches } from "../methods/pattern.js";
import { type NameScheme, nameSchemes, parameterNames, translator } from "./names.js";

export interface LoadOptions {
  readonly file?: string;
  /** Further names in the file, and the tensor that each stands for. */
  readonly aliases?: Readonly<Record<string, string>>;
  /**
   * Parameters that may keep their values where the file lacks them or has another shape; * stands for anything
   * ("tail.*").
   */
  readonly keep?: string;
}

export interface LoadResult {
  readonly graph: Graph;
  /** Whose names the file uses. */
  readonly scheme: string;
  /** Parameters that kept their values (only with `keep`). */
  readonly kept: readonly string[];
}

/**
 * @throws FilterBasisError `data-mismatch` naming the parameters that the file lacks or the tensors that the network
 * has no place for; `shape-mismatch`
 */
export function loadWeights(
  graph: Graph,
  tensors: ReadonlyMap<string, TensorData>,
  options: LoadOptions = {},
): LoadResult {
  const { file, keep, aliases = {} } = options;
  const place = file === undefined ? {} : { file };
  const given = withoutPrefix(withAliases(tensors, aliases));
  const fits = nameSchemes(graph).map((scheme) => match(graph, given, scheme));
  const best = fits.reduce((a, b) => (b.filled.size > a.filled.size ? b : a));
  const mayKeep = keep === undefined ? () => false : (name: string) => matches(name, [keep]);
  const unused = best.unused.filter((name) => !sharesStorage(given.get(name), best.filled) && !mayKeep(name));
  const parameters = parameterNames(graph);
  const missing = parameters.filter((name) => !best.filled.has(name) && !mayKeep(name));
  if (unused.length > 0 || missing.length > 0)
    throw new FilterBasisError("data-mismatch", "the weights do not fit the network", {
      ...place,
      expected: `all of its ${parameters.length} parameters${missing.length > 0 ? `; missing ${list(missing)}` : ""}`,
      got: `${given.size} tensors (${best.scheme} names)${unused.length > 0 ? `; without a place: ${list(unused)}` : ""}`,
    });
  const filled = new Map<string, TensorData>();
  for (const [name, { tensor, from }] of best.filled) {
    const dims = graph.initializers.get(name)?.dims ?? [];
    if (dims.length === tensor.dims.length && dims.every((dim, i) => dim === tensor.dims[i])) {
      filled.set(name, float32Tensor(dims, floats(tensor).slice()));
      continue;
    }
    if (mayKeep(name)) continue;
    throw new FilterBasisError("shape-mismatch", "a tensor does not fit its parameter", {
      ...place,
      tensor: from,
      expected: `[${dims.join(", ")}] for ${name}`,
      got: `[${tensor.dims.join(", ")}]`,
    });
  }
  return {
    graph: withInitializers(graph, filled),
    scheme: best.scheme,
    kept: parameters.filter((name) => !filled.has(name)),
  };
}

interface Match {
  readonly scheme: string;
  /** Parameter -> the tensor for it and its name in the file. */
  readonly filled: ReadonlyMap<string, { readonly tensor: TensorData; readonly from: string }>;
  readonly unused: readonly string[];
}

function match(graph: Graph, given: ReadonlyMap<string, TensorData>, scheme: NameScheme): Match {
  const toOurs = translator(graph, scheme);
  const filled = new Map<string, { tensor: TensorData; from: string }>();
  const unused: string[] = [];
  for (const [from, tensor] of given) {
    const name = toOurs(from);
    const before = name === undefined ? undefined : filled.get(name);
    if (name === undefined) unused.push(from);
    else if (before === undefined) filled.set(name, { tensor, from });
    else if (!sameBytes(before.tensor.data, tensor.data)) unused.push(from); // two values for one shared parameter
  }
  return { scheme: scheme.name, filled, unused };
}

/** `num_batches_tracked` is a counter that no computation here reads. */
function withoutPrefix(tensors: ReadonlyMap<string, TensorData>): ReadonlyMap<string, TensorData> {
  let entries = [...tensors].filter(([name]) => !name.endsWith("num_batches_tracked"));
  for (const prefix of ["module.", "model."]) {
    if (entries.every(([name]) => name.startsWith(prefix)))
      entries = entries.map(([name, tensor]) => [name.slice(prefix.length), tensor]);
  }
  return new Map(entries);
}

function withAliases(
  tensors: ReadonlyMap<string, TensorData>,
  aliases: Readonly<Record<string, string>>,
): ReadonlyMap<string, TensorData> {
  const extra = Object.entries(aliases).map(([name, of]): [string, TensorData] => {
    const tensor = tensors.get(of);
    if (tensor !== undefined) return [name, tensor];
    throw new FilterBasisError("malformed", "an alias stands for a tensor that is not there", {
      tensor: name,
      got: of,
    });
  });
  return new Map([...tensors, ...extra]);
}

/** A file may hold one tensor under several names. */
function sharesStorage(tensor: TensorData | undefined, filled: Match["filled"]): boolean {
  return [...filled.values()].some(
    (other) =>
      tensor !== undefined &&
      other.tensor.data.buffer === tensor.data.buffer &&
      other.tensor.data.byteOffset === tensor.data.byteOffset &&
      other.tensor.data.length === tensor.data.length,
  );
}

function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, i) => byte === b[i]);
}

function list(names: readonly string[]): string {
  return names.length <= 6 ? names.join(", ") : `${names.slice(0, 6).join(", ")} and ${names.length - 6} more`;
}

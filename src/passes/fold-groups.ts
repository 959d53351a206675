// Storing what folding made of one weight and the biases of all layers that read it: under the old names where these
// become free, and only where the model does not grow by it.
import { elementBytes, elements, nodeName } from "../graph/attributes.js";
import { reads } from "../graph/edit.js";
import type { Node, TensorData } from "../graph/types.js";
import type { Skipped } from "../ops/rules/affine.js";
import { type Folded, weightPlaces } from "./fold-into-layer.js";
import type { Rewriting } from "./rewriting.js";

/** One layer and the normalisation that goes into it. */
export interface Fold {
  readonly old: Node;
  readonly norm: Node;
  readonly folded: Folded;
  /** The data that the new layer reads, and what it makes. */
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
}

/** Bytes that a node takes in a file beside its names: tags, lengths, operator. */
const nodeBytes = 32;

/**
 * Carries the folds out: all read one weight, and its new values are the same for all. A reason where the model would
 * grow.
 */
export function storeFolds(work: Rewriting, folds: readonly Fold[]): Skipped | undefined {
  const biases = distinct(folds.flatMap(({ folded }) => folded.bias ?? []));
  const grows = added(biases) - freed(work, folds);
  if (grows > 0) {
    const [{ old }] = folds as [Fold];
    return { reason: `the biases that ${nodeName(old)} would get take ${grows} bytes more than what would go` };
  }
  const [{ old: first, folded }] = folds as [Fold];
  const [weightAt, biasAt] = weightPlaces(first);
  const before = first.inputs[weightAt]!;
  const weight = freeName(work, folds, before) ?? work.fresh(before);
  const stem = weight.replace(/[._]?weight$/, "");
  const names = new Map<TensorData, string>();
  for (const { old, norm, folded: own, inputs, outputs } of folds) {
    const bias = own.bias && biases.find((one) => sameTensor(one, own.bias!))!;
    if (bias && !names.has(bias))
      names.set(
        bias,
        freeName(work, folds, old.inputs[biasAt] ?? "", names) ?? work.fresh(old.inputs[biasAt] || `${stem}.bias`),
      );
    const made = withInputs(old, [...inputs.entries(), [weightAt, weight], [biasAt, (bias && names.get(bias)) ?? ""]]);
    const tensors: [string, TensorData][] = [
      [weight, folded.weight],
      ...[...names].map(([t, n]): [string, TensorData] => [n, t]),
    ];
    work.replace(old, { ...own.node, inputs: made, outputs }, norm, new Map(tensors));
  }
  return undefined;
}

/** A node's inputs with some of them others, and none left out at the end. */
function withInputs({ inputs }: Node, changes: readonly (readonly [place: number, name: string])[]): readonly string[] {
  const made = [...inputs];
  for (const [place, name] of changes) {
    while (made.length < place) made.push("");
    made[place] = name;
  }
  while (made.at(-1) === "") made.pop();
  return made;
}

/**
 * The name of an initializer that only these layers read, once each, and that no other bias has taken: it may hold the
 * new values.
 */
function freeName(
  work: Rewriting,
  folds: readonly Fold[],
  name: string,
  taken: ReadonlyMap<TensorData, string> = new Map(),
): string | undefined {
  const layers = new Set(folds.map(({ old }) => old));
  const readers = [...(work.readers.get(name) ?? [])];
  const once = readers.every((node) => layers.has(node) && node.inputs.filter((input) => input === name).length === 1);
  const free = once && work.initializers.has(name) && !work.outputs.has(name) && ![...taken.values()].includes(name);
  return free ? name : undefined;
}

const bytesOf = ({ type, dims }: TensorData): number => Math.ceil(elements(dims) * elementBytes[type]);
const added = (tensors: readonly TensorData[]): number => tensors.reduce((sum, tensor) => sum + bytesOf(tensor), 0);

/**
 * Bytes of constants that nobody reads any more, but for the weight, which is replaced by one of its size; and of the
 * nodes that go.
 */
function freed(work: Rewriting, folds: readonly Fold[]): number {
  const leaving = new Set(folds.flatMap(({ old, norm }) => [old, norm]));
  const weight = work.rootOf(folds[0]!.old.inputs[weightPlaces(folds[0]!.old)[0]]!);
  const roots = new Set([...leaving].flatMap((node) => [...reads(node)].map((value) => work.rootOf(value))));
  let sum = 0;
  for (const root of roots) {
    const tensor = root === weight ? undefined : work.constant(root);
    if (tensor !== undefined && work.endReaders(root, leaving) !== undefined) sum += bytesOf(tensor);
  }
  for (const { norm } of folds)
    sum += nodeBytes + [norm.name, ...norm.inputs, ...norm.outputs].reduce((total, text) => total + text.length + 2, 0);
  return sum;
}

function distinct(tensors: readonly TensorData[]): readonly TensorData[] {
  const found: TensorData[] = [];
  for (const tensor of tensors) if (!found.some((one) => sameTensor(one, tensor))) found.push(tensor);
  return found;
}

function sameTensor(a: TensorData, b: TensorData): boolean {
  return (
    a === b || (a.type === b.type && a.data.length === b.data.length && a.data.every((byte, at) => byte === b.data[at]))
  );
}

// Whether nodes of a graph are what other nodes say: the same operators with the same attributes over the same
// constants, whatever the names.
import { readInts } from "../graph/attributes.js";
import type { Attribute, Node, TensorData } from "../graph/types.js";
import { numbers } from "../graph/values.js";

export interface Place {
  readonly made: ReadonlyMap<string, Node>;
  readonly constant: (name: string) => TensorData | undefined;
}

/** Says for a value that the pattern leaves open whether a value of the graph may stand there. */
export type Open = ReadonlyMap<string, (value: string) => boolean>;

export interface Match {
  /** What stands for each open value. */
  readonly bound: ReadonlyMap<string, string>;
  /** The nodes of the graph that stand for the pattern's, without those of constants. */
  readonly nodes: ReadonlySet<Node>;
}

/** Holds the nodes that make `end` against the pattern whose last node makes `output`; undefined where they differ. */
export function matchNodes(
  pattern: readonly Node[],
  output: string,
  end: string,
  place: Place,
  open: Open,
): Match | undefined {
  const expected = new Map(pattern.flatMap((node) => node.outputs.map((name) => [name, node] as const)));
  const bound = new Map<string, string>();
  const pairs = new Map<Node, Node>();
  const matches = (wanted: string, value: string): boolean => {
    const allowed = open.get(wanted);
    if (allowed !== undefined) {
      if (bound.has(wanted)) return bound.get(wanted) === value;
      bound.set(wanted, value);
      return allowed(value);
    }
    const node = expected.get(wanted);
    if (node === undefined) return wanted === value;
    if (node.op === "Constant") return sameConstant(node, place.constant(value));
    const actual = place.made.get(value);
    if (actual?.domain !== "" || actual.op !== node.op) return false;
    if (actual.outputs.indexOf(value) !== node.outputs.indexOf(wanted) || actual.outputs.length !== node.outputs.length)
      return false;
    const before = pairs.get(node);
    if (before !== undefined) return before === actual;
    pairs.set(node, actual);
    return sameAttributes(node, actual) && matchInputs(node, actual);
  };
  const matchInputs = (node: Node, actual: Node): boolean => {
    const [wanted, found] = [trimmed(node.inputs), trimmed(actual.inputs)];
    return wanted.length === found.length && wanted.every((name, at) => matches(name, found[at]!));
  };
  return matches(output, end) ? { bound, nodes: new Set(pairs.values()) } : undefined;
}

function trimmed(inputs: readonly string[]): readonly string[] {
  let { length } = inputs;
  while (length > 0 && inputs[length - 1] === "") length--;
  return inputs.slice(0, length);
}

function sameConstant(node: Node, found: TensorData | undefined): boolean {
  const value = node.attributes.get("value");
  if (value?.kind !== "tensor" || found === undefined || found.type !== value.value.type) return false;
  const [wanted, got] = [numbers(value.value), numbers(found)];
  return wanted.length === got.length && wanted.every((one, at) => one === got[at]);
}

/** Attributes that say what is so without them count as absent. */
function sameAttributes(a: Node, b: Node): boolean {
  const [one, other] = [stated(a), stated(b)];
  return one.size === other.size && [...one].every(([key, text]) => other.get(key) === text);
}

function stated(node: Node): ReadonlyMap<string, string> {
  const said = [...node.attributes].map(([key, attribute]) => [key, show(attribute)] as const);
  return new Map(said.filter(([key]) => !isDefault(node, key)));
}

function isDefault(node: Node, key: string): boolean {
  const attribute = node.attributes.get(key)!;
  const all = (value: number) => attribute.kind === "ints" && readInts(node, key, []).every((one) => one === value);
  if (node.op === "Reshape") return key === "allowzero" && attribute.kind === "int" && attribute.value === 0n;
  if (node.op !== "Conv") return false;
  if (key === "kernel_shape") return true; // the weight says it too, and ONNX Runtime refuses where they differ
  if (key === "strides" || key === "dilations") return all(1);
  if (key === "pads") return all(0);
  if (key === "group") return attribute.kind === "int" && attribute.value === 1n;
  return key === "auto_pad" && attribute.kind === "string" && new TextDecoder().decode(attribute.value) === "NOTSET";
}

const show = (attribute: Attribute): string =>
  JSON.stringify([attribute.kind, "value" in attribute ? attribute.value : null], (_, value) =>
    typeof value === "bigint" ? String(value) : value,
  );

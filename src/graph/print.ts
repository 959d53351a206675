// A graph as short, stable text, for people and for tests that compare it.
import { FilterBasisError } from "../errors/error.js";
import type { Attribute, DataType, Dim, Graph, GraphBody, Node, TensorData, Value } from "./types.js";

const text = new TextDecoder();
const shortTypes: Partial<Record<DataType, string>> = {
  float32: "f32",
  float16: "f16",
  float64: "f64",
  bfloat16: "bf16",
  int64: "i64",
  int32: "i32",
};

/**
 * One line an input, initializer, node and output:
 *
 *     graph name (opset 17)
 *     in    x f32[N, 3, 32, 32]
 *     const w f32[16, 3, 3, 3]
 *     y = Conv(x, w) {pads: [1, 1, 1, 1]}
 *     out   y f32[N, 16, 32, 32]
 *
 * Attributes stand in alphabetical order; small integer constants show their values; bodies of If, Loop and Scan are
 * indented; local functions follow the graph.
 */
export function printGraph(graph: Graph): string {
  const opsets = [...graph.opsets].map(([domain, version]) =>
    domain === "" ? `opset ${version}` : `${domain} ${version}`,
  );
  const functions = (graph.functions ?? []).flatMap((one) => [
    `function ${one.domain}::${one.name}(${one.inputs.join(", ")}) -> ${one.outputs.join(", ")}`,
    ...one.nodes.flatMap(nodeLines).map((line) => `  ${line}`),
  ]);
  return (
    [`graph ${graph.name || "(unnamed)"} (${opsets.join(", ")})`, ...bodyLines(graph), ...functions].join("\n") + "\n"
  );
}

function bodyLines(body: GraphBody): string[] {
  return [
    ...body.inputs.filter((input) => !body.initializers.has(input.name)).map((input) => `in    ${showValue(input)}`),
    ...[...body.initializers].map(([name, tensor]) => `const ${name} ${showTensor(tensor)}`),
    ...[...(body.sparseInitializers ?? [])].map(
      ([name, { values, dims }]) => `const ${name} sparse ${showType(values.type, dims)}`,
    ),
    ...body.nodes.flatMap(nodeLines),
    ...body.outputs.map((output) => `out   ${showValue(output)}`),
  ];
}

function nodeLines(node: Node): string[] {
  const attributes = [...node.attributes].sort(([a], [b]) => (a < b ? -1 : 1));
  const plain = attributes
    .filter(([, { kind }]) => kind !== "graph" && kind !== "graphs")
    .map(([key, value]) => `${key}: ${showAttribute(value)}`);
  const op = node.domain === "" ? node.op : `${node.domain}::${node.op}`;
  const inputs = node.inputs.map((name) => name || "_").join(", ");
  const line = `${node.outputs.map((name) => name || "_").join(", ")} = ${op}(${inputs})${plain.length > 0 ? ` {${plain.join(", ")}}` : ""}`;
  const bodies = attributes.flatMap(([key, value]) => {
    const list = value.kind === "graph" ? [value.value] : value.kind === "graphs" ? value.value : [];
    return list.flatMap((body) => [`  ${key}:`, ...bodyLines(body).map((inner) => `    ${inner}`)]);
  });
  return [line, ...bodies];
}

const showValue = ({ name, tensor }: Value): string =>
  tensor === undefined ? name : `${name} ${showType(tensor.type, tensor.dims)}`;

/** A type with its shape: f32[N, 3, 32, 32]; f32[...] where the rank is not known. */
export function showType(type: DataType, dims: readonly Dim[] | undefined): string {
  return `${shortTypes[type] ?? type}[${dims === undefined ? "..." : dims.map((dim) => dim ?? "?").join(", ")}]`;
}

function showTensor(tensor: TensorData): string {
  const shown = smallInts(tensor);
  return showType(tensor.type, tensor.dims) + (shown === undefined ? "" : ` = ${shown}`);
}

function smallInts({ type, dims, data }: TensorData): string | undefined {
  if (type !== "int64" || dims.length > 1 || data.byteLength > 64 || data.byteLength % 8 !== 0) return undefined;
  const values = [...new BigInt64Array(data.slice().buffer as ArrayBuffer)];
  return dims.length === 0 ? String(values[0]) : `[${values.join(", ")}]`;
}

function showAttribute(attribute: Attribute): string {
  switch (attribute.kind) {
    case "int":
    case "float":
      return String(attribute.value);
    case "ints":
    case "floats":
      return `[${attribute.value.join(", ")}]`;
    case "string":
      return JSON.stringify(text.decode(attribute.value));
    case "strings":
      return `[${attribute.value.map((value) => JSON.stringify(text.decode(value))).join(", ")}]`;
    case "tensor":
      return showTensor(attribute.value);
    case "tensors":
      return `[${attribute.value.map(showTensor).join(", ")}]`;
    case "reference":
      return `@${attribute.value}`;
    case "other":
      return "(carried)";
    default:
      throw new FilterBasisError("internal", `an attribute of kind ${attribute.kind} cannot be shown on one line`);
  }
}

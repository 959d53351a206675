// Models that take or give sequences and optionals, with nodes around them that make these of tensors and take them
// apart again: onnxruntime-node feeds and fetches tensors only.
import { int64Tensor, makeNode, tensor as tensorAttribute } from "../src/graph/attributes.js";
import { feeds } from "../src/graph/edit.js";
import type { Graph, Node, TensorData, Value } from "../src/graph/types.js";
import { type DataSet, type Recorded, typeCase } from "./onnx-testdata.js";

export interface OverTensors {
  readonly graph: Graph;
  /** One for each of the graph's feeds. */
  readonly inputs: readonly TensorData[];
}

/**
 * The model over tensors; undefined where a recorded value cannot be made of tensors (an optional that holds nothing).
 */
export function overTensors(graph: Graph, { inputs, outputs }: DataSet): OverTensors | undefined {
  if ([...inputs, ...outputs].some(cannot)) return undefined;
  const before: Node[] = [];
  const after: Node[] = [];
  const newInputs: Value[] = [];
  const newOutputs: Value[] = [];
  const fed: TensorData[] = [];
  const feed = (name: string, tensor: TensorData): string => {
    newInputs.push({ name, tensor: { type: tensor.type, dims: tensor.dims } });
    fed.push(tensor);
    return name;
  };
  for (const [at, value] of feeds(graph).entries()) {
    const recorded = inputs[at];
    const kind = typeCase(value.origin);
    if (recorded === undefined || recorded.kind === "nothing") return undefined;
    if (recorded.kind === "tensor" && kind === "tensor") {
      newInputs.push(value);
      fed.push(recorded.tensor);
      continue;
    }
    const optional = kind.startsWith("optional");
    const made = optional ? `${value.name}/held` : value.name;
    if (recorded.kind === "tensor") feed(made, recorded.tensor);
    else
      before.push(
        makeNode(
          "SequenceConstruct",
          recorded.tensors.map((tensor, k) => feed(`${value.name}/${k}`, tensor)),
          [made],
        ),
      );
    if (optional) before.push(makeNode("Optional", [made], [value.name]));
  }
  for (const [at, value] of graph.outputs.entries()) {
    const recorded = outputs[at];
    const kind = typeCase(value.origin);
    if (recorded === undefined || recorded.kind === "nothing") return undefined;
    if (kind === "tensor") {
      newOutputs.push(value);
      continue;
    }
    const held = kind.startsWith("optional") ? `${value.name}/held` : value.name;
    if (held !== value.name) after.push(makeNode("OptionalGetElement", [value.name], [held]));
    if (recorded.kind === "tensor") newOutputs.push({ name: held, tensor: { type: recorded.tensor.type } });
    else after.push(...takeApart(held, recorded.tensors, newOutputs));
  }
  const defaults = graph.inputs.filter(({ name }) => graph.initializers.has(name));
  return {
    graph: {
      ...graph,
      nodes: [...before, ...graph.nodes, ...after],
      inputs: [...newInputs, ...defaults],
      outputs: newOutputs,
    },
    inputs: fed,
  };
}

function cannot(recorded: Recorded): boolean {
  return recorded.kind === "nothing" || (recorded.kind === "sequence" && recorded.tensors.length === 0);
}

function takeApart(name: string, tensors: readonly TensorData[], outputs: Value[]): Node[] {
  outputs.push({ name: `${name}/length`, tensor: { type: "int64", dims: [] } });
  return tensors.reduce<Node[]>(
    (nodes, { type }, k) => {
      outputs.push({ name: `${name}/${k}`, tensor: { type } });
      const index = makeNode("Constant", [], [`${name}/at ${k}`], { value: tensorAttribute(int64Tensor([], [k])) });
      nodes.push(index, makeNode("SequenceAt", [name, `${name}/at ${k}`], [`${name}/${k}`]));
      return nodes;
    },
    [makeNode("SequenceLength", [name], [`${name}/length`])],
  );
}

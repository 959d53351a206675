// A model in a later version of the standard operators: nodes that mean the same stay, some are written in the later
// version's way, and where one is neither the model stays as it is, with the reason.
import {
  int64Tensor,
  makeNode,
  nodeName,
  readFloat,
  readFloats,
  readInt,
  readInts,
  readString,
  string,
} from "../graph/attributes.js";
import { bodies, freshNames } from "../graph/edit.js";
import type { Graph, Node, Pass, PassResult, TensorData } from "../graph/types.js";
import { tensorOf } from "../graph/values.js";
import { inferShapes } from "../ops/infer.js";
import { operatorOf } from "../ops/table.js";

const name = "raise-opset";
/** The version that models are raised to, and the file version that came with it (onnx/docs/Versioning.md). */
const target = { opset: 13, irVersion: 7 } as const;

interface Place {
  readonly opset: number;
  readonly rank: (value: string) => number | undefined;
  readonly constant: (stem: string, tensor: TensorData) => string;
}

/** The node in the later version; a reason where it means something else there. */
type Conversion = (node: Node, place: Place) => Node | string;

/** From which version on nodes mean the same up to version 13, beside what the operators' entries say. */
const alike: Readonly<Record<string, number>> = {
  ...{ ArgMax: 1, ArgMin: 1, AveragePool: 7, Cast: 6, Constant: 1, ConstantOfShape: 9, DepthToSpace: 11, Dropout: 12 },
  ...{ DequantizeLinear: 10, Expand: 8, Flatten: 1, Gather: 1, GatherElements: 11, GRU: 7, InstanceNormalization: 6 },
  ...{ LRN: 1, LSTM: 7, MaxPool: 8, NonMaxSuppression: 11, Pad: 11, QuantizeLinear: 10, ReduceMax: 1, ReduceMean: 1 },
  ...{ ReduceMin: 1, ReduceProd: 1, ReduceL1: 1, ReduceL2: 1, Reshape: 5, Resize: 11, Shape: 1, Size: 1, Slice: 10 },
  ...{ SpaceToDepth: 1, TopK: 11 },
};

/**
 * Raises a model below opset 13 to it. Where one node may mean something else there, the very same graph comes back,
 * with the reason.
 */
export const raiseOpset: Pass = (graph) => {
  const opset = graph.opsets.get("") ?? 1;
  if (opset >= target.opset) return { graph, outcomes: [] };
  const declined = (layer: string, reason: string): PassResult => ({
    graph,
    outcomes: [{ pass: name, layer, applied: false, reason }],
  });
  if ((graph.functions ?? []).length > 0) return declined("model", "it has functions of its own");
  const fresh = freshNames(graph);
  const made = new Map<string, TensorData>();
  const constant = (stem: string, tensor: TensorData): string => {
    const key = fresh(stem);
    made.set(key, tensor);
    return key;
  };
  const types = inferShapes(graph);
  const place: Place = { opset, rank: (value) => types.get(value)?.dims?.length, constant };
  const nodes: Node[] = [];
  for (const node of graph.nodes) {
    const raised = raise(node, place);
    if (typeof raised === "string") return declined(nodeName(node), `${node.op} of opset ${opset}: ${raised}`);
    nodes.push(raised);
  }
  const raised: Graph = {
    ...graph,
    nodes,
    initializers: new Map([...graph.initializers, ...made]),
    opsets: new Map([...graph.opsets, ["", target.opset]]),
    irVersion: Math.max(graph.irVersion, target.irVersion),
  };
  const reason = `opset ${opset} became ${target.opset}`;
  return { graph: raised, outcomes: [{ pass: name, layer: "model", applied: true, reason }] };
};

function raise(node: Node, place: Place): Node | string {
  if (node.domain !== "") return node;
  if (bodies(node).length > 0) return "it has bodies of its own";
  const convert = Object.hasOwn(conversions, node.op) ? conversions[node.op] : undefined;
  const never = Number.POSITIVE_INFINITY;
  const since = Math.min(operatorOf(node)?.since ?? never, (Object.hasOwn(alike, node.op) && alike[node.op]) || never);
  if (since <= place.opset) return node;
  return convert === undefined ? "it may mean something else in a later one" : convert(node, place);
}

/** An attribute that became an input. */
function asInputs(node: Node, inputs: readonly string[], ...attributes: readonly string[]): Node {
  const kept = new Map([...node.attributes].filter(([key]) => !attributes.includes(key)));
  return { ...node, inputs, attributes: kept };
}

/** Ends beyond every size, which numbers here cannot hold, are as far as they can. */
const sizesTensor = (values: readonly number[]): TensorData =>
  int64Tensor(
    [values.length],
    values.map((value) => Math.min(Number.MAX_SAFE_INTEGER, Math.max(Number.MIN_SAFE_INTEGER, value))),
  );

const axesAsInput: Conversion = (node, { constant }) => {
  const axes = readInts(node, "axes", undefined);
  if (axes === undefined) return node;
  return asInputs(node, [node.inputs[0]!, constant(`${nodeName(node)}_axes`, sizesTensor(axes))], "axes");
};

/** Before 13 they treat the axes from `axis` on as one. */
const alongLast: Conversion = (node, { rank }) => {
  const axes = rank(node.inputs[0]!);
  const axis = readInt(node, "axis", 1);
  if (axes !== undefined && (axis === axes - 1 || axis === -1))
    return makeNode(node.op, node.inputs, node.outputs, {}, { name: node.name });
  return "it goes over several axes at once";
};

const conversions: Readonly<Record<string, Conversion>> = {
  Squeeze: axesAsInput,
  Unsqueeze: axesAsInput,
  ReduceSum: axesAsInput,
  Softmax: alongLast,
  LogSoftmax: alongLast,
  Clip: (node, { constant }) => {
    const [low, high] = [readFloat(node, "min", undefined), readFloat(node, "max", undefined)];
    const limit = (what: string, value: number | undefined): string =>
      value === undefined ? "" : constant(`${nodeName(node)}_${what}`, tensorOf("float32", [], [value]));
    return node.inputs.length > 1
      ? node
      : asInputs(node, [node.inputs[0]!, limit("min", low), limit("max", high)], "min", "max");
  },
  Split: (node, { constant }) => {
    const sizes = readInts(node, "split", undefined);
    if (sizes === undefined) return node;
    return asInputs(node, [node.inputs[0]!, constant(`${nodeName(node)}_split`, sizesTensor(sizes))], "split");
  },
  Slice: (node, { constant }) => {
    const [starts, ends, axes] = ["starts", "ends", "axes"].map((key) => readInts(node, key, undefined));
    if (starts === undefined || ends === undefined) return "it states no range";
    const list = (what: string, values: readonly number[]) =>
      constant(`${nodeName(node)}_${what}`, sizesTensor(values));
    const all = axes ?? starts.map((_, at) => at);
    return asInputs(
      node,
      [node.inputs[0]!, list("starts", starts), list("ends", ends), list("axes", all)],
      "starts",
      "ends",
      "axes",
    );
  },
  Pad: (node, { constant, opset }) => {
    const pads = readInts(node, opset < 2 ? "paddings" : "pads", undefined);
    if (pads === undefined) return "it states no padding";
    const fill = readFloat(node, "value", 0);
    const inputs = [
      node.inputs[0]!,
      constant(`${nodeName(node)}_pads`, sizesTensor(pads)),
      ...(fill === 0 ? [] : [constant(`${nodeName(node)}_value`, tensorOf("float32", [], [fill]))]),
    ];
    return asInputs(node, inputs, "pads", "paddings", "value");
  },
  Upsample: enlarged,
  Resize: enlarged,
  Dropout: (node) => asInputs(node, [node.inputs[0]!], "ratio"),
  BatchNormalization: (node, { opset }) =>
    opset >= 7 && readInt(node, "spatial", 1) === 1
      ? asInputs(node, node.inputs, "spatial")
      : "it normalises each pixel",
};

/** Upsample, and Resize of version 10: what later ones call asymmetric, and floor. */
function enlarged(node: Node, { constant }: Place): Node | string {
  const scales = readFloats(node, "scales", undefined);
  const stored = scales && constant(`${nodeName(node)}_scales`, tensorOf("float32", [scales.length], scales));
  const value = stored ?? node.inputs[1];
  if (value === undefined) return "it states no scales";
  const how = {
    mode: string(readString(node, "mode", "nearest")),
    coordinate_transformation_mode: string("asymmetric"),
    nearest_mode: string("floor"),
  };
  return makeNode("Resize", [node.inputs[0]!, "", value], node.outputs, how, { name: node.name });
}

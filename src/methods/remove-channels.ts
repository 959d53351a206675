// Removing channels for good: rows and columns of weights, entries of biases and normalisations, slopes, and the
// numbers by which Split, Slice, Gather, Reshape and depthwise convolutions count channels. Nothing is masked.
import { FilterBasisError } from "../errors/error.js";
import { elements, nodeName } from "../graph/attributes.js";
import { freshNames } from "../graph/edit.js";
import { indexOf } from "../graph/graph-index.js";
import type { Attribute, Graph, Node, TensorData } from "../graph/types.js";
import { numbers, tensorOf } from "../graph/values.js";
import { dropUnread } from "../passes/remove-unread.js";
import type { ChannelGraph } from "./channel-classes.js";
import type { Channels, Patch, Staying, Walk } from "./channel-walk.js";

/**
 * The graph without these channels (positions of them, any).
 * @throws FilterBasisError `invalid-plan` for channels that have to stay, and where a value would have none left
 */
export function removeChannels(graph: Graph, { walk }: ChannelGraph, channels: Iterable<number>): Graph {
  const gone = new Set([...channels].map(walk.find));
  if (gone.size === 0) return graph;
  for (const id of gone) {
    const reason = walk.frozen(id);
    if (reason !== undefined) throw new FilterBasisError("invalid-plan", `a channel has to stay: ${reason}`);
  }
  const staying: Staying = (ids) => ids.flatMap((id, place) => (gone.has(walk.find(id)) ? [] : [place]));
  checkSomeLeft(walk, staying);
  const constants = new Map<string, TensorData>();
  for (const [root, axes] of walk.tensors) {
    const tensor = indexOf(graph).stored(root)!.tensor;
    const cut = [...axes].reduce((made, [axis, held]) => withoutChannels(made, axis, held, staying), tensor);
    if (cut !== tensor) constants.set(root, cut);
  }
  const counted = [...walk.patches.keys()].flatMap(({ inputs }) => inputs);
  return dropUnread(rewritten(graph, walk, staying, constants), counted);
}

/** @throws FilterBasisError `invalid-plan` */
function checkSomeLeft({ layouts }: Walk, staying: Staying): void {
  for (const [value, { ids }] of layouts)
    if (ids.length > 0 && staying(ids).length === 0)
      throw new FilterBasisError("invalid-plan", "no channel of a value would be left", {
        tensor: value,
        expected: "one channel at least",
      });
}

/** A tensor without some positions of an axis; the same where all stay. */
function withoutChannels(tensor: TensorData, axis: number, { ids, inner = 1 }: Channels, staying: Staying): TensorData {
  const left = staying(ids);
  if (left.length === ids.length) return tensor;
  const { dims, type } = tensor;
  const [outer, width] = [elements(dims.slice(0, axis)), elements(dims.slice(axis + 1)) * inner];
  const values = numbers(tensor);
  const made = new Float64Array(outer * left.length * width);
  for (let row = 0; row < outer; row++)
    for (const [now, place] of left.entries()) {
      const from = (row * ids.length + place) * width;
      made.set(values.subarray(from, from + width), (row * left.length + now) * width);
    }
  return tensorOf(type, dims.with(axis, left.length * inner), made);
}

function rewritten(graph: Graph, walk: Walk, staying: Staying, constants: ReadonlyMap<string, TensorData>): Graph {
  const fresh = freshNames(graph);
  const initializers = new Map([...graph.initializers].map(([name, tensor]) => [name, constants.get(name) ?? tensor]));
  for (const [name, tensor] of constants) initializers.set(name, tensor);
  const nodes = graph.nodes.flatMap((node) => {
    if (node.op === "Constant" && node.domain === "" && constants.has(node.outputs[0]!)) return []; // an initializer now
    const patch = walk.patches.get(node);
    return [patch === undefined ? node : patched(node, patch, staying, initializers, fresh)];
  });
  const inputs = graph.inputs.map((input) => {
    const { tensor } = input;
    const cut = constants.get(input.name);
    return cut === undefined || tensor === undefined ? input : { ...input, tensor: { ...tensor, dims: cut.dims } };
  });
  const values = new Map([...graph.values].filter(([value]) => !changes(walk.of(value), staying)));
  return { ...graph, nodes, inputs, values, initializers };
}

const changes = (channels: Channels | undefined, staying: Staying): boolean =>
  channels !== undefined && staying(channels.ids).length < channels.ids.length;

function patched(
  node: Node,
  patch: Patch,
  staying: Staying,
  initializers: Map<string, TensorData>,
  fresh: (stem: string) => string,
): Node {
  const change = patch(staying);
  const attributes = new Map<string, Attribute>(node.attributes);
  for (const [name, attribute] of Object.entries(change.attributes ?? {}))
    if (attribute === undefined) attributes.delete(name);
    else attributes.set(name, attribute);
  const inputs = [...node.inputs];
  for (const [place, tensor] of change.inputs ?? []) {
    const name = fresh(`${nodeName(node)}.channels`);
    initializers.set(name, tensor);
    while (inputs.length < place) inputs.push("");
    inputs[place] = name;
  }
  return { ...node, attributes, inputs };
}

// `inspect`: what a model consists of, what it costs, what can be compressed and what was done to it.
import { stat } from "node:fs/promises";
import type { SkippedLayer } from "../basis/convolution.js";
import { isError } from "../errors/error.js";
import { nodeName } from "../graph/attributes.js";
import { feeds } from "../graph/edit.js";
import { showType } from "../graph/print.js";
import type { Graph, Node, Value, ValueType } from "../graph/types.js";
import { codesFault } from "../methods/codes.js";
import { compressedNodes } from "../methods/compressed-layers.js";
import { chainsFault } from "../methods/find-chains.js";
import { findLayers } from "../methods/layers.js";
import { type CompressionRecord, readRecord } from "../methods/record.js";
import { type Cost, cost, type LayerCost } from "../ops/cost/cost.js";
import { roughWork } from "../ops/cost/layers.js";
import { inferShapes } from "../ops/infer.js";
import { chooseInputs } from "../ops/sizes/concrete-inputs.js";
import { loadModel } from "../runtime/files.js";
import { type FindInputsOptions, findInputs, type ModelInputs } from "../runtime/index.js";
import { columns, grouped, someNames } from "./columns.js";
import { command } from "./frame.js";
import { readStatedInputs } from "./input-values.js";
import { type CompressedReport, compressedReport, showCompressed } from "./inspect-compressed.js";
import { modelFile } from "./model-file.js";
import { inputLines, inputOptions } from "./model-inputs.js";
import { oneLine } from "./visible.js";

export default command({
  name: "inspect",
  summary: "layers, shapes, parameters, MACs, bytes; what can be compressed, what not and why",
  examples: ["inspect model.onnx", "inspect model.onnx --input 1x3x32x32 --json"],
  args: {
    model: { type: "positional", description: "an ONNX file or a run folder", required: true },
    ...inputOptions,
  },
  readsOnly: true,
  async run({ model }, { repeated, signal, note }) {
    const file = await modelFile(model);
    const graph = await loadModel(file, { note });
    const stated = readStatedInputs(graph, repeated);
    const inputs = await inputsToCount(graph, { ...stated, signal });
    const report = inspectModel(graph, stated.shapes, inputs, (await stat(file)).size);
    return { json: { file, ...report }, text: show(file, report, inputs) };
  },
});

/** A run that takes more than this is not for a command that only counts. */
const longRun = { macs: 2e10, elements: 2 ** 27 };

/**
 * What MACs are counted at. A model that cannot be run here, or takes long as stated, is counted as far as its shapes
 * tell.
 */
async function inputsToCount(graph: Graph, options: FindInputsOptions): Promise<ModelInputs> {
  const { shapes, values = new Map() } = options;
  const told = { ...chooseInputs(graph, shapes), values, assumed: [] };
  if (!told.guessed && shapes?.size && takesLong(graph, told))
    return { ...told, untried: "a run at these sizes takes long" };
  try {
    return await findInputs(graph, options);
  } catch (error) {
    if (!isError(error, "runtime", "unsupported")) throw error;
    return { ...told, untried: error.problem };
  }
}

/** False where shapes contradict each other: then it does not run at all. */
function takesLong(graph: Graph, { shapes }: Pick<ModelInputs, "shapes">): boolean {
  try {
    const { macs, elements } = roughWork(graph, inferShapes(graph, shapes));
    return macs > longRun.macs || elements > longRun.elements;
  } catch (error) {
    if (isError(error, "shape-mismatch")) return false;
    throw error;
  }
}

/** One node as `inspect` lists it. */
export interface NodeReport {
  readonly name: string;
  readonly op: string;
  readonly domain: string;
  readonly inputs: readonly string[];
  readonly outputs: readonly { readonly name: string; readonly type?: string; readonly shape?: ValueType["dims"] }[];
  readonly weights: number;
  readonly parameters: number;
  readonly macs: number;
  /** For nodes that carry weights: can a basis replace it, and if not, why. */
  readonly replaceable?: boolean;
  readonly reason?: string;
}

export interface ModelReport
  extends CompressedReport,
    Pick<Cost, "weights" | "parameters" | "macs" | "uncounted" | "notes"> {
  /** Of the file; with tensors beside it, of these too. */
  readonly bytes: number;
  readonly opsets: ReadonlyMap<string, number>;
  /** `shape` is what the model and the user state, `used` what is counted at. */
  readonly inputs: readonly object[];
  readonly outputs: readonly object[];
  /** The input sizes at which MACs are counted. */
  readonly countedAt: Cost["inputs"];
  /** True where any of these was chosen here; `chosen` says why. */
  readonly guessed: boolean;
  readonly chosen: ModelInputs["chosen"];
  /** Why sizes were chosen by shapes alone. */
  readonly untried?: string;
  readonly layers: readonly NodeReport[];
  readonly skipped: readonly SkippedLayer[];
  readonly compression: CompressionRecord | undefined;
}

/**
 * Everything that `inspect` tells about a graph; work is counted at the inputs that were `found`. `fileBytes` is the
 * size of its file.
 */
export function inspectModel(
  graph: Graph,
  stated: ReadonlyMap<string, readonly number[]>,
  { shapes, chosen, guessed, untried }: Omit<ModelInputs, "values" | "assumed">,
  fileBytes: number,
): ModelReport {
  const counted = cost(graph, shapes);
  const types = inferShapes(graph, shapes);
  const { replaceable, skipped } = replaceableNodes(graph);
  const costs = new Map(counted.layers.map((layer) => [layer.value, layer]));
  const done = compressedNodes(graph);
  const reasons = new Map(skipped.map(({ name, reason }) => [name, reason]));
  for (const [node, layer] of done) reasons.set(nodeName(node), layer?.reason ?? partOfLayer);
  const layers = graph.nodes.map((node) => nodeReport(node, types, costs, replaceable, reasons));
  const interfaces = inferShapes(graph, stated);
  const faults = [chainsFault(graph), codesFault(graph)].filter((fault) => fault !== undefined);
  const port = ({ name, tensor }: Value) => {
    const used = types.get(name)?.dims;
    return { name, type: tensor?.type, shape: interfaces.get(name)?.dims ?? tensor?.dims, ...(used && { used }) };
  };
  return {
    weights: counted.weights,
    parameters: counted.parameters,
    macs: counted.macs,
    // tensors that take more than the whole file lie beside it
    bytes: counted.bytes > fileBytes ? fileBytes + counted.bytes : fileBytes,
    opsets: graph.opsets,
    inputs: feeds(graph).map(port),
    outputs: graph.outputs.map(port),
    countedAt: counted.inputs,
    guessed,
    chosen,
    ...(untried === undefined ? {} : { untried }),
    uncounted: counted.uncounted,
    notes: [...counted.notes, ...faults],
    layers,
    skipped,
    compression: readRecord(graph),
    ...compressedReport(graph),
  };
}

/** Of nodes beside the one that stands for their layer. */
const partOfLayer = "it is a part of a compressed layer";

/** The nodes that a basis can replace, by identity, and the skipped ones. A model without convolutions has neither. */
function replaceableNodes(graph: Graph): {
  readonly replaceable: ReadonlySet<Node>;
  readonly skipped: readonly SkippedLayer[];
} {
  try {
    const { layers, skipped } = findLayers(graph);
    return { replaceable: new Set(layers.flatMap((layer) => layer.nodes.map(({ node }) => node))), skipped };
  } catch (error) {
    if (isError(error, "not-found")) return { replaceable: new Set(), skipped: [] };
    throw error;
  }
}

function nodeReport(
  node: Node,
  types: ReadonlyMap<string, ValueType>,
  costs: ReadonlyMap<string, LayerCost>,
  replaceable: ReadonlySet<Node>,
  reasons: ReadonlyMap<string, string>,
): NodeReport {
  const name = nodeName(node);
  const layer = costs.get(node.outputs[0]!);
  const reason = reasons.get(name);
  return {
    name,
    op: node.op,
    domain: node.domain,
    inputs: node.inputs,
    outputs: node.outputs.map((output) => {
      const type = types.get(output);
      return { name: output, ...(type && { type: type.type, ...(type.dims && { shape: type.dims }) }) };
    }),
    weights: layer?.weights ?? 0,
    parameters: layer?.parameters ?? 0,
    macs: layer?.macs ?? 0,
    ...(replaceable.has(node) ? { replaceable: true } : reason !== undefined ? { replaceable: false, reason } : {}),
  };
}

function show(file: string, report: ModelReport, inputs: ModelInputs): string {
  const weighted = report.layers.filter(
    (layer) => layer.macs > 0 || layer.weights > 0 || layer.replaceable !== undefined,
  );
  const shape = ({ outputs }: NodeReport) => outputs[0]?.shape?.map((dim) => dim ?? "?").join("x") ?? "?";
  const verdict = ({ replaceable }: NodeReport) => (replaceable === undefined ? "" : replaceable ? "yes" : "no");
  const rows = weighted.map((layer) => [
    layer.name,
    layer.op,
    shape(layer),
    grouped(layer.weights),
    grouped(layer.macs),
    verdict(layer),
  ]);
  const at = [...report.countedAt].map(([name, dims]) => `${oneLine(name)} ${dims.join("x")}`).join(", ");
  return [
    `${file} (${[...report.opsets].map(([domain, version]) => `${oneLine(domain) || "opset"} ${version}`).join(", ")})`,
    ...report.inputs.map((port) => `  in   ${showPort(port as Port)}`),
    ...report.outputs.map((port) => `  out  ${showPort(port as Port)}`),
    "",
    columns([["layer", "op", "output", "weights", "MACs", "basis"], ...rows]),
    "",
    `${grouped(report.weights)} weights, ${grouped(report.parameters)} parameters in all, ${grouped(report.bytes)} bytes`,
    `${grouped(report.macs)} MACs at ${at}${report.uncounted.length > 0 ? ` (without ${someNames(report.uncounted)}: sizes unknown)` : ""}`,
    ...report.notes,
    ...inputLines(inputs),
    otherNodes(report.layers, weighted),
    ...verdicts(report),
    ...(report.compression ? ["", ...showRecord(report.compression)] : []),
    ...showCompressed(report),
  ].join("\n");
}

interface Port {
  readonly name: string;
  readonly type?: ValueType["type"];
  readonly shape?: ValueType["dims"];
}

const showPort = ({ name, type, shape }: Port): string =>
  oneLine(type === undefined ? name : `${name} ${showType(type, shape)}`);

function otherNodes(layers: readonly NodeReport[], weighted: readonly NodeReport[]): string {
  const counts = new Map<string, number>();
  const named = new Set(weighted.map(({ name }) => name));
  for (const { op, name } of layers) if (!named.has(name)) counts.set(op, (counts.get(op) ?? 0) + 1);
  const parts = [...counts].sort(([, a], [, b]) => b - a).map(([op, count]) => `${count} ${oneLine(op)}`);
  return parts.length === 0 ? "no other nodes" : `other nodes: ${parts.join(", ")}`;
}

function verdicts({ layers, skipped }: ModelReport): string[] {
  const taken = layers.filter((layer) => layer.replaceable === true).length;
  const all = layers.filter(({ op, reason }) => (op === "Conv" || op === "BasisConv") && reason !== partOfLayer);
  const lines = [`a basis can replace ${taken} of ${all.length} convolutions`];
  const reasons = new Map<string, SkippedLayer[]>();
  for (const entry of skipped) reasons.set(entry.reason, [...(reasons.get(entry.reason) ?? []), entry]);
  for (const [reason, list] of reasons) lines.push(`  not ${someNames(list.map(({ name }) => name))}: ${reason}`);
  return lines;
}

function showRecord({ method, layers }: CompressionRecord): string[] {
  const rows = layers.map((layer) => [
    layer.name || layer.output,
    layer.shape.join("x"),
    String(layer.splits),
    String(layer.basisSize),
    layer.layout,
    layer.shared ?? "",
    layer.error === null ? "" : layer.error.toFixed(4),
  ]);
  return [
    `compressed with method ${oneLine(method)}:`,
    columns([["layer", "filters", "splits", "basis", "layout", "shared", "error"], ...rows]),
  ];
}

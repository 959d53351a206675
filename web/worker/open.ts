// Opening a network: read, checked, tried once in WebAssembly, counted.
import { findCalibratedLayers } from "../../src/calibrate/layers.js";
import { prepare } from "../../src/compress/prepare.js";
import { FilterBasisError, isError } from "../../src/errors/error.js";
import { identify, notWanted } from "../../src/formats/foreign/identify.js";
import { type ReadOptions, readModel, writeModel } from "../../src/formats/onnx/index.js";
import { nodeName } from "../../src/graph/attributes.js";
import { indexOf } from "../../src/graph/graph-index.js";
import type { Graph } from "../../src/graph/types.js";
import { layerPrecisions } from "../../src/methods/precision-record.js";
import { cost } from "../../src/ops/cost/cost.js";
import { inferShapes } from "../../src/ops/infer.js";
import { findInputs, type ModelInputs, openSession } from "../../src/runtime/index.js";
import { files } from "../host/memory.js";
import type { LayerRow, NamedFile, Opened, Requests } from "../protocol.js";
import { memoryOf } from "./memory.js";
import { state, type Tell } from "./state.js";

/** WebAssembly has 4 GB, of which a network takes several times its own size. */
const mostBytes = 600e6;
const mostInRuntime = 3.5e9;
/** Browsers say how much memory a device has up to 8 GB: beyond that all look alike. */
const mostSaid = 8;

export async function openNetwork({ model, beside }: Requests["open"]["ask"], tell: Tell): Promise<Opened> {
  const bar = tell.progress("opening", 3);
  const total = [model, ...beside].reduce((sum, { file }) => sum + file.size, 0);
  if (total > mostBytes) throw tooLarge(model.name, `${megabytes(total)} of files`);
  const bytes = new Uint8Array(await model.file.arrayBuffer());
  const notes: string[] = [];
  const external = await externalOf(beside);
  const graph = read(bytes, model.name, { ...(external && { external }), note: (text) => notes.push(text) });
  bar.update(1);
  requireLayers(graph, model.name);
  // With tensors beside it, the file that times and bytes are compared with is the same in one piece.
  files.clear();
  files.set(model.name, beside.length > 0 ? writeModel(graph) : bytes);
  const inputs = await tried(graph, model.name);
  bar.update(3);
  const { opened: found, runtime } = describe(graph, inputs, total, model.name, notes);
  if (runtime > mostInRuntime) throw tooLarge(model.name, `about ${megabytes(runtime)} in WebAssembly`);
  const device = deviceBytes();
  if (device !== undefined && found.memory > device)
    throw tooLarge(model.name, `about ${megabytes(found.memory)} on a device of ${megabytes(device)}`);
  state.network = { given: { graph, file: model.name }, inputs };
  delete state.plan;
  delete state.result;
  return found;
}

function read(bytes: Uint8Array, file: string, options: ReadOptions): Graph {
  try {
    return readModel(bytes, { ...options, file });
  } catch (error) {
    const kind = isError(error, "malformed", "too-large") ? identify(bytes, { name: file }) : undefined;
    if (kind === undefined || kind.kind === "onnx") throw error;
    throw notWanted(kind, { wanted: "an ONNX model", file, cures: kind.cures, cause: error });
  }
}

async function externalOf(beside: readonly NamedFile[]): Promise<ReadOptions["external"] | undefined> {
  const contents = new Map<string, Uint8Array>();
  for (const { name, file } of beside) contents.set(name, new Uint8Array(await file.arrayBuffer()));
  return (location, offset, length) => {
    const found = contents.get(location.split("/").at(-1) ?? location);
    if (found === undefined)
      throw new FilterBasisError("not-found", "tensors of the model lie in a file that was not given", {
        file: location,
        cures: [`choose ${location} together with the model`],
      });
    const end = length === undefined ? found.length : offset + length;
    if (offset < 0 || end > found.length)
      throw new FilterBasisError("malformed", "external data beyond the end of its file", { file: location });
    return found.subarray(offset, end);
  };
}

/** @throws FilterBasisError `unsupported` */
function requireLayers(graph: Graph, file: string): void {
  const { layers, skipped } = findCalibratedLayers(prepare(graph).graph);
  if (layers.some(({ kind }) => kind === "conv") || graph.nodes.some(({ op }) => op === "Conv")) return;
  throw new FilterBasisError("unsupported", "the network has no convolution", {
    file,
    got: `${graph.nodes.length} nodes, ${layers.length + skipped.length} fully connected layers`,
    cures: ["the method is for convolutional networks: give one that has Conv nodes"],
  });
}

/** Runs once: what WebAssembly lacks is told now. */
async function tried(graph: Graph, file: string): Promise<ModelInputs> {
  try {
    const session = await openSession(file, { runtime: "web" });
    try {
      return await findInputs(graph, { session });
    } finally {
      await session.release();
    }
  } catch (error) {
    if (!isError(error, "unsupported", "runtime")) throw error;
    throw error.at({ file }).curedBy("on the command line it may run: npx filterbasis compress");
  }
}

const megabytes = (bytes: number): string => `${Math.round(bytes / 1e6)} MB`;

const tooLarge = (file: string, got: string): FilterBasisError =>
  new FilterBasisError("too-large", "the network is too large for a tab", {
    file,
    expected: `up to ${megabytes(mostBytes)} of files, ${megabytes(mostInRuntime)} in WebAssembly, the device's memory`,
    got,
    cures: ["on the command line: npx filterbasis compress"],
  });

/** Memory of the device, where the browser tells and it is little. */
function deviceBytes(): number | undefined {
  const { deviceMemory } = navigator as { readonly deviceMemory?: number };
  return deviceMemory === undefined || deviceMemory >= mostSaid ? undefined : deviceMemory * 1e9;
}

function describe(graph: Graph, inputs: ModelInputs, bytes: number, name: string, notes: readonly string[]) {
  const counted = cost(graph, inputs.shapes);
  const { layers, skipped } = findCalibratedLayers(prepare(graph).graph);
  const { runtime, all } = memoryOf(bytes, graph, inferShapes(graph, inputs.shapes), layers);
  const opened: Opened = {
    ...{ name, bytes, notes: [...notes, ...counted.notes] },
    ...{ parameters: counted.parameters, macs: counted.macs, guessed: inputs.guessed },
    inputs: [...inputs.shapes].map(([input, dims]) => `${input} ${dims.join(" × ")}`).join(", "),
    layers: rowsOf(graph, counted.layers, new Map(skipped.map((one) => [one.name, one.reason]))),
    memory: all,
  };
  return { opened, runtime };
}

function rowsOf(
  graph: Graph,
  layers: ReturnType<typeof cost>["layers"],
  reasons: ReadonlyMap<string, string>,
): readonly LayerRow[] {
  const constant = indexOf(graph).stored;
  const nodes = new Map(graph.nodes.map((node) => [node.outputs[0] ?? "", node]));
  const integers = new Set(layerPrecisions(graph).int8);
  return layers.map(({ node, op, value, parameters, macs, output }) => {
    const made = nodes.get(value);
    const weight = made && constant(made.inputs[1] ?? "")?.tensor.dims;
    const reason = reasons.get(made ? nodeName(made) : node);
    return {
      ...{ name: node, op, parameters, macs },
      shape: (weight ?? output).join(" × "),
      precision: made && integers.has(made) ? "int8" : "fp32",
      ...(reason === undefined ? {} : { reason }),
    };
  });
}

// A comparison of methods as a folder: what was asked, which every row must share, and the network that they begin
// with.
import { mkdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { networkKey } from "../compress/network-key.js";
import { FilterBasisError } from "../errors/error.js";
import type { Graph } from "../graph/types.js";
import { methods } from "../methods/methods.js";
import { prepareForPlanning } from "../methods/prepare.js";
import { saveModel } from "../runtime/files.js";
import type { Device } from "../torch/index.js";
import { readJson, writeJson } from "../train/run-folder.js";

export interface ComparisonRequest {
  readonly budget: { readonly kind: "keepParams" | "keepMacs" | "speedup"; readonly value: number };
  /** A name or an absolute path. */
  readonly data: string;
  readonly epochs?: number;
  readonly steps?: number;
  readonly batch: number;
  readonly lr?: number;
  readonly seed: number;
  /** Threads of libtorch. */
  readonly threads?: number;
  /** Where libtorch trains. */
  readonly device?: Device;
  /** Calibration batches. */
  readonly calibrate: number;
  /** Images that are evaluated on. */
  readonly limit?: number;
  /** How images become inputs, as it was stated. */
  readonly images: object;
}

/** The files of a comparison that all rows share. */
export const comparisonFiles = { request: "comparison.json", network: "network.onnx" } as const;

/** The names of methods that a list names: `all`, or names with commas. @throws FilterBasisError `usage` */
export function methodNames(list: string): readonly string[] {
  const all = Object.keys(methods);
  if (list === "all") return all;
  const names = [...new Set(list.split(",").map((name) => name.trim()))].filter((name) => name !== "");
  const unknown = names.find((name) => !all.includes(name));
  if (names.length > 0 && unknown === undefined) return names;
  throw new FilterBasisError("usage", "--methods are names of methods", {
    expected: `all, or some of ${all.join(", ")}`,
    got: unknown ?? list,
  });
}

/**
 * Begins a comparison in a folder, or goes on with the one that is there. Gives the file of the network that methods
 * begin with, and the network.
 * @throws FilterBasisError `data-mismatch` for a folder of another comparison
 */
export async function beginComparison(
  folder: string,
  given: Graph,
  request: ComparisonRequest,
  shapes: ReadonlyMap<string, readonly number[]>,
): Promise<{ readonly network: string; readonly graph: Graph }> {
  const asked = JSON.parse(JSON.stringify({ model: networkKey([given], shapes), ...request })) as Record<
    string,
    unknown
  >;
  const there = await readJson<Record<string, unknown>>(folder, comparisonFiles.request);
  const graph = prepareForPlanning(withSizes(given, shapes)).graph;
  const network = join(folder, comparisonFiles.network);
  if (there === undefined) {
    await makeFolder(folder);
    await saveModel(graph, network);
    await writeJson(folder, comparisonFiles.request, asked);
    return { network, graph };
  }
  const fields = [...new Set([...Object.keys(asked), ...Object.keys(there)])];
  const other = fields.filter((field) => JSON.stringify(there[field]) !== JSON.stringify(asked[field]));
  if (other.length > 0)
    throw new FilterBasisError("data-mismatch", "the folder holds another comparison", {
      file: join(folder, comparisonFiles.request),
      field: other.join(", "),
      expected: other.map((field) => JSON.stringify(there[field]) ?? "nothing").join(", "),
      got: other.map((field) => JSON.stringify(asked[field]) ?? "nothing").join(", "),
      cures: ["name another folder: --out", "ask for the same again"],
    });
  await readFile(network).catch(() => saveModel(graph, network));
  return { network, graph };
}

/** @throws FilterBasisError `io` */
export async function makeFolder(folder: string): Promise<void> {
  await mkdir(folder, { recursive: true }).catch((cause: NodeJS.ErrnoException) => {
    throw new FilterBasisError("io", "cannot make the folder", {
      file: folder,
      got: cause.code ?? cause.message,
      cause,
    });
  });
}

/** The graph whose inputs say the sizes that were found, but for the batch: images are brought to them in training. */
function withSizes(graph: Graph, shapes: ReadonlyMap<string, readonly number[]>): Graph {
  const inputs = graph.inputs.map((input) => {
    const dims = shapes.get(input.name);
    if (dims === undefined || input.tensor === undefined || dims.length < 3) return input;
    const batch = input.tensor.dims?.[0] ?? "N";
    return { ...input, tensor: { ...input.tensor, dims: [batch, ...dims.slice(1)] } };
  });
  return { ...graph, inputs };
}
